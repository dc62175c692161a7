"""L17: which way closed 5-bars reach, and how steadily."""

from __future__ import annotations

from typing import NamedTuple

from dataflows.data.types import Market
from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.directional import DirectionalMovement, directional_movement
from dataflows.kinematics.types import Directional
from dataflows.layer import layer


class DirectionalShortCarry(NamedTuple):
    """What L17 needs of the past."""

    movement: DirectionalMovement


@layer("L17")
def l17_directional_movement_short(
    l0_market_feed: Market, kinematics: KinematicsConfig, carry: DirectionalShortCarry
) -> Directional:
    """Wilder's directional movement on closed 5-bars, `directional_short_period` of them. Panels (T, N).

    adx, plus_di, minus_di in [0, 100]. score in [-1, 1]: the two directions' difference over their sum, times adx over
    `directional_full_adx`, at most 1. All 0 where nothing moved. Changes only on the base bar that closes a 5-bar; held
    between. NaN until the period is whole, adx and score until two are. Source: Wilder (1978).
    """
    bars = l0_market_feed.bars_5
    adx, plus_di, minus_di, score = directional_movement(
        bars.high,
        bars.low,
        bars.close,
        bars.closed,
        kinematics.directional_short_period,
        kinematics.directional_full_adx,
        carry.movement,
    )
    return Directional(adx, plus_di, minus_di, score)
