"""L10: who is in a hurry, buyers or sellers."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import Bind
from dataflows.data.types import Market
from dataflows.kernels.smooth import halflife_alpha
from dataflows.kinematics.types import Returns
from dataflows.layer import layer
from dataflows.microstructure.config import MicrostructureConfig
from dataflows.microstructure.trade_flow import Pressure, pressure
from dataflows.microstructure.types import TradePressure


class TradePressureCarry(NamedTuple):
    """What L10 needs of the past."""

    sums: Annotated[Pressure, Bind(W="pressure_window_bars")]


@layer("L10")
def l10_trade_pressure(
    l0_market_feed: Market, l2_returns_volatility: Returns, microstructure: MicrostructureConfig, carry: TradePressureCarry
) -> TradePressure:
    """Imbalance and intensity of aggressor volume, over valid bars. Panels (T, N).

    signed_volume: bought less sold in this bar, base units; where the data do not say who began a trade, by the bar's move in
    L2's deviations, and proxied is 1. That is a return and no flow: L61 alone, whose method it is, reads it there. pressure in
    [-1, 1]: decayed signed volume over decayed volume, half-life `pressure_halflife_bars`. pressure_z: its distance from its
    mean over `pressure_window_bars`, in their deviations; 0 where it did not vary. buy_intensity, sell_intensity >= 0: decayed
    volume of each side over that of usual bars, so that 0.5 each is usual. NaN until a bar is known, the z-score until the
    window is whole; signed_volume is NaN and the rest held on bars that are not valid.
    Source: Hawkes (1971) for the decaying intensity; bulk classification: Easley, Lopez de Prado and O'Hara (2012).
    """
    bars, flow = l0_market_feed.bars, l0_market_feed.flow
    decay = 1.0 - halflife_alpha(microstructure.pressure_halflife_bars)
    proxied = (np.isnan(flow.buy_volume) | np.isnan(flow.sell_volume)).astype(np.int64)
    signed, share, z, buying, selling = pressure(
        bars.volume,
        flow.buy_volume,
        flow.sell_volume,
        l2_returns_volatility.z,
        l0_market_feed.quality.valid,
        decay,
        carry.sums,
    )
    return TradePressure(signed, share, z, buying, selling, proxied)
