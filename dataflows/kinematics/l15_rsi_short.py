"""L15: is the last quarter of an hour one-sided."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from dataflows.carry import Bind
from dataflows.data.types import Market
from dataflows.kernels.window import Lag, lagged
from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.oscillators import Rsi, wilder_rsi
from dataflows.kinematics.types import Oscillator
from dataflows.layer import layer


class RsiShortCarry(NamedTuple):
    """What L15 needs of the past."""

    base: Rsi
    five: Rsi
    before: Annotated[Lag, Bind(W=1)]


@layer("L15")
def l15_rsi_short(l0_market_feed: Market, kinematics: KinematicsConfig, carry: RsiShortCarry) -> Oscillator:
    """Wilder's relative strength index on the base clock and on closed 5-bars, `rsi_short_period` bars each. Panels (T, N).

    value in [0, 100]: of the base clock; 50 where nothing has moved (TA-Lib says 0, Pine 100). centred in [-1, 1]: the mean
    of both clocks' distance from 50, over 50; NaN until both are known. slope: points that `value` moved since the valid
    bar before; NaN on bars that are not valid. Otherwise held on bars that are not valid; NaN until the period is whole.
    Source: Wilder (1978).
    """
    valid, bars_5 = l0_market_feed.quality.valid, l0_market_feed.bars_5
    value = wilder_rsi(l0_market_feed.bars.close, valid, kinematics.rsi_short_period, carry.base)
    slower = wilder_rsi(bars_5.close, bars_5.closed, kinematics.rsi_short_period, carry.five)
    return Oscillator(value, (value + slower - 100.0) / 100.0, value - lagged(value, valid, carry.before))
