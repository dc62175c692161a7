"""The guards of a single bar: bounds and rules over its flat outputs, with the meaning that they have in `limits.py`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numba
import numpy as np

from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import fixed_kernel
from drivers.engine.limits import KINDS, ORDERED, TOTAL, Bounded, Place, Ruled
from drivers.engine.one_bar.flat import Layout

nb: Any = numba  # its own annotations leave out what a compiler's user needs

FLOAT, FIRST, STEP, COUNT = range(4)
"""Columns of the table of a rule's parts: whether it is float64, where it begins, from one symbol to the next, how many."""


def within(values: Any, low: Floats, high: Floats, nullable: Ints) -> bool:
    """Whether low <= x <= high for every value, or x is NaN where `nullable` is 1."""
    bad = 0
    for i in range(values.shape[0]):
        x = values[i]
        bad += 0 if low[i] <= x <= high[i] or (nullable[i] != 0 and x != x) else 1
    return bad == 0


def rules_hold(f8: Floats, i8: Ints, rules: Ints, numbers: Floats, parts: Ints) -> bool:
    """Whether every rule holds for every symbol whose columns are all known.

    rules: (R, 3): a KINDS index, the rule's first and last part. numbers: (R, 2): value of the sum, tolerance. parts: (P, 4).
    """
    for r in range(rules.shape[0]):
        kind, first, last = rules[r, 0], rules[r, 1], rules[r, 2]
        symbols = 1
        for k in range(first, last + 1):
            symbols = max(symbols, parts[k, COUNT])
        for n in range(symbols):
            total = math.nan if kind == ORDERED else 0.0
            for k in range(first, last + 1):
                at = parts[k, FIRST] + parts[k, STEP] * n
                x = f8[at] if parts[k, FLOAT] != 0 else float(i8[at])
                if kind != ORDERED:
                    total += (-1.0 if kind == TOTAL and k == last else 1.0) * x
                elif total - x > numbers[r, 1]:
                    return False
                else:
                    total = x
            if kind != ORDERED and not math.fabs(total - numbers[r, 0]) <= numbers[r, 1] and total == total:
                return False
    return True


class FlatLimits:
    """Bounds and rules of all domains over one layout."""

    def __init__(self, layout: Layout, bounds: Sequence[Bounded], rules: Sequence[Ruled]) -> None:
        self._f8, self._i8 = self._bounds(layout, bounds, "f8"), self._bounds(layout, bounds, "i8")
        parts = [self._part(layout, place) for rule in rules for place in rule.places]
        last = np.cumsum([len(rule.places) for rule in rules], dtype=np.int64) - 1
        kinds = [(KINDS.index(r.rule.kind), end - len(r.places) + 1, end) for r, end in zip(rules, last, strict=True)]
        numbers = [(r.rule.value if r.rule.kind == "sum" else 0.0, r.rule.tolerance) for r in rules]
        self._rules = (
            np.array(kinds, np.int64).reshape(-1, 3),
            np.array(numbers, np.float64).reshape(-1, 2),
            np.array(parts, np.int64).reshape(-1, 4),
        )
        f8, i8 = nb.float64[::1], nb.int64[::1]
        # They keep Python's lock (nogil=False), as `rows.put` does.
        self._within_f8 = fixed_kernel(within, (f8, f8, f8, i8), nogil=False)
        self._within_i8 = fixed_kernel(within, (i8, f8, f8, i8), nogil=False)
        table = nb.int64[:, ::1]
        self._rules_hold = fixed_kernel(rules_hold, (f8, i8, table, nb.float64[:, ::1], table), nogil=False)

    @staticmethod
    def _bounds(layout: Layout, bounds: Sequence[Bounded], dtype: str) -> tuple[Floats, Floats, Ints]:
        size = layout.size[dtype]
        low, high, nullable = np.full(size, -math.inf), np.full(size, math.inf), np.ones(size, np.int64)
        for bound in bounds:
            leaf = layout.leaves[bound.place.node, bound.place.path]
            if leaf.dtype == dtype:
                low[leaf.start : leaf.stop], high[leaf.start : leaf.stop] = bound.low, bound.high
                nullable[leaf.start : leaf.stop] = bound.nullable
        return low, high, nullable

    @staticmethod
    def _part(layout: Layout, place: Place) -> tuple[int, int, int, int]:
        leaf = layout.leaves[place.node, place.path]
        symbols = leaf.shape[1] if place.axes else 1
        step = 0 if symbols == 1 else leaf.shape[2] if place.part >= 0 else 1
        return int(leaf.dtype == "f8"), leaf.start + max(place.part, 0), step, symbols

    def hold(self, f8: Floats, i8: Ints) -> bool:
        """Whether the outputs of a bar are within all bounds, and all rules hold."""
        return bool(
            self._within_f8(f8, *self._f8) and self._within_i8(i8, *self._i8) and self._rules_hold(f8, i8, *self._rules)
        )
