from __future__ import annotations

import importlib
import pkgutil
import typing

import numpy as np
import pandas as pd
import pandera.errors
import pytest
import yaml

import dataflows.risk as domain
from dataflows.boundary import promise_of
from dataflows.config import ConfigError, model_of, resolve
from dataflows.panel import Kind, walk
from dataflows.risk.config import RiskConfig
from dataflows.risk.schema import RiskBoundary
from dataflows.risk.types import REASONS


def columns() -> dict[str, Kind]:
    """Column names and kinds of every recorded field of every layer of the domain."""
    found = {}
    for module in pkgutil.iter_modules(domain.__path__):
        if not module.name[1:2].isdigit():
            continue
        fn = getattr(importlib.import_module(f"dataflows.risk.{module.name}"), module.name)
        for path, kind in walk(typing.get_type_hints(fn, include_extras=True)["return"]):
            name = ".".join((module.name, *path))
            if kind.recorded:
                found |= {f"{name}.{kind.part(k)}": kind for k in range(3)} if len(kind.axes) == 2 else {name: kind}
    return found


def schema():
    return promise_of(RiskBoundary, columns()).schema


def frame() -> pd.DataFrame:
    made = {c: np.zeros(3, kind.numpy) for c, kind in columns().items()}
    for c in made:
        if any(
            s in c
            for s in (
                "sigma",
                "effective_bets",
                "distance",
                "time_stop",
                "4_risk_gate.stop",
                "4_risk_gate.take",
                "4_risk_gate.trail",
                "4_risk_gate.horizon",
            )
        ):
            made[c] = np.full(3, np.nan)
    return pd.DataFrame(made)


def test_every_recorded_field_has_its_column_and_no_other():
    want = {c: {"f8": "float64", "i8": "int64"}[kind.dtype] for c, kind in columns().items()}
    assert {name: str(column.dtype) for name, column in schema().columns.items()} == want
    schema().validate(frame())


@pytest.mark.parametrize(
    "column, value",
    [
        ("l76_volatility_forecast.sigma_1", 0.0), ("l83_volatility_target.fraction", -0.1), ("l84_stop_levels.stop_distance", 1.0),
        ("l85_instrument_cap.fraction", np.nan), ("l91_drawdown_throttle", 1.1), ("l4_risk_gate.target_weight", np.nan),
        ("l4_risk_gate.target_weight", np.inf), ("l4_risk_gate.urgency", -0.1), ("l86_exposure_cap.weight", -np.inf),
        ("l4_risk_gate.verdict", 5), ("l81_kill_switch.level", 3), ("l94_position_exits.lockout", 3), ("l4_risk_gate.reasons", 1 << len(REASONS)),
        ("l81_kill_switch.overall", 1), ("l92_loss_limits.flatten", 1),
    ],
)  # fmt: skip
def test_a_planted_fault_is_refused(column, value):
    bad = frame()
    bad.loc[1, column] = value
    with pytest.raises((pandera.errors.SchemaError, pandera.errors.SchemaErrors), match=column.replace(".", r"\.")):
        schema().validate(bad)


def test_the_file_holds_every_key_with_its_default_and_what_it_means(pytestconfig):
    lines = (pytestconfig.rootpath / "config" / "risk.yml").read_text().splitlines()
    said = [line.split("  # ")[0].split(": ")[0] for line in lines if not line.startswith("#")]
    assert said == list(RiskConfig._fields)
    assert resolve(RiskConfig, yaml.safe_load("\n".join(lines)), source="config/risk.yml") == RiskConfig()
    for key, field in model_of(RiskConfig).model_fields.items():
        assert any(line.startswith(f"{key}: ") and field.description in line for line in lines), key


@pytest.mark.parametrize(
    "key, value, says",
    [
        ("net", 3.0, "gross"),
        ("garch_beta", 0.97, "mean"),
        ("gros", 1.0, "did you mean gross"),
        ("stop_max", -1, "stop_max"),
        ("gross", float("nan"), "gross"),
    ],
)
def test_a_wrong_key_is_one_sentence_that_names_it(key, value, says):
    with pytest.raises(ConfigError, match=says):
        resolve(RiskConfig, {key: value}, source="config/risk.yml")
