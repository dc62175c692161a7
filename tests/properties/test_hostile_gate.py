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
from dataflows.risk.types import EXIT, FLATTEN, REJECTED, RUN
from drivers.engine.chunk import Chunk
from drivers.engine.engine import Engine
from drivers.engine.plan import Plan
from drivers.project.configs import load_configs
from drivers.project.locate import defaults
from drivers.validation.gate import beyond_caps, held_beyond_caps, malformed
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
    operator = np.array(draw(st.lists(st.sampled_from([0, 0, 0, 1, 2, 3, 4, 5, 6]), min_size=bars, max_size=bars)), np.int64)
    amount = np.array(draw(st.lists(hostile_float(), min_size=bars, max_size=bars)))
    whole = st.sampled_from([-1, 0, 1, SYMBOLS, -(1 << 63), (1 << 63) - 1])
    symbol, subject = (np.array(draw(st.lists(whole, min_size=bars, max_size=bars)), np.int64) for _ in range(2))
    time = MIDNIGHT + MINUTE * np.arange(1, bars + 1)
    return Chunk(time, inputs, operator, amount, symbol=symbol, subject=subject)


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
    _closes_what_must_close(out.values)


@np.errstate(all="ignore")  # hostile values make infinities of the check's own arithmetic
def _closes_what_must_close(values: Any) -> None:
    """Exits and FLATTEN give 0 whatever else is known, only RUN lets anything grow, and no reduction is refused."""
    gate, level, proposal = values["l4_risk_gate"], values["l81_kill_switch"].level, values["l3_action_proposal"]
    must = (level >= FLATTEN) | (values["l94_position_exits"].exit != 0)
    assert (
        (gate.target_weight[must] == 0.0).all() and (gate.verdict[must] == EXIT).all() and (gate.reduce_only[must] == 1).all()
    )
    grows = gate.reduce_only == 0
    assert (level[grows] == RUN).all() and (proposal.may_enter[grows] == 1).all() and (gate.stop[grows] > 0.0).all()
    ledger = values["l97_ledger"]
    held = ledger.held * ledger.mark / np.asarray(ledger.equity)[:, None]  # dust is flat: nothing can close it
    asked = proposal.side * proposal.size_fraction
    refused = gate.verdict == REJECTED
    less = np.isfinite(held) & (held != 0.0) & (asked * np.sign(held) >= 0.0) & (np.abs(asked) <= np.abs(held))
    assert not (refused & less & (np.asarray(ledger.equity)[:, None] > 0.0)).any()
    _within_the_sums(values, held, grows)


def _within_the_sums(values: Any, held: Any, grows: Any) -> None:
    """Where anything may grow, all together stay within L95's scenarios and L93's stops, counted anew from the targets."""
    risk, target = PLAN.configs["risk"], values["l4_risk_gate"].target_weight
    fixed = values["l95_tail_budget"].untradeable == 1
    counted = np.where(fixed, np.where(np.isfinite(held), held, 0.0), target)
    es, loss = values["l77_value_at_risk"].es_99_day, values["l80_scenario_stress"].loss_fraction
    known = (es > 0.0) & np.isfinite(es) & ((loss >= 0.0) & (loss <= 1.0)).all(axis=2)
    for t in np.flatnonzero(grows.any(axis=1)):
        size = np.where(known[t], np.abs(counted[t]), 0.0)
        for k in range(loss.shape[2]):
            assert size[size > 0.0] @ loss[t, size > 0.0, k] <= risk.stress_budget * (1.0 + 1e-6)
        new = np.where(grows[t], np.abs(counted[t]) - np.where(held[t] * counted[t] > 0.0, np.abs(held[t]), 0.0), 0.0)
        stop = np.where(grows[t], values["l84_stop_levels"].stop_distance[t], 0.0)
        assert (new * stop <= risk.risk_per_symbol * (1.0 + 1e-6)).all()
        assert (new * stop).sum() <= risk.risk_budget * (1.0 + 1e-6)


CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def _survives(chunk: Chunk, pool: list[float], share: float, seed: int) -> None:
    engine = engine_of(STEP, instruments(SYMBOLS), 2)
    _poke(engine, pool, share, seed)
    out = engine.advance(chunk)
    out.values.update(chunk.inputs)
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


# ---- all is well, but for a thing or two: so that increases are common, and each spoilt value stands alone

