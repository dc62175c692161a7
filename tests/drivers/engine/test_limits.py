"""Compiled bounds and rules against pandas, over more leaves than one tuple holds."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dataflows.boundary import Rule
from drivers.engine.limits import MOST, Bounded, Place, Ruled, all_hold

BARS, SYMBOLS, PARTS = 7, 3, 4
RNG = np.random.default_rng(5)


def panels() -> dict[str, Any]:
    """Panels in [0, 1], a series, a stack and counts; one panel is strided, one may not be written."""
    made: dict[str, Any] = {f"p{i}": RNG.random((BARS, SYMBOLS)) for i in range(MOST + 5)}
    made |= {
        "series": RNG.random(BARS),
        "stack": RNG.random((BARS, SYMBOLS, PARTS)),
        "count": np.ones((BARS, SYMBOLS), np.int64),
    }
    made["p3"] = RNG.random((BARS, 2 * SYMBOLS))[:, ::2]
    made["p4"].flags.writeable = False
    return made


AXES = {"series": 0, "stack": 2}


def bounded() -> list[Bounded]:
    return [Bounded(Place(k, (), "i8" if k == "count" else "f8", AXES.get(k, 1)), 0.0, 1.0, k == "p2") for k in panels()]


def test_values_within_their_bounds_hold() -> None:
    values = panels()
    values["p2"][1, 1] = math.nan
    assert all_hold(bounded(), [])(values)


@pytest.mark.parametrize("bad", [-1e-9, 1.1, math.inf, math.nan])
@pytest.mark.parametrize(
    ("name", "at"), [("p0", (6, 2)), ("p3", (0, 0)), (f"p{MOST + 4}", (3, 1)), ("series", (6,)), ("stack", (6, 2, 3))]
)
def test_one_value_outside_is_found_wherever_it_is(name: str, at: tuple[int, ...], bad: float) -> None:
    values = panels()
    values[name][at] = bad
    assert not all_hold(bounded(), [])(values)


def test_a_count_outside_is_found() -> None:
    values = panels()
    values["count"][6, 2] = 2
    assert not all_hold(bounded(), [])(values)


@pytest.mark.parametrize("kind", ["sum", "total", "ordered"])
@pytest.mark.parametrize("seed", range(20))
def test_a_rule_holds_where_pandas_says_so(kind: str, seed: int) -> None:
    """Of a panel, a part of a stack, a series and a count: values on a coarse grid, so that many rows break the rule and many keep it."""
    rng = np.random.default_rng(seed)
    bars = int(rng.integers(1, 4))
    values: dict[str, Any] = {
        "a": rng.choice([0.0, 0.5, math.nan], (bars, 2), p=[0.5, 0.4, 0.1]),
        "b": rng.choice([0.0, 0.5], (bars, 2, 3)),
        "c": rng.choice([0.5, 1.0], bars),
        "d": rng.choice([1, 2], (bars, 2)),
    }
    rule = Rule(kind, ("a", "b", "c", "d"), value=2.0, tolerance=1e-9)
    places = (Place("a", (), "f8", 1), Place("b", (), "f8", 2, 1), Place("c", (), "f8", 0), Place("d", (), "i8", 1))
    columns = {"a": values["a"], "b": values["b"][:, :, 1], "c": np.repeat(values["c"], 2), "d": values["d"]}
    frame = pd.DataFrame({name: column.reshape(-1) for name, column in columns.items()})
    assert all_hold([], [Ruled(rule, places)])(values) == bool(rule.holds(frame).all())
