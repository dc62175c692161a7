"""L56: does log price come back, and how fast."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from dataflows.carry import Bind
from dataflows.data.types import Market
from dataflows.kernels.arith import log_panel
from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.reversion import Autoregression, autoregression
from dataflows.kinematics.types import Reversion
from dataflows.layer import layer


class MeanReversionSpeedCarry(NamedTuple):
    """What L56 needs of the past."""

    window: Annotated[Autoregression, Bind(W="reversion_window_bars")]


@layer("L56")
def l56_mean_reversion_speed(l0_market_feed: Market, kinematics: KinematicsConfig, carry: MeanReversionSpeedCarry) -> Reversion:
    """First-order autoregression with intercept of log close over `reversion_window_bars` valid bars. Panels (T, N).

    z: distance from the window's mean in its deviations, within 1000; 0 where nothing moved. half_life: bars, from the
    coefficient with its bias taken off; infinite where log price does not come back. score in [0, 1]: 0 where the
    Dickey-Fuller t is above its 10 per cent point, 1 from its 1 per cent point on. NaN until the window is whole; held on
    bars that are not valid.
    Source: Dickey and Fuller (1979); Kendall (1954).
    """
    return Reversion(*autoregression(log_panel(l0_market_feed.bars.close), l0_market_feed.quality.valid, carry.window))
