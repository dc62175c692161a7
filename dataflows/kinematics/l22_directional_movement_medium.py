"""L22: which way closed 60-bars reach, and how steadily."""

from __future__ import annotations

from typing import NamedTuple

from dataflows.data.types import Market
from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.directional import DirectionalMovement, directional_movement
from dataflows.kinematics.types import Directional
from dataflows.layer import layer


class DirectionalMediumCarry(NamedTuple):
    """What L22 needs of the past."""

    movement: DirectionalMovement


@layer("L22")
def l22_directional_movement_medium(
    l0_market_feed: Market, kinematics: KinematicsConfig, carry: DirectionalMediumCarry
) -> Directional:
    """Wilder's directional movement on closed 60-bars, `directional_medium_period` of them. Panels (T, N).

    adx, plus_di, minus_di in [0, 100]. score in [-1, 1]: the two directions' difference over their sum, times adx over
    `directional_full_adx`, at most 1. All 0 where nothing moved. Changes only on the base bar that closes a 60-bar; held
    between. NaN until the period is whole, adx and score until two are. Source: Wilder (1978).
    """
    bars = l0_market_feed.bars_60
    adx, plus_di, minus_di, score = directional_movement(
        bars.high,
        bars.low,
        bars.close,
        bars.closed,
        kinematics.directional_medium_period,
        kinematics.directional_full_adx,
        carry.movement,
    )
    return Directional(adx, plus_di, minus_di, score)