READY_PLAN = plan_of((*BELIEF, "risk.cap_volume_bars=1"))
READY = Plan(
    [__import__(n.fn.__module__, fromlist=["x"]) for n in READY_PLAN.nodes.values()],
    READY_PLAN.configs,
    READY_PLAN.delayed,
    variant={"venue": "sim"},
    only={n.name for n in READY_PLAN.stage["step"]},
)
WELL: dict[str, float] = {
    "l0_market_feed.quality.valid": 1, "l0_market_feed.quality.listed": 1, "l0_market_feed.session.is_open": 1,
    **{f"l0_market_feed.bars.{f}": 100.0 for f in ("open", "close", "vwap")},
    "l0_market_feed.bars.high": 100.05, "l0_market_feed.bars.low": 99.95,
    "l0_market_feed.quality.stale": 0.0, "l0_market_feed.bars.volume": 1e6, "l0_market_feed.funding": 0.0,
    "l3_action_proposal.side": 1, "l3_action_proposal.may_enter": 1, "l3_action_proposal.size_fraction": 0.15,
    "l3_action_proposal.edge_bps": 30.0, "l3_action_proposal.confidence": 0.7, "l3_action_proposal.freshness": 1.0,
    "l63_tradeability.liquidity_class": 1, "l63_tradeability.max_safe_notional": 1e7, "l74_tail_index.tail_index": 3.5,
    "l76_volatility_forecast.sigma_day": 0.03, "l77_value_at_risk.es_99_day": 0.1, "l80_scenario_stress.loss_fraction": 0.1,
    "l79_liquidity_stress.bars_to_liquidate": 1.0, "l83_volatility_target.fraction": 0.5, "l84_stop_levels.time_stop": 60.0,
    "l84_stop_levels.stop_distance": 0.02, "l84_stop_levels.take_profit_distance": 0.03, "l84_stop_levels.trail_distance": 0.02,
    "l8_spread_depth.mid": 100.0, "l8_spread_depth.spread_bps": 2.0,
}  # fmt: skip


def _well(annotation: Any, name: str, bars: int) -> Any:
    if is_record(annotation):
        return annotation(*[_well(t, f"{name}.{f}", bars) for f, t in fields_of(annotation).items()])
    kind = kind_of(annotation)
    width = {"N": SYMBOLS, "K": 3, "D": 2, "table": 8}
    return np.full((bars, *(width[a] for a in kind.axes)), WELL.get(name, 0.01 if kind.dtype == "f8" else 0), kind.numpy)


def well_chunk(bars: int = 3) -> Chunk:
    time = MIDNIGHT + MINUTE * np.arange(1, bars + 1)
    inputs = {p: _well(READY.hints[p], p, bars) for p in READY.recorded_inputs}
    inputs["l0_market_feed"] = inputs["l0_market_feed"]._replace(time=time)
    inputs["l3_action_proposal"] = inputs["l3_action_proposal"]._replace(
        rank=np.tile(np.arange(SYMBOLS, dtype=float), (bars, 1))
    )
    return Chunk(time, inputs, np.zeros(bars, np.int64), np.zeros(bars))


def test_where_all_is_well_positions_are_opened() -> None:
    """Else the tests below would prove nothing."""
    engine = engine_of(READY, instruments(SYMBOLS), 2)
    chunk = well_chunk()
    out = engine.advance(chunk)
    out.values.update(chunk.inputs)
    _check(out)
    gate = out.values["l4_risk_gate"]
    assert (gate.reduce_only[0] == 0).all() and (gate.target_weight[0] > 0.05).all()
    assert out.values["l97_ledger"].position[-1].min() > 0.0


@st.composite
def spoilt_chunks(draw: Any) -> Chunk:
    chunk = well_chunk()
    for _ in range(draw(st.integers(0, 3))):
        node = draw(st.sampled_from(sorted(chunk.inputs)))
        leaf = draw(st.sampled_from(leaves(chunk.inputs[node])))
        if leaf.ndim < 2:  # time
            continue
        t, n = draw(st.integers(0, 2)), draw(st.integers(0, SYMBOLS - 1))
        leaf[t, n] = draw(CODES) if leaf.dtype == np.int64 else draw(hostile_float())
    chunk.operator[:] = draw(st.lists(st.sampled_from([0] * 12 + [1, 2, 3, 4, 5]), min_size=3, max_size=3))
    chunk.amount[:] = draw(hostile_float())
    return chunk


def _stands(chunk: Chunk, positions: list[float], es_budget: float, net: float) -> None:
    engine = engine_of(READY, instruments(SYMBOLS), 2)
    engine._fixed["risk"] = PLAN.configs["risk"]._replace(es_budget=es_budget, net=net)
    for name in ("l97_ledger__carry", "l90_fills__carry", "l96_order_lifecycle__carry", "l98_reconciliation__carry"):
        engine.arena.values[name].position[:] = positions
    engine.arena.values["l97_ledger__carry"].mark[:] = 100.0
    out = engine.advance(chunk)
    out.values.update(chunk.inputs)
    _check(out)


