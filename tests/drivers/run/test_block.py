"""A block gives the outputs of single bars back as those of one chunk, to the bit."""

from __future__ import annotations

import gc
from typing import Any, NamedTuple

import numpy as np
import pytest

from dataflows.panel import Column, IntColumn, IntPanel, IntSeries, Panel, Passed, PerSymbol, Series, Stack, leaves
from drivers.engine.chunk import Outputs
from drivers.engine.one_bar.flat import FlatValues, Layout
from drivers.run.block import MOST_BARS, MOST_ROWS, Block, room_for
from drivers.run.stream import collected_at_flushes

N, K = 3, 2


class Inner(NamedTuple):
    """A record within a record."""

    level: Panel
    hidden: Passed


class Said(NamedTuple):
    """Every kind of value that a layer returns."""

    score: Panel
    code: IntPanel
    inner: Inner
    overall: Series
    count: IntSeries
    wide: Stack
    fact: PerSymbol


class Log(NamedTuple):
    """Entries that vary in number."""

    n: int
    symbol: IntColumn
    price: Column


ANNOTATIONS = {"said": Said, "single": Panel, "log": Log}


def bar(t: int, entries: int) -> Outputs:
    rng = np.random.default_rng(t)
    score = rng.normal(size=(1, N))
    score[0, t % N] = np.nan
    said = Said(
        score,
        rng.integers(-9, 9, (1, N)),
        Inner(rng.normal(size=(1, N)), None),  # type: ignore[arg-type]  # what is not recorded is None
        rng.normal(size=1),
        rng.integers(0, 9, 1),
        rng.normal(size=(1, N, K)),
        np.arange(N) * 0.5,
    )
    log = Log(entries, rng.integers(0, N, entries), rng.normal(size=entries))
    epoch = {"epoch": t} if t == 0 else {}
    values = {"said": said, "log": log, "single": rng.normal(size=(1, N))}
    return Outputs(np.array([60 * (t + 1)]), values, {"log": np.array([0, entries])}, epoch)


@pytest.mark.parametrize("entries", [[0, 0, 0, 0], [0, 2, 0, 1]])
def test_the_rows_are_those_of_the_bars(entries: list[int]) -> None:
    block = Block(ANNOTATIONS, 5)
    bars = [bar(t, n) for t, n in enumerate(entries)]
    for outputs in bars:
        block.add(outputs)
    assert block.bars == 4
    assert not block.full
    found = block.handed()()
    said: Said = found.values["said"]

    def whole(get: Any) -> Any:
        return np.concatenate([get(b.values) for b in bars])

    for made, wanted in (
        (said.score, whole(lambda v: v["said"].score)),
        (said.code, whole(lambda v: v["said"].code)),
        (said.inner.level, whole(lambda v: v["said"].inner.level)),
        (said.overall, whole(lambda v: v["said"].overall)),
        (said.count, whole(lambda v: v["said"].count)),
        (said.wide, whole(lambda v: v["said"].wide)),
        (found.values["single"], whole(lambda v: v["single"])),
        (found.values["log"].price, whole(lambda v: v["log"].price)),
        (found.values["log"].symbol, whole(lambda v: v["log"].symbol)),
    ):
        assert made.dtype == wanted.dtype
        np.testing.assert_array_equal(made, wanted)
    assert said.inner.hidden is None
    np.testing.assert_array_equal(said.fact, np.arange(N) * 0.5)
    np.testing.assert_array_equal(found.time, [60, 120, 180, 240])
    np.testing.assert_array_equal(found.offsets["log"], np.cumsum([0, *entries]))
    assert found.values["log"].n == sum(entries)
    assert list(found.values) == ["said", "log", "single"]
    assert found.epoch == {"epoch": 0}


