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
    """annual_target over the annualised forecast volatility, times the regime factor mixed by the regimes' probabilities on
    the base clock or on 15-bars, whichever is smaller.

    Returns (T, N), >= 0, a fraction of equity that may exceed 1. Annualised: sigma_day * sqrt(days of trading a year).
    `volatility_power` 2 squares the ratio. NaN where the forecast or a probability of the base clock is unknown: then nothing
    may increase; while those of 15-bars are unknown, the base clock's count alone.
    Source: Moskowitz, Ooi and Pedersen (2012); inverse variance: Moreira and Muir (2017).
    """
    p = l1_regime
    regimes = Regimes(calm=p.calm, trend_up=p.trend_up, trend_down=p.trend_down, high_vol=p.high_vol, chaotic=p.chaotic)
    slow = Regimes(
        calm=p.calm_15, trend_up=p.trend_up_15, trend_down=p.trend_down_15, high_vol=p.high_vol_15, chaotic=p.chaotic_15
    )
    factors = RegimeFactors(
        calm=risk.regime_factor_calm,
        trend=risk.regime_factor_trend,
        high_vol=risk.regime_factor_high_vol,
        chaotic=risk.regime_factor_chaotic,
    )
    target = VolatilityTarget(annual=risk.annual_target, days=data.days_a_year, power=risk.volatility_power)
    return SizeCap(volatility_cap(l76_volatility_forecast.sigma_day, regimes, slow, factors, target))