SPOILT_CASES = {
    "chunk": spoilt_chunks(),
    "positions": st.lists(st.sampled_from([0.0, 0.0, 50.0, -50.0, 400.0, -3.0]), min_size=SYMBOLS, max_size=SYMBOLS),
    "es_budget": st.sampled_from([0.02, 0.5, 1e-9]),
    "net": st.sampled_from([0.5, 0.1]),
}


@settings(CALM, max_examples=300)
@given(**SPOILT_CASES)
def test_one_spoilt_value_gets_nothing_past_the_caps(
    chunk: Chunk, positions: list[float], es_budget: float, net: float
) -> None:
    _stands(chunk, positions, es_budget, net)


@st.composite
def books_of_both_sides(draw: Any) -> Chunk:
    """Sides that change from bar to bar, sizes that the caps must cut, and prices that move a little: nothing is hostile."""
    bars = 6
    chunk = well_chunk(bars)
    proposal = chunk.inputs["l3_action_proposal"]
    sides = draw(st.lists(st.sampled_from([1, 1, -1, -1, 0, 2]), min_size=bars * SYMBOLS, max_size=bars * SYMBOLS))
    sizes = draw(st.lists(st.floats(0.0, 0.3), min_size=bars * SYMBOLS, max_size=bars * SYMBOLS))
    proposal.side[:], proposal.size_fraction[:] = np.reshape(sides, (bars, -1)), np.reshape(sizes, (bars, -1))
    moved = 100.0 * np.exp(
        np.cumsum(
            np.reshape(draw(st.lists(st.floats(-0.005, 0.005), min_size=bars * SYMBOLS, max_size=bars * SYMBOLS)), (bars, -1)),
            axis=0,
        )
    )
    for name in ("open", "high", "low", "close", "vwap"):
        getattr(chunk.inputs["l0_market_feed"].bars, name)[:] = moved
    return chunk


def _holds_no_more(chunk: Chunk, positions: list[float], net: float, gross: float) -> Any:
    engine = engine_of(READY, instruments(SYMBOLS), 2)
    risk = PLAN.configs["risk"]._replace(es_budget=1.0, stress_budget=1.0, annual_target=1.0, gross=gross, net=net)
    engine._fixed["risk"] = risk
    for name in ("l97_ledger__carry", "l90_fills__carry", "l96_order_lifecycle__carry", "l98_reconciliation__carry"):
        engine.arena.values[name].position[:] = positions
    engine.arena.values["l97_ledger__carry"].mark[:] = 100.0
    out = engine.advance(chunk)
    out.values.update(chunk.inputs)
    for found in (beyond_caps(out.values, risk), held_beyond_caps(out.values, risk)):
        assert found is None, found
    return out.values


BOTH_SIDES = {
    "chunk": books_of_both_sides(),
    "positions": st.lists(st.sampled_from([0.0, 0.0, 50.0, -50.0, 120.0]), min_size=SYMBOLS, max_size=SYMBOLS),
    "net": st.sampled_from([0.05, 0.1, 0.3]),
    "gross": st.sampled_from([0.3, 0.5, 1.0]),
}


@settings(CALM, max_examples=150)
@given(**BOTH_SIDES)
def test_nothing_grows_beyond_the_caps_on_what_is_held(chunk: Chunk, positions: list[float], net: float, gross: float) -> None:
    _holds_no_more(chunk, positions, net, gross)


@pytest.mark.long
@settings(CALM, max_examples=5000, phases=(Phase.generate,))
@given(**BOTH_SIDES)
def test_nothing_grows_beyond_the_caps_on_what_is_held_in_thousands_of_cases(
    chunk: Chunk, positions: list[float], net: float, gross: float
) -> None:
    _holds_no_more(chunk, positions, net, gross)


def test_positions_of_both_sides_are_held_where_the_caps_are_tested() -> None:
    """Else the two tests above would prove nothing: long 0.3 and short 0.3 fill up to a net cap of 0.05 at a time."""
    chunk = well_chunk(6)
    chunk.inputs["l3_action_proposal"].side[:, 1] = -1
    values = _holds_no_more(chunk, [0.0, 0.0], 0.05, 1.0)
    held = values["l97_ledger"].position[-1] * 100.0 / values["l97_ledger"].equity[-1]
    assert held[0] > 0.06 and held[1] < -0.06 and abs(held.sum()) <= 0.05


@pytest.mark.long
@settings(CALM, max_examples=5000, phases=(Phase.generate,))
@given(**SPOILT_CASES)
def test_one_spoilt_value_gets_nothing_past_the_caps_in_thousands_of_cases(
    chunk: Chunk, positions: list[float], es_budget: float, net: float
) -> None:
    _stands(chunk, positions, es_budget, net)


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
