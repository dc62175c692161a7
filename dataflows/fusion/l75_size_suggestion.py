"""L75: how much of the equity the edge deserves."""

from __future__ import annotations

from dataflows.execution.types import ExecutionConfig
from dataflows.fusion.config import FusionConfig
from dataflows.fusion.costs import Waiting
from dataflows.fusion.kelly import KellyRules, kelly_fractions
from dataflows.fusion.success import Bracket
from dataflows.fusion.types import Cost, Expectancy, Horizon, SizeSuggestion, Success
from dataflows.layer import layer
from dataflows.risk.types import RiskConfig, VolForecast


@layer("L75")
def l75_size_suggestion(
    l67_expectancy: Expectancy,
    l68_success_probability: Success,
    l70_horizon: Horizon,
    l71_trading_cost: Cost,
    l76_volatility_forecast: VolForecast,
    fusion: FusionConfig,
    risk: RiskConfig,
    execution: ExecutionConfig,
) -> SizeSuggestion:
    """Fraction of equity (T, N) in [0, kelly_cap], for the side of the edge.

    `kelly_fraction` of Kelly's bet m / (sigma^2 h), sigma L76's, on the net edge m at L70's horizon h, times m^2 / (m^2 + e^2)
    for its standard error e; or `kelly_fraction` of p / lost - (1 - p) / won where that is less: the bet of L68's chance p on
    its target and stop, both after cost. So what the mean promises must show in the odds too, and before L68 has learned
    these are against every bet. 0 where the edge does not cover the cost; NaN where an input is unknown. Long and short
    alike.
    Sources: Kelly (1956); Thorp (2006), for the continuous form; Baker and McHale (2013), for the haircut.
    """
    return SizeSuggestion(
        kelly_fractions(
            l67_expectancy,
            l70_horizon,
            l71_trading_cost,
            l76_volatility_forecast.sigma_bar,
            l68_success_probability.p_success,
            KellyRules(
                horizons=fusion.horizons,
                fraction=fusion.kelly_fraction,
                cap=fusion.kelly_cap,
                waiting=Waiting(bars=execution.style_wait_bars, ratio=execution.style_limit_ratio),
            ),
            Bracket(
                bars=float(fusion.success_horizon_bars),
                stop_sigma=risk.stop_sigma,
                stop_max=risk.stop_max,
                reward_risk=risk.reward_risk,
            ),
        )
    )
