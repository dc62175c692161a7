"""L49: a symbol stands out of the ranks."""

from __future__ import annotations

from typing import NamedTuple

from dataflows.data.types import Market
from dataflows.kinematics.types import Momentum, Returns
from dataflows.layer import layer
from dataflows.pattern.across import Standing, standings
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.types import PatternSignal


class RelativeStrengthCarry(NamedTuple):
    """What L49 needs of the past."""

    standing: Standing


@layer("L49", cross_sectional=True)
def l49_relative_strength(
    l0_market_feed: Market,
    l2_returns_volatility: Returns,
    l21_momentum_medium: Momentum,
    pattern: PatternConfig,
    carry: RelativeStrengthCarry,
) -> PatternSignal:
    """Cross-sectional rank of medium momentum and of short-term reversal. Panels (T, N).

    Rank in [-1, 1]: symbols below less symbols above, over one less than all; of L21's score, which leaves the last 15 bars
    out, and of the return of those 15 in deviations, whose sign is turned. They are joined with weight
    `strength_momentum_share` on the first. Active from where the joint rank reaches `strength_enter` of either sign until it
    falls below `strength_leave`. side: its sign. confidence: its size. Symbols that tie count for neither side, so no name
    decides. A symbol with an unknown bar, momentum, return or volatility has no rank and is inactive; it counts for
    neither side of the others, whose ranks it so draws to 0. With fewer than `strength_least_symbols` known, none is active.
    Source: Jegadeesh and Titman (1993) for momentum with a skip; Lehmann (1990) for the reversal.
    """
    return PatternSignal(
        *standings(
            momentum=l21_momentum_medium.score,
            r_15=l2_returns_volatility.r_15,
            sigma=l2_returns_volatility.sigma,
            on=l0_market_feed.quality.valid,
            least_known=pattern.strength_least_symbols,
            share=pattern.strength_momentum_share,
            enter=pattern.strength_enter,
            leave=pattern.strength_leave,
            state=carry.standing,
        )
    )
