"""L31: a move that releases compressed volatility."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dataflows.kinematics.types import Returns, Slope
from dataflows.layer import layer
from dataflows.pattern.compression import Release, releases
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.occurrence import PatternClock, pattern_clock
from dataflows.pattern.types import PatternSignal


class VolatilityExpansionCarry(NamedTuple):
    """What L31 needs of the past."""

    release: Release
    clock: PatternClock


@layer("L31")
def l31_volatility_expansion(
    l2_returns_volatility: Returns,
    l12_regression_slope_short: Slope,
    l30_volatility_compression: PatternSignal,
    pattern: PatternConfig,
    carry: VolatilityExpansionCarry,
) -> PatternSignal:
    """The first large move after L30's compression began, in its direction. Panels (T, N).

    Begins where the return of five bars since is `expansion_sigmas` or more of the least L2 sigma of the compression (times
    sqrt(5)), with L12's slope of the same sign, while the compression lasts or at most `expansion_within_bars` after: once for
    each. side: of the move. confidence: half for its size, half the compression's. Ends when the whole move is given back, or
    after `expansion_life_bars`. Nothing is active before a compression; bars without a return do not count. Source: Carter
    (2005), release of the squeeze; Crabel (1990), expansion after contraction; the parameters are folklore.
    """
    returns, compression = l2_returns_volatility, l30_volatility_compression
    side, confidence, refuted_at, path = releases(
        active=compression.active,
        age=compression.age,
        sure=compression.confidence,
        sigma=returns.sigma,
        r_1=returns.r_1,
        r_5=returns.r_5,
        slope=l12_regression_slope_short.slope,
        least=pattern.expansion_sigmas,
        within=pattern.expansion_within_bars,
        state=carry.release,
    )
    on = np.isfinite(returns.r_1).astype(np.int64)
    return PatternSignal(*pattern_clock(side, side, confidence, refuted_at, path, on, pattern.expansion_life_bars, carry.clock))
