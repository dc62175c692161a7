"""L57: is this move a jump, and what part of the variance are jumps."""

from __future__ import annotations

from typing import Annotated, Final, NamedTuple

from dataflows.carry import Bind
from dataflows.data.types import DataConfig, Market
from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.jumps import Jumps, jump_threshold, jumps
from dataflows.kinematics.types import Jump, Returns
from dataflows.layer import layer

LEAST_BARS: Final = 60
"""Of the span that has a false alarm with probability `jump_level`: of one daily bar, one in ten would be a jump."""


class JumpComponentCarry(NamedTuple):
    """What L57 needs of the past."""

    jumps: Annotated[Jumps, Bind(W="jump_window_bars")]


@layer("L57")
def l57_jump_component(
    l0_market_feed: Market,
    l2_returns_volatility: Returns,
    data: DataConfig,
    kinematics: KinematicsConfig,
    carry: JumpComponentCarry,
) -> Jump:
    """Bipower variation over `jump_window_bars` valid bars, and this bar's return against that of the bars before. Panels
    (T, N).

    share in [0, 1]: part of the window's variance that is jumps; held on bars that are not valid. statistic: the return in
    deviations of the bars before, which a jump among them does not inflate, at least L2's floor; within 1000; NaN on bars
    that are not valid. is_jump: 1 where its size is above what a day of normal returns (60 bars where a day has fewer) reaches
    with probability `jump_level`. side: its sign, else 0. NaN, and 0, until the window is whole.
    Source: Barndorff-Nielsen and Shephard (2004); Lee and Mykland (2008).
    """
    threshold = jump_threshold(float(max(data.bars_a_day, LEAST_BARS)), kinematics.jump_level)
    r, floor, valid = l2_returns_volatility.r_1, l2_returns_volatility.sigma_floor, l0_market_feed.quality.valid
    return Jump(*jumps(r, floor, valid, threshold, carry.jumps))
