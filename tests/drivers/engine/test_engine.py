"""The engine on the toy graph: the same bits however the bars come, and no way to run a step twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.runtime.compile import compilation_frozen
from drivers.engine.chunk import Instant
from drivers.engine.engine import Engine, EngineError
from drivers.engine.plan import Plan
from tests.drivers.engine.conftest import MINUTE, piece, run, same_bits, toy_data, toy_engine, toy_plan, whole

DATA = toy_data()
PLAN = toy_plan()
REFERENCE = whole(PLAN, run(toy_engine(PLAN), DATA))


def test_the_reference_run_orders_learns_and_has_gaps() -> None:
    assert REFERENCE["l5_orders"].n > 100
    assert np.isnan(REFERENCE["l2_score"]).any()
    engine = toy_engine(PLAN)
    outputs = run(engine, DATA)
    assert outputs[1].epoch["l6_learn"].weights.seen[0] == 1.0
    assert (engine.arena.values["weights"].gain > 1.0).all()


@settings(max_examples=30, deadline=None)
@given(cuts=st.lists(st.integers(1, 299), max_size=40))
def test_outputs_are_the_same_bits_however_the_bars_are_cut(cuts: list[int]) -> None:
    same_bits(REFERENCE, whole(PLAN, run(toy_engine(PLAN), DATA, cuts)))


def test_a_stream_of_single_bars_is_the_batch(engine: Callable[..., Engine]) -> None:
    same_bits(REFERENCE, whole(PLAN, run(engine(), DATA, range(300))))


def test_the_compiled_loop_is_the_plain_loop(engine: Callable[..., Engine]) -> None:
    same_bits(REFERENCE, whole(PLAN, run(engine(compiled=False), DATA)))


def test_a_log_that_fills_up_ends_the_loop_early_and_changes_nothing(engine: Callable[..., Engine]) -> None:
    made = engine()
    made.slack, made.room = 0, 3  # room for one instant only
    made.advance(piece(DATA, 0, 1))
    calls = []
    loop = made._loop
    made._loop = lambda *a: calls.append(1) or loop(*a)
    assert run(made, piece(DATA, 1, 300))
    assert len(calls) > 50


def test_an_old_bar_is_refused_by_its_time(engine: Callable[..., Engine]) -> None:
    made = engine()
    made.advance(piece(DATA, 0, 50))
    with pytest.raises(EngineError, match="2025-12-31T22:50:00Z is not later than 2025-12-31T22:50:00Z"):
        made.advance(piece(DATA, 49, 60))
    made.advance(piece(DATA, 50, 60))  # the refusal left no trace


def test_a_chunk_over_an_epoch_boundary_is_refused(engine: Callable[..., Engine]) -> None:
    with pytest.raises(EngineError, match="straddles an epoch boundary"):
        engine().advance(DATA)


def test_the_midnight_bar_belongs_to_the_epoch_that_ends(engine: Callable[..., Engine]) -> None:
    made = engine()
    made.advance(piece(DATA, 0, 120))  # the last of these is stamped 00:00
    assert DATA.time[119] % made.epoch_ns == 0
    assert made.arena.values["weights"].seen[0] == 0.0
    made.advance(piece(DATA, 120, 121))
    assert made.arena.values["weights"].seen[0] == 1.0


def test_an_error_in_the_middle_of_a_chunk_poisons_the_engine(plan: Plan, engine: Callable[..., Engine]) -> None:
    made = engine()
    made.advance(piece(DATA, 0, 50))
    audit = plan.stage["post"]
    plan.stage["post"] = [audit[0]._replace(fn=lambda *a: 1 / 0)]
    try:
        with pytest.raises(ZeroDivisionError):
            made.advance(piece(DATA, 50, 60))
    finally:
        plan.stage["post"] = audit
    with pytest.raises(EngineError, match="with part of it run; restore it from a checkpoint"):
        made.advance(piece(DATA, 50, 60))
    with pytest.raises(EngineError, match="restore it from a checkpoint"):
        made.react(Instant(int(DATA.time[60]), 2))


def test_between_bars_the_operator_acts_and_nothing_per_bar_moves(engine: Callable[..., Engine]) -> None:
    made = engine()
    last = made.advance(piece(DATA, 0, 50)).values["l3_account"]
    assert np.any(last.held[-1] != 0.0)
    out = made.react(Instant(int(DATA.time[49]) + MINUTE // 2, 2)).values["l3_account"]
    assert (out.held == 0.0).all()
    assert out.bars[0] == last.bars[-1]
    assert out.equity[0] == last.equity[-1]
    with pytest.raises(EngineError, match="is not later than"):
        made.advance(piece(DATA, 49, 50))
    made.advance(piece(DATA, 50, 51))


def test_react_before_the_first_bar_is_refused(engine: Callable[..., Engine]) -> None:
    with pytest.raises(EngineError, match="no bar has been seen yet"):
        engine().react(Instant(int(DATA.time[0]), 2))


def test_outputs_of_a_bar_stay_what_they_were(engine: Callable[..., Engine]) -> None:
    made = engine()
    first = made.advance(piece(DATA, 0, 50))
    kept = whole(PLAN, [first])
    copies = {k: np.array(v, copy=True) for k, v in zip("ab", (kept["l3_account"].held, kept["l2_score"]), strict=True)}
    run(made, piece(DATA, 50, 110), range(60))
    same_bits(copies["a"], first.values["l3_account"].held)
    same_bits(copies["b"], first.values["l2_score"])


def test_after_warm_up_nothing_compiles(engine: Callable[..., Engine]) -> None:
    made = engine()
    named: list[str] = []
    made.warm_up(named.append)
    assert {"l1_feed", "l3_account", "l9_audit", "the step loop"} <= set(named)
    assert made.last_time == 0
    with compilation_frozen():
        run(made, DATA, range(0, 300, 7))


def test_a_strided_panel_after_warm_up_fails_by_name_instead_of_compiling(engine: Callable[..., Engine]) -> None:
    made = engine()
    made.warm_up()
    wide = toy_data(symbols=6)
    close = wide.inputs["observations"].close[:, ::2]
    strided = DATA._replace(inputs={"observations": DATA.inputs["observations"]._replace(close=close)})
    with compilation_frozen(), pytest.raises(TypeError, match=r"No matching definition for argument type\(s\)"):
        made.advance(strided._replace(time=strided.time - 120 * MINUTE * 3))


def test_how_many_bars_fit_is_counted_from_what_a_bar_takes(engine: Callable[..., Engine]) -> None:
    """Of three symbols: what the observations and the layers' outputs of one bar take in memory, the orders apart."""
    chunk = piece(DATA, 0, 1)
    taken = {**chunk.inputs, "clock": np.zeros(4 + 2), **engine().advance(chunk).values}
    bar = sum(np.asarray(x).nbytes for name, value in taken.items() if name != "l5_orders" for x in _leaves(value))
    assert bar >= 8 * 3 * (5 + 1)
    assert engine().bars_within(100 * bar) == 100
    assert engine().bars_within(100 * bar - 1) == 99
    assert engine().bars_within(1) == 1


def _leaves(value: object) -> list[object]:
    return [x for part in value for x in _leaves(part)] if isinstance(value, tuple) else [value]


def test_a_layer_that_gives_an_array_of_its_carry_is_refused_by_name() -> None:
    """Until it is compiled and run over a blank, nothing knows: so the warm-up refuses it, before any bar."""
    plan = toy_plan()
    node = plan.nodes["l1_feed"]

    def lends(*given: Any) -> Any:
        feed, carry = node.fn(*given), given[node.params.index("l1_feed__carry")]
        return feed._replace(before=np.broadcast_to(carry.mean[0].reshape(-1)[:1], feed.before.shape))

    replaced = node._replace(fn=lends)
    plan.nodes["l1_feed"] = replaced
    plan.stage["columnar"][plan.stage["columnar"].index(node)] = replaced
    with pytest.raises(EngineError, match="L1 l1_feed gives an array of its carry; give a copy of it"):
        toy_engine(plan).warm_up()
