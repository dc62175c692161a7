"""Carries are lent to compiled code; other records are not."""

from __future__ import annotations

import sys
from typing import Any, NamedTuple

import numba as nb
import numpy as np

from dataflows.data.types import Bars
from dataflows.fusion.l67_expectancy import ExpectancyCarry
from dataflows.kernels.window import Lag
from dataflows.panel import Floats
from dataflows.runtime.compile import kernel
from dataflows.runtime.lent import HelperCompiler, is_carry


class _Plain(NamedTuple):
    ring: Floats
    pos: Floats


@kernel
def _sum_of_first(state: Lag, bars: int) -> float:
    total = 0.0
    for t in range(bars):
        total += _one(state, t)
    return total


@kernel
def _one(state: Lag, t: int) -> float:
    state.pos[0] += 1
    return float(state.ring[t, 0])


@kernel
def _whole(state: Lag) -> Floats:
    return state.ring


def test_a_record_is_a_carry_by_its_annotations() -> None:
    assert is_carry(Lag)
    assert is_carry(ExpectancyCarry)
    assert not is_carry(Bars)
    assert not is_carry(_Plain)


def test_the_caller_s_arrays_are_read_and_written_and_stay_the_caller_s() -> None:
    ring, pos = np.arange(12.0).reshape(6, 2), np.zeros(2, np.int64)
    state = Lag(ring, pos)
    before = sys.getrefcount(ring), sys.getrefcount(pos)
    assert _sum_of_first(state, 6) == 30.0
    assert pos[0] == 6
    assert (sys.getrefcount(ring), sys.getrefcount(pos)) == before


def test_an_array_that_comes_back_whole_is_the_caller_s_own() -> None:
    state = Lag(np.ones((3, 1)), np.zeros(1, np.int64))
    assert _whole(state) is state.ring


@kernel
def _sum(x: Floats) -> float:
    total = 0.0
    for v in x:
        total += v
    return total


@kernel
def _sums_of_a_scratch(rows: int) -> float:
    scratch = np.empty(3)
    total = 0.0
    for row in range(rows):
        scratch[:] = row
        total += _sum(scratch)
    return total


@kernel
def _from_second(x: Floats) -> Floats:
    return x[1:]


@kernel
def _part_of_a_scratch(size: int) -> Floats:
    scratch = np.empty(size)
    for i in range(size):
        scratch[i] = i
    return _from_second(scratch)


def _code_of_helper(function: Any) -> str:
    """What LLVM makes of a kernel that compiled code calls, compiled now: a cache keeps no such text."""
    compiled = nb.njit(pipeline_class=HelperCompiler)(function.py_func)
    compiled.compile((nb.float64[::1],))
    (code,) = compiled.inspect_llvm().values()
    return str(code)


def test_a_helper_counts_no_references_to_what_it_is_given() -> None:
    assert _sums_of_a_scratch(4) == 18.0
    assert "call void @NRT_incref" not in _code_of_helper(_sum)


def test_what_a_helper_gives_of_its_caller_s_array_outlives_the_caller() -> None:
    parts = [_part_of_a_scratch(size) for size in (500, 500, 1000)]
    assert [part.tolist() for part in parts] == [list(range(1, size)) for size in (500, 500, 1000)]
    assert "call void @NRT_incref" in _code_of_helper(_from_second)
