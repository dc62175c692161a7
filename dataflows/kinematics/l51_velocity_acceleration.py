"""L51: how fast the price moves, and how that changes, in ATR."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from dataflows.carry import Bind
from dataflows.data.types import Market
from dataflows.kernels.arith import log_panel, over
from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.fir import Taps, fir
from dataflows.kinematics.types import Derivatives, Returns
from dataflows.kinematics.weights import savitzky_golay
from dataflows.layer import layer


class VelocityAccelerationCarry(NamedTuple):
    """What L51 needs of the past."""

    taps: Annotated[Taps, Bind(W="derivative_bars")]


@layer("L51")
def l51_velocity_acceleration(
    l0_market_feed: Market, l2_returns_volatility: Returns, kinematics: KinematicsConfig, carry: VelocityAccelerationCarry
) -> Derivatives:
    """Derivatives, at the last of `derivative_bars` valid bars, of the polynomial that fits their log closes best. Panels
    (T, N).

    velocity, acceleration, jerk: per bar, per bar squared and cubed, of log price over L2's ATR as a share of the close.
    Exact on a polynomial of `derivative_degree`. 0 where nothing moves; NaN until the bars are held; held on bars that are
    not valid but for the ATR. O(bars) a bar. Source: Savitzky and Golay (1964), one-sided.
    """
    close = l0_market_feed.bars.close
    weights = savitzky_golay(kinematics.derivative_bars, kinematics.derivative_degree)
    moves = fir(log_panel(close), l0_market_feed.quality.valid, weights, carry.taps)
    share = l2_returns_volatility.atr / close
    return Derivatives(over(moves[0], share), over(moves[1], share), over(moves[2], share))
