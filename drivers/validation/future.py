"""No value depends on what comes after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from dataflows.data.types import Observations
from drivers.text.times import stamp
from drivers.validation.registry import Tested, on_stretches
from drivers.validation.replays import same
from drivers.validation.trial import Stretch

CUTS = 2
"""Random bars of a stretch at which its data end, or become others."""


def reversed_and_scaled(x: Any) -> Any:
    """The rows that come, last first, numbers a quarter larger: highs stay above lows, and nothing stays as it was."""
    return x[::-1] * 1.25 if x.dtype == np.float64 else x[::-1]


def nothing(x: Any) -> Any:
    """No observation any more."""
    return np.full_like(x, np.nan) if x.dtype == np.float64 else x


FUTURES: dict[str, Callable[[Any], Any]] = {
    "with another future from {} on": reversed_and_scaled,
    "with nothing observed from {} on": nothing,
}


def with_future(data: Observations, bars: int, change: Callable[[Any], Any]) -> Observations:
    """The observations, those after the first `bars` changed; times stay."""

    def changed(name: str, x: Any) -> Any:
        if x.ndim == 1:  # times, and what is known of trading hours beforehand
            return x
        return np.ascontiguousarray(np.concatenate([x[:bars], change(x[bars:])]))

    return Observations(**{name: changed(name, getattr(data, name)) for name in Observations._fields})


def _rows(data: Observations, first: int) -> Callable[[int, int], Observations]:
    """Reads rows of the market out of the observations that begin at row `first`."""
    return lambda a, b: Observations(**{name: x[a - first : b - first] for name, x in data._asdict().items()})


def _runs(stretch: Stretch, cut: int) -> Iterator[tuple[str, Any]]:
    at = stamp(int(stretch.observations.time[cut - stretch.first]))
    yield f"with data that end before {at}", stretch.again(end=cut)
    for how, change in FUTURES.items():
        other = with_future(stretch.observations, cut - stretch.first, change)
        yield how.format(at), stretch.again(rows=_rows(other, stretch.first)).until(cut - stretch.first)


@on_stretches("no look-ahead", "No value knows anything of the bars after it, so no result comes from seeing the future.")
def no_look_ahead(stretch: Stretch) -> Tested:
    """Data cut at random bars, and data that go on otherwise after them: all up to there must stay as it was."""
    tested = Tested()
    for cut in stretch.draw(CUTS, "future"):
        for how, other in _runs(stretch, cut):
            one = same(stretch.trial, stretch.record, other, how)
            tested = Tested(max(tested.bars, one.bars), tested.values + one.values, one.columns)
    return tested
