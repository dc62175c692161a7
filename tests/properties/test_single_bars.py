"""The native form of single bars: the bits of the batch, for every layer, in every way that a stream goes."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest

from dataflows.data.types import OPERATOR_FLATTEN, OPERATOR_HALT, Observations
from dataflows.panel import leaves
from dataflows.runtime.compile import inner_kernel
from drivers.engine.checkpoint import restore, save
from drivers.engine.chunk import Chunk, Instant, Outputs, cut
from drivers.engine.engine import Engine
from drivers.engine.loop.layer_types import compile_once
from drivers.engine.one_bar.ahead import takes_of
from drivers.engine.one_bar.layers import native_form
from drivers.engine.promises import BoundaryError
from tests.properties.graph import differs, engine_of, flat, guards_of, node_differs, plan_of, run
from tests.properties.market import instruments, market

PLAN = plan_of()
LAYERS = list(PLAN.nodes)
BARS = {1: 1000, 3: 2400}
"""By number of symbols; a midnight comes after bar 900."""


def single(symbols: int, **more: Any) -> Engine:
    engine = engine_of(PLAN, instruments(symbols), 5, **more)
    engine.warm_up_single_bars()
    return engine


@functools.cache
def batch(symbols: int) -> tuple[dict[str, dict[str, Any]], Engine]:
    engine = engine_of(PLAN, instruments(symbols), 5)
    return flat(PLAN, run(engine, market(BARS[symbols], symbols))), engine


@functools.cache
def streamed(symbols: int) -> tuple[dict[str, dict[str, Any]], Engine]:
    engine = single(symbols, guard=guards_of(PLAN, symbols))
    return flat(PLAN, run(engine, market(BARS[symbols], symbols), range(2400))), engine


def test_no_layer_runs_in_python() -> None:
    one_bar = streamed(1)[1].one_bar
    assert one_bar is not None
    assert not one_bar.market.apart
    assert not one_bar.post.apart


def test_helpers_compile_layers_for_the_types_that_a_stream_asks_for() -> None:
    """By annotations they cannot know that an array is not contiguous; more layers than these would be compiled twice."""
    streamed(1)
    nodes = [node for stage in ("columnar", "post") for node in PLAN.stage[stage]]
    others = {n.layer_id for n in nodes if takes_of(PLAN, n) not in compile_once(native_form(n.fn), inner_kernel).overloads}
    assert others == {"L25", "L49"}


@pytest.mark.parametrize("symbols", [1, 3])
@pytest.mark.parametrize("layer", LAYERS)
def test_single_bars_equal_the_batch(layer: str, symbols: int) -> None:
    assert not node_differs(batch(symbols)[0][layer], streamed(symbols)[0][layer])


def test_the_memory_is_that_of_bars_that_run_in_python() -> None:
    """To the byte, also what is left of logs that were longer: a journal compares it."""
    a, b = engine_of(PLAN, instruments(1), 5), single(1)
    for engine in (a, b):
        run(engine, market(BARS[1], 1), (600, *range(601, 1000)))  # the last 400 are single, with a midnight among them
    assert a.arena.f8.tobytes() == b.arena.f8.tobytes()
    assert a.arena.i8.tobytes() == b.arena.i8.tobytes()


def test_chunks_and_single_bars_by_turns_equal_the_batch() -> None:
    found = flat(PLAN, run(single(3), market(symbols=3), (*range(300, 420), 700, *range(890, 910))))
    for layer in LAYERS:
        assert not node_differs(batch(3)[0][layer], found[layer]), layer


@pytest.mark.parametrize("at", [137, 900])
def test_a_checkpoint_of_one_way_is_gone_on_from_in_the_other(at: int) -> None:
    data = market(symbols=3)
    first, second = single(3), engine_of(PLAN, instruments(3), 5)
    if at % 2 == 0:
        first, second = second, single(3)
    steps = {True: 1, False: 9}  # bars at a time, by whether the native form is there
    outputs = run(first, cut(data, Observations, 0, at), range(0, at, steps[first.one_bar is not None]))
    restore(second, save(first))
    outputs += run(second, cut(data, Observations, at, 1000), range(0, 1000 - at, steps[second.one_bar is not None]))
    for layer, found in flat(PLAN, outputs).items():
        fields = {field: x[: len(found[field])] for field, x in batch(3)[0][layer].items()}
        if PLAN.nodes[layer].schedule != "epoch" and "n" not in PLAN.nodes[layer].returns.__dict__:
            assert not node_differs(fields, found), layer


def test_between_single_bars_the_operator_acts_as_between_others() -> None:
    data = market(symbols=3)

    def commanded(engine: Engine) -> list[Outputs]:
        engine.advance(Chunk(data.time[:900], {"observations": cut(data, Observations, 0, 900)}))
        made = []
        for t in range(900, 1150):
            made.append(engine.advance(Chunk(data.time[t : t + 1], {"observations": cut(data, Observations, t, t + 1)})))
            if t in (1000, 1050):
                made.append(engine.react(Instant(engine.last_time + 1, OPERATOR_HALT if t == 1000 else OPERATOR_FLATTEN)))
        return made

    ours, theirs = commanded(single(3)), commanded(engine_of(PLAN, instruments(3), 5))
    for a, b in zip(ours, theirs, strict=True):
        assert list(a.values) == list(b.values)
        for name in a.values:  # also what an instant between two bars gave, when later bars have run
            for x, y in zip(leaves(a.values[name]), leaves(b.values[name]), strict=True):
                assert x is y is None or not differs(np.asarray(x), np.asarray(y)), name
    bars = [i for i, made in enumerate(theirs) if len(made.values) > 80]
    found, wanted = flat(PLAN, [ours[i] for i in bars]), flat(PLAN, [theirs[i] for i in bars])
    for layer in wanted:
        assert not node_differs(wanted[layer], found[layer]), layer


def test_the_outputs_of_a_bar_stay_what_they_were() -> None:
    data, engine = market(symbols=3), single(3)
    outputs = [
        engine.advance(Chunk(data.time[t : t + 1], {"observations": cut(data, Observations, t, t + 1)})) for t in range(2)
    ]
    assert (outputs[0].values["l0_market_feed"].bars.close == data.close[:1])[:, :2].all()


def test_flat_guards_refuse_what_the_guards_refuse() -> None:
    """Every bounded leaf, moved out of its bounds."""
    engine = single(3, guard=guards_of(PLAN, 3))
    data, guard = market(symbols=3), engine.guard
    engine.advance(Chunk(data.time[:1], {"observations": cut(data, Observations, 0, 1)}))
    one_bar = engine.one_bar
    assert one_bar is not None
    hold = one_bar._hold
    assert hold is not None
    assert hold(one_bar.f8, one_bar.i8)
    refused = 0
    for bound in [x for g in guard._made for x in g.bounded]:  # type: ignore[union-attr]
        leaf = one_bar.layout.leaves[bound.place.node, bound.place.path]
        if leaf.dtype != "f8" or not bound.high < np.inf:
            continue
        f8 = one_bar.f8.copy()
        f8[leaf.stop - 1] = np.inf if bound.high > 1e300 else np.nextafter(bound.high, np.inf)
        assert not hold(f8, one_bar.i8), leaf
        refused += 1
    assert refused > 200
    one_bar.values["l4_risk_gate"].target_weight[...] = np.inf
    with pytest.raises(BoundaryError, match="target_weight"):
        one_bar._check(data.time[:1], {})
