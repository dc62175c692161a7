"""No input whatsoever gets past L4's caps: the step stage, driven with hostile market, account and configuration values.

The whole compiled step loop runs, not L4 alone. Carries are overwritten with anything a float can be, and so is every panel that
the market side hands over. Whatever comes: nothing raises, no order holds a NaN, and no approved weight exceeds a cap or the
proposal, unless it lies between nothing and the position that is already there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dataflows.panel import fields_of, is_record, kind_of, leaves
from drivers.engine.engine import Chunk, Engine
from drivers.engine.plan import Plan
from drivers.project import defaults, load_configs
from drivers.validation.gate import beyond_caps, malformed
from tests.properties.graph import BELIEF, engine_of, plan_of
from tests.properties.market import MIDNIGHT, MINUTE, instruments

PLAN = plan_of()
STEP = Plan(
    [__import__(n.fn.__module__, fromlist=["x"]) for n in PLAN.nodes.values()],
    PLAN.configs,
    PLAN.delayed,
    variant={"venue": "sim"},
    only={n.name for n in PLAN.stage["step"]},
)
SYMBOLS = 2
HOSTILE = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e308, -1e308, 5e-324, 1.0, -1.0, 1e-9, 1e12, -0.5, 0.25, 100.0, 101.0]


def hostile_float() -> st.SearchStrategy[float]:
    return st.sampled_from(HOSTILE) | st.floats(width=64) | st.floats(0.0, 1.0) | st.floats(50.0, 150.0)


CODES = st.sampled_from([0, 1, 2, -1, 3, 4])


def _fill(annotation: Any, bars: int, draw: Any, sane: float) -> Any:
    """A record of panels; each leaf hostile with some probability, else a plausible number."""
    if is_record(annotation):
        return annotation(*[_fill(t, bars, draw, sane) for t in fields_of(annotation).values()])
    kind = kind_of(annotation)
    width = {"N": SYMBOLS, "K": 4, "D": 2, "table": 8}
    shape = (bars, *(width[a] for a in kind.axes))
    if kind.dtype == "i8":
        flags = draw(st.lists(CODES, min_size=2, max_size=2))
        return np.resize(np.array(flags, np.int64), shape)
    if draw(st.booleans()):
        pool = draw(st.lists(hostile_float(), min_size=3, max_size=3))
        return np.resize(np.array(pool), shape)
    return np.full(shape, sane)


@st.composite
def hostile_chunks(draw: Any) -> Chunk:
    bars = 3
    inputs = {}
    for p in STEP.recorded_inputs:
        value = _fill(STEP.hints[p], bars, draw, draw(st.sampled_from([0.01, 0.5, 100.0])))
        if p == "l0_market_feed":
            value = value._replace(time=MIDNIGHT + MINUTE * np.arange(1, bars + 1))
        inputs[p] = value
    operator = np.array(draw(st.lists(st.sampled_from([0, 0, 0, 1, 2, 3, 4, 5]), min_size=bars, max_size=bars)), np.int64)
    amount = np.array(draw(st.lists(hostile_float(), min_size=bars, max_size=bars)))
    return Chunk(MIDNIGHT + MINUTE * np.arange(1, bars + 1), inputs, operator, amount)


def _poke(engine: Engine, pool: list[float], share: float, seed: int) -> None:
    """Overwrites a share of the float state of the account with hostile values."""
    rng = np.random.default_rng(seed)
    for name in engine.plan.states:
        if name == "orders":
            continue
        for leaf in leaves(engine.arena.values[name]):
            if leaf.dtype == np.float64:
                hit = rng.random(leaf.shape) < share
                leaf[hit] = rng.choice(pool, size=int(hit.sum()))


def _check(out: Any) -> None:
    found = beyond_caps(out.values, PLAN.configs["risk"])
    assert found is None, found
    wrong = malformed(out.values["l5_execution_bridge"])
    assert wrong is None, wrong


CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def _survives(chunk: Chunk, pool: list[float], share: float, seed: int) -> None:
    engine = engine_of(STEP, instruments(SYMBOLS), 2)
    _poke(engine, pool, share, seed)
    out = engine.advance(chunk)
    out.values["l3_action_proposal"] = chunk.inputs["l3_action_proposal"]
    _check(out)


HOSTILE_CASES = {
    "chunk": hostile_chunks(),
    "pool": st.lists(hostile_float(), min_size=4, max_size=4),
    "share": st.sampled_from([0.0, 0.1, 0.7]),
    "seed": st.integers(0, 9),
}


@settings(CALM, max_examples=300)
@given(**HOSTILE_CASES)
def test_no_input_gets_past_the_caps(chunk: Chunk, pool: list[float], share: float, seed: int) -> None:
    _survives(chunk, pool, share, seed)


@pytest.mark.long
@settings(CALM, max_examples=3000, phases=(Phase.generate,))
@given(**HOSTILE_CASES)
def test_no_input_gets_past_the_caps_in_thousands_of_cases(chunk: Chunk, pool: list[float], share: float, seed: int) -> None:
    _survives(chunk, pool, share, seed)


@settings(CALM, max_examples=40)
@given(chunk=hostile_chunks(), gross=st.floats(0.05, 2.0), net=st.floats(0.01, 2.0))
def test_no_configuration_lifts_a_cap(chunk: Chunk, gross: float, net: float) -> None:
    risk = PLAN.configs["risk"]._replace(gross=gross, net=min(net, gross))
    engine = engine_of(STEP, instruments(SYMBOLS), 2)
    engine._fixed["risk"] = risk
    out = engine.advance(chunk)
    assert np.isfinite(out.values["l4_risk_gate"].target_weight).all()
    ledger = out.values["l97_ledger"]
    for t in range(3):
        if ledger.equity[t] > 0.0:
            held = ledger.position[t] * ledger.mark[t] / ledger.equity[t]
            room = np.nansum(np.abs(np.where(np.isfinite(held), held, 0.0)))
            assert np.abs(out.values["l4_risk_gate"].target_weight[t]).sum() <= max(gross, room) * (1.0 + 1e-9)


def test_a_configuration_out_of_range_never_reaches_the_loop() -> None:
    with pytest.raises(ValueError, match=r"--set risk.gross=-1"):
        load_configs(defaults(), (*BELIEF, "risk.gross=-1"))
