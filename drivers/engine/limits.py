"""What guards cost a bar: bounds and rules of all domains, checked over tuples of one length and type.

A function of the leaves themselves would be compiled for each of their hundreds. Here a tuple holds `MOST` panels of one type,
the loop runs inside, and three short kernels serve every graph.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numba
import numpy as np

from dataflows.panel import Floats, Ints
from dataflows.rules import Rule
from dataflows.runtime.compile import fixed_kernel

nb: Any = numba  # its own annotations leave out what a compiler's user needs

KINDS: Final = ("sum", "ordered", "total")
_, ORDERED, TOTAL = range(3)
MOST: Final = 60
"""Panels in a tuple: numba's compile time grows with it, and so does what an unused place costs."""


class Place(NamedTuple):
    """Where a panel is found in the values by node."""

    node: str
    path: tuple[str, ...]
    dtype: str
    axes: int  # 0: a series, 1: a panel, 2: a stack
    part: int = -1  # of a stack; -1: all of it

    @property
    def source(self) -> str:
        """Source of the panel (T, N), of a series (T, 1), of a stack (T, N * K)."""
        leaf = f"v[{self.node!r}]{''.join(f'.{name}' for name in self.path)}"
        if self.part >= 0:
            return f"np.ascontiguousarray({leaf}[:, :, {self.part}])"
        return leaf + ("[:, None]", "", f".reshape(len({leaf}), -1)")[self.axes]


class Bounded(NamedTuple):
    """A leaf and what it may hold: low <= x <= high, and NaN where `nullable`."""

    place: Place
    low: float
    high: float
    nullable: bool


class Ruled(NamedTuple):
    """A rule and where its columns are."""

    rule: Rule
    places: tuple[Place, ...]


def bounded(panels: Any, bounds: Floats) -> int:
    """Place of the first panel with a value outside of its bounds, or NaN where it may not be NaN; -1 where there is none.

    panels: tuple of (T, N). bounds: (len(panels), 3): low, high, and 1.0 where NaN may be.
    """
    for k in range(len(panels)):
        panel, low, high, nullable = panels[k], bounds[k, 0], bounds[k, 1], bounds[k, 2] != 0.0
        flat, bad = panel.reshape(panel.size), 0
        for i in range(flat.shape[0]):
            x = flat[i]
            bad += 0 if low <= x <= high or (nullable and x != x) else 1  # no way out of the loop: so it takes eight at a time
        if bad > 0:
            return k
    return -1


def ruled(panels: Any, rules: Ints, numbers: Floats) -> int:
    """Place of the first rule that does not hold in a row where all its columns are known; -1 where there is none.

    panels: tuple of (T, N), a series as (T, 1). rules: (R, 3): a KINDS index, the rule's first and last panel. numbers: (R, 2):
    value of the sum, tolerance.
    """
    for r in range(rules.shape[0]):
        kind, first, last = rules[r, 0], rules[r, 1], rules[r, 2]
        bars, symbols = panels[first].shape[0], 1
        for k in range(first, last + 1):
            symbols = max(symbols, panels[k].shape[1])
        total = np.full((bars, symbols), math.nan if kind == ORDERED else 0.0)
        for k in range(first, last + 1):
            panel, alone, sign = panels[k], panels[k].shape[1] == 1, -1.0 if kind == TOTAL and k == last else 1.0
            for t in range(bars):
                for n in range(symbols):
                    x = panel[t, 0 if alone else n]
                    if kind != ORDERED:
                        total[t, n] += sign * x
                    elif total[t, n] - x > numbers[r, 1]:
                        return r
                    else:
                        total[t, n] = x
        if kind != ORDERED:
            for t in range(bars):
                for n in range(symbols):
                    if not math.fabs(total[t, n] - numbers[r, 0]) <= numbers[r, 1] and total[t, n] == total[t, n]:
                        return r
    return -1


Check = Callable[[Mapping[str, Any]], int]


def all_hold(leaves: Sequence[Bounded], rules: Sequence[Ruled]) -> Callable[[Mapping[str, Any]], bool]:
    """A function of values by node that says whether every leaf is within its bounds and every rule holds."""
    checks = [*_bounds(leaves, "f8"), *_bounds(leaves, "i8"), *_rules(rules)]
    return lambda values: all(check(values) < 0 for check in checks)


def _bounds(leaves: Sequence[Bounded], dtype: str) -> Iterator[Check]:
    own = [leaf for leaf in leaves if leaf.place.dtype == dtype]
    for first in range(0, len(own), MOST):
        part = own[first : first + MOST]
        gather = _gatherer([leaf.place.source for leaf in part], dtype, MOST)
        bounds = np.zeros((MOST, 3))
        bounds[: len(part)] = [(leaf.low, leaf.high, float(leaf.nullable)) for leaf in part]
        yield functools.partial(_call, _compiled(bounded, dtype, MOST, nb.float64[:, ::1]), gather, (bounds,))


def _rules(rules: Iterable[Ruled]) -> Iterator[Check]:
    """Rules are of numbers: whole ones are turned into floats, as pandera does."""
    rules = list(rules)
    most = max([MOST, *(len(r.places) for r in rules)])
    while rules:
        columns: list[Place] = []
        codes, numbers = [], []
        while rules and len(columns) + len(rules[0].places) <= most:
            rule, places = rules.pop(0)
            codes.append((KINDS.index(rule.kind), len(columns), len(columns) + len(places) - 1))
            numbers.append((rule.value if rule.kind == "sum" else 0.0, rule.tolerance))
            columns += places
        find = _compiled(ruled, "f8", most, nb.int64[:, ::1], nb.float64[:, ::1])
        sources = [c.source + ("" if c.dtype == "f8" else ".astype(float)") for c in columns]
        yield functools.partial(_call, find, _gatherer(sources, "f8", most), (np.array(codes, np.int64), np.array(numbers)))


def _call(which: Callable[..., int], gather: Callable[[Any], Any], more: tuple[Any, ...], values: Mapping[str, Any]) -> int:
    panels = gather(values)
    try:
        return which(panels, *more)
    except TypeError:  # one is not contiguous, and for such there is no machine code
        return which(tuple(map(np.ascontiguousarray, panels)), *more)


def compile_limits() -> None:
    """Compiles, or loads, the kernels that every graph needs."""
    _compiled(bounded, "f8", MOST, nb.float64[:, ::1])
    _compiled(bounded, "i8", MOST, nb.float64[:, ::1])
    _compiled(ruled, "f8", MOST, nb.int64[:, ::1], nb.float64[:, ::1])


@functools.cache
def _compiled(fn: Callable[..., int], dtype: str, most: int, *more: Any) -> Callable[..., int]:
    element = nb.float64 if dtype == "f8" else nb.int64
    panel = nb.types.Array(element, 2, "C", readonly=True)  # also what may be written
    return fixed_kernel(fn, (nb.types.UniTuple(panel, most), *more))


def _gatherer(sources: Sequence[str], dtype: str, most: int) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """Straight-line code that takes panels out of the values by node; empty ones fill the tuple."""
    nothing = np.empty((1, 0), np.float64 if dtype == "f8" else np.int64)
    namespace: dict[str, Any] = {"np": np, "rest": (nothing,) * (most - len(sources))}
    exec(f"def gather(v): return ({''.join(f'{source}, ' for source in sources)}*rest,)", namespace)
    gather: Callable[[Mapping[str, Any]], tuple[Any, ...]] = namespace["gather"]
    return gather
