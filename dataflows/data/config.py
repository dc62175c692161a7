"""Configuration of the data domain."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Annotated, NamedTuple

from dataflows.config import setting


class DataConfig(NamedTuple):
    """The clock, and what counts as a gap or as an outlier."""

    bars_a_day: Annotated[
        int,
        setting("bars", "base bars of a usual trading day: 1440 minutes where the market never closes", ge=1, from_data=True),
    ] = 1440
    minutes_a_bar: Annotated[float, setting("minutes", "length of a base bar", gt=0, le=1440, from_data=True)] = 1.0
    days_a_year: Annotated[
        float, setting("days", "trading days a year: 365 where the market never closes, 252 at most exchanges", from_data=True)
    ] = 365.0
    pace: Annotated[
        float,
        setting(
            "factor", "times of the configuration are so many times shorter; 60: hours as minutes, for seconds", gt=0, le=1e4
        ),
    ] = 1.0
    timeframes: Annotated[
        tuple[int, int, int],
        setting(
            "bars",
            "base bars in a bar of the three higher timeframes, shortest first",
            ge=2,
            le=100_000,
            least=3,
            ladder=("5m", "15m", "1h", "4h", "1d", "1w", "2w", "4w"),
        ),
    ] = (5, 15, 60)
    max_gap: Annotated[
        int, setting("bars", "first bars of a gap that are filled flat; later ones are unknown", ge=0, least=1)
    ] = 5
    hampel_window: Annotated[int, setting("bars", "log returns that the outlier flag compares with", ge=5)] = 60
    hampel_k: Annotated[float, setting("deviations", "distance from their median that flags an outlier", gt=0)] = 10.0

    def problems(self) -> Iterator[str]:
        """Keys that contradict each other."""
        if not all(a < b for a, b in itertools.pairwise(self.timeframes)):
            yield f"timeframes is {list(self.timeframes)}; they must rise. Typical: {list(self._field_defaults['timeframes'])}."
