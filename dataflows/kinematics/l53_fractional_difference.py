"""L53: log price, differenced just enough to be stationary."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import Bind
from dataflows.data.types import Market
from dataflows.kernels.arith import log_panel, over
from dataflows.kernels.window import Moments, rolling_moments
from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.fir import Taps, fir
from dataflows.kinematics.types import FractionalDifference
from dataflows.kinematics.weights import fractional_difference
from dataflows.layer import layer


class FractionalDifferenceCarry(NamedTuple):
    """What L53 needs of the past."""

    taps: Annotated[Taps, Bind(W="fraction_taps")]
    moments: Annotated[Moments, Bind(W="fraction_window_bars")]


@layer("L53")
def l53_fractional_difference(
    l0_market_feed: Market, kinematics: KinematicsConfig, carry: FractionalDifferenceCarry
) -> FractionalDifference:
    """Fixed-width fractional difference of log close, of order `fraction_order`, over `fraction_taps` valid bars. Panels
    (T, N).

    value: depends on the unit of price, since the weights that are cut off are missing from their sum; z does not: the
    value's distance from its mean over the last `fraction_window_bars` in their deviations, 0 where it did not vary, and
    alone what others take. NaN until the taps, z until the window is whole; held on bars that are not valid. O(taps) a bar.
    Source: Lopez de Prado (2018), chapter 5.
    """
    valid = l0_market_feed.quality.valid
    weights = fractional_difference(kinematics.fraction_order, kinematics.fraction_taps)
    value = fir(log_panel(l0_market_feed.bars.close), valid, weights, carry.taps)[0]
    mean, variance = rolling_moments(value, valid, carry.moments)
    return FractionalDifference(value, over(value - mean, np.sqrt(variance)))
