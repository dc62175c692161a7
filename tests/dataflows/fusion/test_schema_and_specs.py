"""The boundary model knows every recorded field; the configuration file and the machine specs say what the code can read."""

from __future__ import annotations

import functools
import importlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from pandera.errors import SchemaErrors

from dataflows.boundary import promise_of
from dataflows.config import ConfigError, resolve
from dataflows.fusion.config import FusionConfig
from dataflows.fusion.schema import FusionBoundary
from dataflows.fusion.types import PARTS, K
from dataflows.panel import walk
from drivers.project.domains import config_records
from drivers.project.locate import locate
from drivers.project.machine_specs import load_spec
from tests.dataflows.fusion.test_all_layers import NAMES, SETTINGS, inputs_of, layer_of
from tests.support import run_columnar

SOURCE_WIDE = ("values", "contributions", "slope_by_source")
ROOT = Path(__file__).parents[3]


@functools.cache
def promised() -> Any:
    """The boundary's schema over all columns: the model's own, and those whose range the types say."""
    kinds = {}
    for name in NAMES:
        hints = importlib.import_module(f"dataflows.fusion.{name}").__dict__[layer_of(name).__annotations__["return"]]
        for path, kind in walk(hints):
            column = ".".join((name, *path))
            if not kind.recorded:
                continue
            wide = PARTS if column.endswith("parts_bps") else K if column.endswith(SOURCE_WIDE) else 4
            width = 1 if len(kind.axes) < 2 else wide
            kinds |= {f"{column}.{kind.part(k)}": kind for k in range(width)} if len(kind.axes) == 2 else {column: kind}
    return promise_of(FusionBoundary, kinds).schema


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Every recorded column of the domain from random inputs."""
    data: dict[str, Any] = {}
    for name in NAMES:
        fn = layer_of(name)
        out = run_columnar(fn, inputs_of(fn, 23), SETTINGS)
        hints = importlib.import_module(f"dataflows.fusion.{name}").__dict__[fn.__annotations__["return"]]
        for path, kind in walk(hints):
            leaf = out
            for part in path:
                leaf = getattr(leaf, part)
            column = ".".join((name, *path))
            if not kind.recorded:
                continue
            if len(kind.axes) == 2:
                for k in range(leaf.shape[2]):
                    data[f"{column}.{kind.part(k)}"] = leaf[..., k].reshape(-1)
            else:
                data[column] = leaf.reshape(-1)
    return pd.DataFrame(data)


def test_every_recorded_field_has_its_column_and_holds(frame: pd.DataFrame) -> None:
    schema = promised()
    assert sorted(schema.columns) == sorted(frame.columns)
    schema.validate(frame, lazy=True)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("l7_ensemble.score", 1.1),
        ("l66_signal_matrix.values.momentum", -1.5),
        ("l71_trading_cost.round_trip_bps", -0.1),
        ("l67_expectancy.edge_std_bps.0", np.inf),
        ("l75_size_suggestion.fraction", 1.5),
    ],
)
def test_a_value_outside_is_refused(frame: pd.DataFrame, column: str, value: float) -> None:
    bad = frame.copy()
    bad.loc[5, column] = value
    with pytest.raises(SchemaErrors, match=column.replace(".", r"\.")):
        promised().validate(bad, lazy=True)


def test_contributions_that_do_not_add_up_to_the_score_are_refused(frame: pd.DataFrame) -> None:
    bad = frame.copy()
    row = bad["l7_ensemble.score"].abs().between(0.1, 0.9).idxmax()
    bad.loc[row, "l7_ensemble.score"] += 0.01
    with pytest.raises(SchemaErrors, match=r"= l7_ensemble.score"):
        promised().validate(bad, lazy=True)


def test_parts_that_do_not_add_up_to_the_edge_are_refused(frame: pd.DataFrame) -> None:
    bad = frame.copy()
    bad.loc[bad["l3_action_proposal.edge_bps"].idxmax(), "l3_action_proposal.parts_bps.reversion"] += 0.01
    with pytest.raises(SchemaErrors, match=r"= l3_action_proposal.edge_bps"):
        promised().validate(bad, lazy=True)


def test_the_configuration_file_states_the_defaults() -> None:
    path = ROOT / "config" / "fusion.yml"
    assert resolve(FusionConfig, yaml.safe_load(path.read_text()), source=str(path)) == FusionConfig()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"horizons": list(range(1, 10))}, "1 to 5 different numbers of bars"),
        ({"horizons": []}, "1 to 5 different numbers of bars"),
        ({"horizons": [5, 15]}, "must be one of horizons"),
        ({"horizons": [5, 60, 15, 240]}, "shortest first"),
        ({"source_weights": [1.0, 2.0]}, "source_weights has 2 numbers; write 11"),
        ({"source_weights": [0.0] * 11}, "give at least one source a weight"),
        ({"prior_slope": 1.0}, "did you mean prior_slope_bps"),
        ({"kelly_cap": 2.0}, "kelly_cap is 2.0"),
    ],
)
def test_a_bad_configuration_is_refused_by_name(values: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        resolve(FusionConfig, values, source="config/fusion.yml")


def test_the_prior_belief_spec_can_be_run_and_says_what_it_is() -> None:
    spec = load_spec(locate(ROOT), "prior_belief")
    assert spec.domain == "fusion"
    assert "no evidence" in spec.about
    fusion = resolve(FusionConfig, spec.config, source="specs/prior_belief.yaml")
    assert fusion.prior_slope_bps > 0.0
    assert fusion.prior_strength >= fusion.entry_min_observations


@pytest.mark.parametrize(
    "name", ["prior_belief", "conservative_risk", "bars_only", "own_signal", "wealth_split", "regime_table"]
)
def test_every_shipped_spec_changes_what_it_says_and_nothing_it_cannot(name: str) -> None:
    spec = load_spec(locate(ROOT), name)
    record: Any = config_records()[spec.domain]
    made = resolve(record, spec.config, source=name)
    usual = resolve(record, {}, source="defaults")
    assert all(getattr(made, key) != getattr(usual, key) for key in spec.config)


def test_the_conservative_spec_loosens_nothing() -> None:
    spec = load_spec(locate(ROOT), "conservative_risk")
    usual = resolve(config_records()["risk"], {}, source="defaults")
    assert all(value < getattr(usual, key) for key, value in spec.config.items())
