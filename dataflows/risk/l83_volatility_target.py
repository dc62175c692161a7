"""L83: how large a position may be for its volatility to be the one aimed at."""

from __future__ import annotations

from dataflows.data.types import DataConfig
from dataflows.layer import layer
from dataflows.regime.types import Regime
from dataflows.risk.config import RiskConfig
from dataflows.risk.types import SizeCap, VolForecast
from dataflows.risk.volatility_caps import RegimeFactors, Regimes, VolatilityTarget, volatility_cap


@layer("L83")
def l83_volatility_target(
    l1_regime: Regime, l76_volatility_forecast: VolForecast, data: DataConfig, risk: RiskConfig
) -> SizeCap:
    """annual_target over the annualised forecast volatility, times the regime factor mixed by the regimes' probabilities.

    Returns (T, N), >= 0, a fraction of equity that may exceed 1. Annualised: sigma_day * sqrt(days of trading a year).
    `volatility_power` 2 squares the ratio. NaN where the forecast or a probability is unknown: then nothing may increase.
    Source: Moskowitz, Ooi and Pedersen (2012); inverse variance: Moreira and Muir (2017).
    """
    p = l1_regime
    regimes = Regimes(calm=p.calm, trend_up=p.trend_up, trend_down=p.trend_down, high_vol=p.high_vol, chaotic=p.chaotic)
    factors = RegimeFactors(
        calm=risk.regime_factor_calm,
        trend=risk.regime_factor_trend,
        high_vol=risk.regime_factor_high_vol,
        chaotic=risk.regime_factor_chaotic,
    )
    target = VolatilityTarget(annual=risk.annual_target, days=data.days_a_year, power=risk.volatility_power)
    return SizeCap(volatility_cap(l76_volatility_forecast.sigma_day, regimes, factors, target))
