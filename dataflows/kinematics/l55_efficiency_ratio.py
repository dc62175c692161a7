"""L55: how straight the way was, and an average that goes by it."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from dataflows.carry import Bind
from dataflows.data.types import Market
from dataflows.kernels.arith import over
from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.efficiency import Efficient, efficiency
from dataflows.kinematics.types import Efficiency, Returns
from dataflows.layer import layer


class EfficiencyRatioCarry(NamedTuple):
    """What L55 needs of the past."""

    window: Annotated[Efficient, Bind(W="efficiency_bars")]


@layer("L55")
def l55_efficiency_ratio(
    l0_market_feed: Market, l2_returns_volatility: Returns, kinematics: KinematicsConfig, carry: EfficiencyRatioCarry
) -> Efficiency:
    """Kaufman's efficiency ratio over `efficiency_bars` valid bars, and his adaptive average. Panels (T, N).

    ratio in [0, 1]: distance come over way gone; 0 where nothing moved. kama: quote currency. distance_atr: the close less
    kama, in L2's ATR. NaN until one bar more than the window; held on bars that are not valid, but for the ATR. Source:
    Kaufman (1995).
    """
    fast, slow = kinematics.efficiency_spans
    close = l0_market_feed.bars.close
    ratio, kama = efficiency(close, l0_market_feed.quality.valid, fast, slow, carry.window)
    return Efficiency(ratio, kama, over(close - kama, l2_returns_volatility.atr))
