"""L76: how far the price is expected to move in the next bar, the next 60 bars, and the next day."""

from __future__ import annotations

from typing import NamedTuple

from dataflows.data.config import DataConfig
from dataflows.kernels.garch import Garch, garch_volatility
from dataflows.kinematics.types import Returns
from dataflows.layer import layer
from dataflows.risk.config import RiskConfig
from dataflows.risk.types import VolForecast

SECONDS_A_DAY = 86_400


class VolatilityForecastCarry(NamedTuple):
    """What L76 needs of the past."""

    garch: Garch


@layer("L76")
def l76_volatility_forecast(
    l2_returns_volatility: Returns, data: DataConfig, risk: RiskConfig, carry: VolatilityForecastCarry
) -> VolForecast:
    """GARCH(1,1) with the constant aimed at the slow volatility of L2, and its own recursion over 60 bars and a day.

    Returns panels (T, N) of standard deviations of log price, > 0: sigma_1 of the next bar, sigma_60 and sigma_day of the next
    60 bars and the next 86400 s of bars together; never below L2's floor. An unknown return holds the forecast. NaN until L2's
    sigma is known, and sigma_slow too unless `garch_omega` is given; NaN where nothing has moved and there is no tick.
    The recursion starts from L2's sigma: a backcast over later bars, as estimation packages use, would look ahead.
    Source: Bollerslev (1986); constant by variance targeting: Engle and Mezrich (1996).
    """
    x = l2_returns_volatility
    return VolForecast(
        *garch_volatility(
            x.r_1,
            x.sigma,
            x.sigma_slow,
            x.sigma_floor,
            risk.garch_omega,
            risk.garch_alpha,
            risk.garch_beta,
            60,
            max(1, SECONDS_A_DAY // data.clock_seconds),
            carry.garch,
        )
    )