def test_what_was_taken_stays_when_the_block_is_filled_again() -> None:
    block = Block(ANNOTATIONS, 2)
    for t in range(2):
        block.add(bar(t, 1))
    assert block.full
    first = block.handed()()
    kept = first.values["said"].score.copy()
    assert block.bars == 0
    for t in range(2, 4):
        block.add(bar(t, 0))
    np.testing.assert_array_equal(first.values["said"].score, kept)
    again = block.handed()()
    np.testing.assert_array_equal(again.values["said"].score, np.concatenate([bar(t, 0).values["said"].score for t in (2, 3)]))
    assert again.values["log"].n == 0
    assert again.epoch == {}


def test_rows_that_are_kept_for_long_keep_the_memory_of_one_block() -> None:
    block, kept = Block(ANNOTATIONS, 50), []
    for t in range(50):  # a fill after each bar: the rows wait for a row group to be full
        block.add(bar(t, t % 2))
        kept.append(block.handed()())
    scores = [outputs.values["said"].score for outputs in kept]
    assert len({id(score.base) for score in scores}) == 1
    block.add(bar(50, 0))
    assert not np.may_share_memory(scores[0].base, block.handed()().values["said"].score)
    for t, outputs in enumerate(kept):
        np.testing.assert_array_equal(outputs.values["said"].score, bar(t, 0).values["said"].score)
        np.testing.assert_array_equal(outputs.values["said"].code, bar(t, 0).values["said"].code)
        assert outputs.values["log"].n == t % 2 and outputs.time.tolist() == [60 * (t + 1)]


def test_a_part_of_the_results_ends_with_its_block() -> None:
    block = Block(ANNOTATIONS, 4)
    block.leave()
    block.add(bar(0, 0))
    first = block.handed()().values["single"]
    block.leave()
    assert (block.bars, block.full) == (0, False)
    block.add(bar(1, 2))
    assert (block.bars, block.full) == (1, False)
    second = block.handed()()
    assert not np.may_share_memory(first.base, second.values["single"])
    np.testing.assert_array_equal(second.values["single"], bar(1, 2).values["single"])
    assert second.values["log"].n == 2


def test_flat_outputs_are_the_values_that_they_are_flat_of() -> None:
    bars = [bar(t, t % 2) for t in range(3)]
    annotations = {name: value for name, value in ANNOTATIONS.items() if name != "log"}
    layout = Layout(annotations, bars[0].values)
    plain, flat = Block(ANNOTATIONS, 3), Block(ANNOTATIONS, 3)
    for outputs in bars:
        f8, i8 = layout.empty()
        for name in annotations:
            for view, leaf in zip(leaves(layout.record(name, f8, i8)), leaves(outputs.values[name]), strict=True):
                if view is not None:
                    view[...] = leaf
        log = {"log": outputs.values["log"]}
        plain.add(outputs)
        flat.add(outputs._replace(values=FlatValues(layout, f8, i8, log, list(outputs.values))))
    one, other = plain.handed()().values, flat.handed()().values
    assert list(one) == list(other)
    for name in one:
        for x, y in zip(leaves(one[name]), leaves(other[name]), strict=True):
            np.testing.assert_array_equal(x, y)


def test_tables_can_be_made_without_a_copy() -> None:
    block = Block(ANNOTATIONS, 9)
    for t in range(4):
        block.add(bar(t, 0))
    said = block.handed()().values["said"]
    assert all(leaf.flags.c_contiguous for leaf in (said.score, said.code, said.wide, said.overall))


def test_a_block_is_bounded_in_bars_and_in_rows() -> None:
    assert room_for(1) == MOST_BARS
    assert (room_for(200) - 1) * 200 < MOST_ROWS <= room_for(200) * 200
    assert room_for(10 * MOST_ROWS) == 1


def test_garbage_is_collected_at_flushes_alone_and_afterwards_as_before() -> None:
    assert gc.isenabled()
    with collected_at_flushes():
        assert not gc.isenabled()
        assert gc.get_freeze_count() > 0
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0
    gc.disable()
    try:
        with pytest.raises(KeyError), collected_at_flushes():
            raise KeyError
        assert not gc.isenabled()
    finally:
        gc.enable()
