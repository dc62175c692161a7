"""Settings of the pattern domain."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from dataflows.config import setting


class PatternConfig(NamedTuple):
    """What counts as each pattern, and how long an occurrence lives."""

    break_quiet_bars: Annotated[
        int, setting("bars", "L26, L27: a break is the first close beyond its side of the channel for so long", ge=1)
    ] = 30
    confirmed_volume_bars: Annotated[int, setting("bars", "L26: bars that the volume of a break is compared with", ge=2)] = 240
    confirmed_volume_z: Annotated[float, setting("deviations", "L26: least volume of a break", gt=0)] = 1.0
    confirmed_flow_z: Annotated[float, setting("deviations", "L26: least order flow to the side of the break", gt=0)] = 1.0
    confirmed_life_bars: Annotated[int, setting("bars", "L26: longest life of an occurrence", ge=1)] = 30
    failed_within_bars: Annotated[int, setting("bars", "L27: a break that fails does so within", ge=1)] = 10
    failed_margin_atr: Annotated[float, setting("ATR", "L27: how far back inside the close must lie", ge=0)] = 0.25
    failed_life_bars: Annotated[int, setting("bars", "L27: longest life of an occurrence", ge=1)] = 30
