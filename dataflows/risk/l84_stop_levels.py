"""L84: the stop, target, trailing distance and holding period that a position opened now would get."""

from __future__ import annotations

from dataflows.data.types import Instruments, Market
from dataflows.fusion.types import Horizon
from dataflows.kinematics.types import Returns
from dataflows.layer import layer
from dataflows.risk.config import RiskConfig
from dataflows.risk.types import Stops, TailRisk, VolForecast
from dataflows.risk.volatility_caps import Noise, StopRule, stop_distance


@layer("L84")
def l84_stop_levels(
    l0_market_feed: Market,
    l2_returns_volatility: Returns,
    l70_horizon: Horizon,
    l76_volatility_forecast: VolForecast,
    l77_value_at_risk: TailRisk,
    instruments: Instruments,
    risk: RiskConfig,
) -> Stops:
    """The stop lies beyond the noise of the holding period: the largest known of volatility, ATR, the
    loss that one bar exceeds once in a hundred (L77), and a number of ticks. Volatility is L76's of a bar, to the root of time:
    of all forecasts here the one nearest to what comes.

    Returns panels (T, N): distances in (0, 1) as fractions of price (target = reward_risk * stop, trail = trail_ratio * stop)
    and time_stop in bars (L70's horizon, else default_horizon_bars). All positive and finite, or all NaN: where the price is
    unknown, or both volatility and ATR are; then L4 opens nothing.
    """
    noise = Noise(sigma=l76_volatility_forecast.sigma_bar, atr=l2_returns_volatility.atr, var_bar=l77_value_at_risk.var_99_bar)
    rule = StopRule(
        by_sigma=risk.stop_sigma,
        by_atr=risk.stop_atr,
        min_ticks=risk.stop_min_ticks,
        most=risk.stop_max,
        default_horizon=float(risk.default_horizon_bars),
    )
    stop, hold = stop_distance(l0_market_feed.bars.close, noise, l70_horizon.bars, instruments.tick_size, rule)
    return Stops(stop, risk.reward_risk * stop, risk.trail_ratio * stop, hold)
