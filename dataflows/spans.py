"""Times in the configuration, and the numbers of bars that they are at a data set's clock.

A key of the configuration that stands for time is written as time, `30m`, `4h`, `1d`, and becomes bars where the clock of the
data is known: once, before any layer sees it. `d` and `w` are a day and a week of trading, so that `1d` is one session of an
exchange and not 24 hours. A whole number is taken as it is: that many bars.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

SECONDS: Final = {"s": 1, "m": 60, "h": 3_600}
DAYS: Final = ("d", "w")
PATTERN: Final = r"^\d+(\.\d+)?[smhdw]$"
"""A time, as it is written."""

_TIME: Final = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


class BarClock(NamedTuple):
    """The bars of a market: how long one is, and how many there are in a day and a week of trading. By default 24/7 minutes."""

    seconds: int = 60
    day: int = 1_440
    week: int = 10_080
    days_a_year: float = 365.0  # days of trading
    timeframes: tuple[int, ...] = (5, 15, 60)  # base bars in a bar of the three higher timeframes
    pace: float = 1.0  # by which the configuration's times are shorter

    def bars(self, text: str, unit: str) -> float:
        """A time in bars of that unit (`bars`, or those of a higher timeframe), not rounded. Raises ValueError."""
        found = _TIME.fullmatch(text.strip()) if isinstance(text, str) else None
        if found is None:
            raise ValueError("write a time, as 30s, 5m, 4h, 1d or 2w, or a whole number of bars")
        count, of = float(found[1]), found[2]
        base = count * (self.day if of == "d" else self.week) if of in DAYS else count * SECONDS[of] / self.seconds
        return base / self.pace / self.base_bars(unit)

    def base_bars(self, unit: str) -> int:
        """Base bars in one of the unit."""
        return self.timeframes[TIMEFRAMES.index(unit)] if unit in TIMEFRAMES else 1

    def __str__(self) -> str:
        for of, seconds in (("d", 86_400), ("h", 3_600), ("m", 60)):
            if self.seconds % seconds == 0:
                return f"{self.seconds // seconds}{of}"
        return f"{self.seconds}s"


TIMEFRAMES: Final = ("5-bars", "15-bars", "60-bars")
"""Units of the three higher timeframes, named by their base bars at a clock of a minute."""

MINUTES: Final = BarClock()


class Span(NamedTuple):
    """How a key that stands for time becomes bars."""

    unit: str
    least: float  # bars: a time is never fewer
    ladder: tuple[str, ...]  # what the file says where that is more than the key's own number at minutes

    def bars(self, value: Any, clock: BarClock, *, places: int | None, whole: bool) -> Any:
        """The value in bars: of a number itself, of a time its bars, of more times than there are places the first that fit.

        places: of a tuple, None for one number. Times that make fewer than `least` bars, or no more than the place before,
        are left out while there are others for the places; else they become `least`. Raises ValueError.
        """
        given = list(value) if isinstance(value, (list, tuple)) else [value]
        if not any(isinstance(v, str) for v in given):
            return value
        exact = [clock.bars(v, self.unit) if isinstance(v, str) else v for v in given]
        made = self._chosen([int(v + 0.5) if whole else float(v) for v in exact], places or 1)
        return tuple(made) if places is not None else made[0]

    def _chosen(self, bars: Sequence[float], places: int) -> list[float]:
        spare = len(bars) - places
        kept: list[float] = []
        for v in bars:
            if spare > 0 and (v < self.least or (kept and v <= kept[-1])):
                spare -= 1
            else:
                kept.append(max(v, type(v)(self.least)))
        return kept[:places]

    def written(self, value: Any) -> Any:
        """The key's number or numbers at minutes, as the file says them."""
        if self.ladder:
            return self.ladder if isinstance(value, tuple) or len(self.ladder) > 1 else self.ladder[0]
        return tuple(self._time(v) for v in value) if isinstance(value, tuple) else self._time(value)

    def _time(self, bars: float) -> str:
        minutes = bars * MINUTES.base_bars(self.unit)
        for of, length in (("w", 10_080), ("d", 1_440), ("h", 60)):
            if minutes >= length and minutes % length == 0:
                return f"{minutes / length:g}{of}"
        return f"{minutes:g}m" if minutes >= 1 else f"{60.0 * minutes:g}s"
