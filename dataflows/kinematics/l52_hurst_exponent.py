"""L52: does the size of moves grow with time as a random walk's does."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from dataflows.carry import Bind
from dataflows.data.types import Market
from dataflows.kernels.arith import log_panel, tanh_panel
from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.roughness import Roughness, hurst
from dataflows.kinematics.types import Hurst
from dataflows.layer import layer


class HurstExponentCarry(NamedTuple):
    """What L52 needs of the past."""

    window: Annotated[Roughness, Bind(L="len(hurst_lags)", M="max(hurst_lags)", W="hurst_window_bars")]


@layer("L52")
def l52_hurst_exponent(l0_market_feed: Market, kinematics: KinematicsConfig, carry: HurstExponentCarry) -> Hurst:
    """Generalised Hurst exponent of order 2 of log close, over `hurst_lags` and the last `hurst_window_bars` moves. Panels
    (T, N).

    h: half the slope of the log mean square of a move on its log lag; about 0.5 on a random walk (over 500 of them: see the
    test) whatever the tails of its returns, which order 1 takes for persistence; more where moves persist, less where they
    revert; 0.5 where nothing moved. persistent in [-1, 1]: tanh((h - 0.5) /
    `hurst_scale`). NaN until the window is whole; held on bars that are not valid. How much is
    noise: on 30 days of five perpetuals 0.48 in the mean, 0.50 on the same returns in a random order, and a value deviates by
    0.03 in both. Source: Di Matteo (2007).
    """
    valid = l0_market_feed.quality.valid
    h = hurst(log_panel(l0_market_feed.bars.close), valid, kinematics.hurst_lags, carry.window)
    return Hurst(h, tanh_panel((h - 0.5) / kinematics.hurst_scale))
