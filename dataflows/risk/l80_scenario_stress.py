"""L80: what bad days would cost."""

from __future__ import annotations

from dataflows.layer import layer
from dataflows.risk.config import RiskConfig
from dataflows.risk.stress import scenario_losses
from dataflows.risk.types import LiquidityStress, Stress, TailRisk, VolForecast


@layer("L80")
def l80_scenario_stress(
    l76_volatility_forecast: VolForecast,
    l77_value_at_risk: TailRisk,
    l79_liquidity_stress: LiquidityStress,
    risk: RiskConfig,
) -> Stress:
    """The share of a position that three scenarios would cost, on the worse side of it.

    Returns loss_fraction (T, N, 3) and worst (T, N) in [0, 1]: the volatility of the day times `stress_vol_factor`; a gap of
    `stress_gap`, or of L77's expected shortfall of a day where that is more; a dry-up: L79's cost and one standard deviation
    of the price over its bars_to_liquidate (1 where L79 is infinite). All NaN where a forecast is unknown, else none is. What
    happens when all symbols fall together is formed in L95.
    """
    return Stress(
        *scenario_losses(
            l76_volatility_forecast.sigma_1,
            l76_volatility_forecast.sigma_day,
            l77_value_at_risk.es_99_day,
            l79_liquidity_stress.bars_to_liquidate,
            l79_liquidity_stress.stressed_cost_bps,
            risk.stress_vol_factor,
            risk.stress_gap,
        )
    )
