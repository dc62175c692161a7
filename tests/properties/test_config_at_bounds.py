"""The whole graph with its settings at their bounds: it ends clean, its values keep their promises, approvals
keep to the caps, and cuts change no bit."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.config import ConfigError
from drivers.engine.building import make_plan
from drivers.engine.engine import Chunk, Engine, Outputs
from drivers.engine.guards import Guards
from drivers.engine.plan import Plan
from drivers.feeds.aligned import Dataset
from drivers.feeds.dataset import open_dataset
from drivers.graph.wiring import load
from drivers.project.configs import load_configs
from drivers.project.locate import defaults
from drivers.validation.gate import beyond_caps
from tests.dataflows.test_config_bounds import KEYS, Key
from tests.properties.graph import BELIEF, flat, guards_of, node_differs, plan_of
from tests.properties.test_hostile_data import write

STEMS = ["book", "trades", "funding", "alpha"]
IN_CI = 12
"""Every so many keys are tried in CI, each at both of its bounds."""


@functools.cache
def data() -> Dataset:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), [], {"tick_size": 0.01, "lot_size": 0.001}, STEMS)
        return open_dataset(Path(folder))


@functools.cache
def guard() -> Guards:
    """One for all: its machine code is never freed."""
    return guards_of(plan_of(), len(data().symbols))


def run(plan: Plan, bars: int) -> list[Outputs]:
    engine = Engine(plan, data().symbols, {"instruments": data().instruments}, depth=data().depth, guard=guard())
    return [engine.advance(Chunk(rows.time, data().inputs(rows))) for rows in data().chunks(bars)]


def tried(overrides: Sequence[str]) -> str:
    """`refused`, with the sentence of a contradiction, or `ran`."""
    project = defaults()
    mine = {text.partition("=")[0] for text in overrides}
    base = [text for text in BELIEF if text.partition("=")[0] not in mine]
    try:
        configs = load_configs(project, (*base, *overrides))
    except ConfigError as error:
        assert "input should be" not in str(error), error
        return "refused"
    plan = make_plan(load(project.wiring), configs)
    whole = run(plan, 150)
    ledger: Any = [np.asarray(part.values["l97_ledger"].equity) for part in whole]
    assert np.isfinite(np.concatenate(ledger)).all()
    assert not [found for part in whole if (found := beyond_caps(part.values, configs["risk"])) is not None]
    pieces, cut = flat(plan, whole), flat(plan, run(plan, 37))
    for name, node in pieces.items():
        assert not node_differs(node, cut[name]), name
    return "ran"


def at_bounds(key: Key) -> list[str]:
    return [key.override(key.least), key.override(key.most)]


@pytest.mark.parametrize("key", KEYS[::IN_CI], ids=lambda key: f"{key.domain}.{key.name}")
def test_a_setting_at_its_bounds(key: Key) -> None:
    for override in at_bounds(key):
        tried([override])


@pytest.mark.long
@pytest.mark.parametrize("key", KEYS, ids=lambda key: f"{key.domain}.{key.name}")
def test_every_setting_at_its_bounds(key: Key) -> None:
    for override in at_bounds(key):
        tried([override])


def check(examples: int) -> None:
    """Several settings at once, each at a bound or anywhere between."""
    outcomes = set()
    one = st.sampled_from(KEYS).flatmap(
        lambda key: st.tuples(st.just(key), st.sampled_from((0.0, 1.0)) | st.floats(0.0, 1.0)).map(
            lambda drawn: drawn[0].override(_between(drawn[0], drawn[1]))
        )
    )

    @settings(max_examples=examples)
    @given(st.lists(one, min_size=2, max_size=8, unique_by=lambda text: text.partition("=")[0]))
    def some(overrides: list[str]) -> None:
        outcomes.add(tried(overrides))

    some()
    assert "ran" in outcomes


def _between(key: Key, share: float) -> float:
    """Evenly in size where the bounds lie many orders apart."""
    if key.least > 0.0 and key.most / key.least > 1e3:
        value = key.least * (key.most / key.least) ** share
    else:
        value = key.least + share * (key.most - key.least)
    return min(max(float(round(value)) if key.whole else value, key.least), key.most)


def test_several_settings_at_once() -> None:
    check(20)


@pytest.mark.long
def test_many_settings_at_once() -> None:
    check(1000)
