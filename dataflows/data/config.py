"""Configuration of the data domain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple

from dataflows.config import setting


class DataConfig(NamedTuple):
    """The clock, and what counts as a gap or as an outlier."""

    clock_seconds: Annotated[int, setting("s", "length of a base bar", ge=1, le=86_400)] = 60
    max_gap: Annotated[int, setting("bars", "first bars of a gap that are filled flat; later ones are unknown", ge=0)] = 5
    hampel_window: Annotated[int, setting("bars", "log returns that the outlier flag compares with", ge=5)] = 60
    hampel_k: Annotated[float, setting("deviations", "distance from their median that flags an outlier", gt=0)] = 10.0

    def problems(self) -> Iterator[str]:
        """Keys that contradict each other."""
        if 86_400 % self.clock_seconds:
            yield f"clock_seconds is {self.clock_seconds}; it must divide the day of 86400 s. Typical: 1, 60, 300, 3600."
