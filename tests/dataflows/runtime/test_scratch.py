"""Rows off the loop's block are what `np.full` gives, apart from each other, and still there one instant later."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import float64, int64

from dataflows.panel import Floats, Ints
from dataflows.runtime import scratch
from dataflows.runtime.compile import kernel, loop_layer, python_of
from dataflows.runtime.scratch import copied, full, turn
from drivers.engine.loop.address import address_of, by_address


@kernel
def instants(sizes: Ints, marks: Floats, opened: int) -> int:
    """In each instant a row, a table and a copy of each length, filled, then written over; the rows of one instant are read
    again in the next. Returns how many entries are not what they should be."""
    wrong = 0
    before = full(0, 0.0)
    said = 0.0
    for t in range(sizes.shape[0]):
        if opened != 0:
            turn(t)
        n, mark = sizes[t], marks[t]
        floats, ints, table = full(n, mark), full(n, t), full((2, n), mark)
        twin = copied(floats)
        codes = copied(ints)
        for i in range(n):
            wrong += 1 if floats[i] != mark or ints[i] != t or table[0, i] != mark or table[1, i] != mark else 0
            wrong += 1 if twin[i] != mark or codes[i] != t else 0
        for i in range(n):
            floats[i], ints[i], table[0, i], table[1, i], twin[i], codes[i] = (
                mark + 1.0,
                -1,
                mark + 2.0,
                mark + 3.0,
                mark + 4.0,
                -2,
            )
        for i in range(n):
            wrong += 1 if floats[i] != mark + 1.0 or ints[i] != -1 or twin[i] != mark + 4.0 or codes[i] != -2 else 0
            wrong += 1 if table[0, i] != mark + 2.0 or table[1, i] != mark + 3.0 else 0
        for i in range(before.shape[0]):
            wrong += 1 if before[i] != said + 4.0 else 0
        before, said = twin, mark
    return wrong


@kernel
def made(n: int, value: float, code: int) -> tuple[Floats, Ints, Floats]:
    """What a kernel that is called from Python hands to it."""
    row = full(n, value)
    return row, full((2, n), code), copied(row)


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    scratch.over()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3000), st.floats(-1e6, 1e6)), min_size=1, max_size=20),
    st.booleans(),
)
def test_rows_keep_their_values_apart_and_for_one_more_instant_also_where_the_block_is_too_small(
    drawn: list[tuple[int, float]], opened: bool
) -> None:
    sizes, marks = np.array([n for n, _ in drawn]), np.array([x for _, x in drawn])
    scratch.ready()
    scratch._STATE[scratch._HALF] = 1 << 14  # of a block with more: what does not fit comes from the heap
    try:
        assert instants(sizes, marks, int(opened)) == 0
    finally:
        scratch.over()
        scratch._STATE[:] = 0


def test_what_only_the_loop_runs_keeps_them_too_and_gives_back_what_did_not_fit() -> None:
    takes = int64[::1], float64[::1], int64
    layer = loop_layer(python_of(instants))
    layer.compile(takes)  # type: ignore[attr-defined]
    call, address = by_address("instants", int64, takes), address_of(layer, takes)

    @kernel
    def by_its_address(address: int, sizes: Ints, marks: Floats) -> int:
        return int(call(address, sizes, marks, 1))

    scratch.ready()
    scratch._STATE[scratch._HALF] = 1 << 14
    assert by_its_address(address, np.array([3, 5000, 0, 700, 700, 9, 9000]), np.arange(7.0)) == 0
    assert scratch._STATE[scratch._WORST] > 0
    assert scratch._STATE[scratch._YOUNG] != 0  # what the last instant took
    scratch.over()
    assert not scratch._STATE[[scratch._YOUNG, scratch._OLD]].any()
    scratch._STATE[:] = 0


def test_the_block_grows_by_what_did_not_fit_and_then_holds_it() -> None:
    scratch._STATE[:] = 0
    sizes, marks = np.array([20_000, 1, 20_000]), np.zeros(3)
    for run in range(2):
        scratch.ready()
        assert instants(sizes, marks, 1) == 0
        scratch.over()
        missed = int(scratch._STATE[scratch._WORST])
        assert (missed > 0) == (run == 0)
    assert scratch._STATE[scratch._HALF] == 1 << 20  # six rows of 160 kB an instant


@given(st.integers(0, 50), st.floats(), st.integers(-(2**63), 2**63 - 1))
def test_what_python_calls_returns_rows_of_its_own(n: int, value: float, code: int) -> None:
    """Were they cut off the block, the next call would write over them."""
    for got in (made(n, value, code), python_of(made)(n, value, code)):
        again = made(n, 0.0, 0)
        for row, wanted in zip(got, (np.full(n, value), np.full((2, n), code), np.full(n, value)), strict=True):
            np.testing.assert_array_equal(row, wanted)
            assert row.dtype == wanted.dtype
            assert row.flags.c_contiguous
            assert not any(np.shares_memory(row, other) for other in (*got, *again) if other is not row)


@pytest.mark.parametrize("call", [made, python_of(made)])
def test_a_negative_length_is_refused_compiled_as_plain(call: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match="negative dimensions are not allowed"):
        call(-1, 0.0, 0)
