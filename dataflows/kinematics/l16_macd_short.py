"""L16: two averages and their distance, in ATR."""

from __future__ import annotations

from typing import NamedTuple

from dataflows.data.types import Market
from dataflows.kernels.arith import over
from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.oscillators import MacdState, macd
from dataflows.kinematics.types import Macd, Returns
from dataflows.layer import layer


class MacdShortCarry(NamedTuple):
    """What L16 needs of the past."""

    macd: MacdState


@layer("L16")
def l16_macd_short(
    l0_market_feed: Market, l2_returns_volatility: Returns, kinematics: KinematicsConfig, carry: MacdShortCarry
) -> Macd:
    """Moving average convergence and divergence on valid bars, over L2's ATR. Panels (T, N).

    line: the fast less the slow average of the close (`macd_spans`: fast, slow, signal); signal: the line's own average;
    histogram: line less signal; all three in ATR, 0 for a price that does not move. bars_since_cross: valid bars since line and
    signal changed places; NaN before the first time. NaN until the spans are whole; held on bars that are not valid.
    Source: Appel (1979); each average is seeded with the mean of its first values, as Pine does (TA-Lib: the two meet).
    """
    fast, slow, signal = kinematics.macd_spans
    close, atr = l0_market_feed.bars.close, l2_returns_volatility.atr
    line, smooth, since = macd(close, l0_market_feed.quality.valid, fast, slow, signal, carry.macd)
    return Macd(over(line, atr), over(smooth, atr), over(line - smooth, atr), since)
