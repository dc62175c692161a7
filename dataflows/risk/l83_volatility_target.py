"""L83: how large a position may be for its volatility to be the one aimed at."""

from __future__ import annotations

from dataflows.layer import layer
from dataflows.regime.types import Regime
from dataflows.risk.config import RiskConfig
from dataflows.risk.types import SizeCap, VolForecast
from dataflows.risk.volatility_caps import volatility_cap


@layer("L83")
def l83_volatility_target(l1_regime: Regime, l76_volatility_forecast: VolForecast, risk: RiskConfig) -> SizeCap:
    """annual_target over the annualised forecast volatility, times the regime factor mixed by the regimes' probabilities.

    Returns (T, N), >= 0, a fraction of equity that may exceed 1. Annualised: sigma_day * sqrt(days_per_year).
    `volatility_power` 2 squares the ratio. NaN where the forecast or a probability is unknown: then nothing may increase.
    Source: Moskowitz, Ooi and Pedersen (2012); inverse variance: Moreira and Muir (2017).
    """
    p = l1_regime
    factors = (risk.regime_factor_calm, risk.regime_factor_trend, risk.regime_factor_high_vol, risk.regime_factor_chaotic)
    return SizeCap(
        volatility_cap(
            l76_volatility_forecast.sigma_day,
            p.calm,
            p.trend_up,
            p.trend_down,
            p.high_vol,
            p.chaotic,
            risk.annual_target,
            risk.days_per_year,
            risk.volatility_power,
            factors,
        )
    )
