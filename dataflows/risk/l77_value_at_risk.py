"""L77: the losses of a bar and of a day that are exceeded once in a hundred, and how bad those are."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from dataflows.carry import Bind
from dataflows.kinematics.types import Returns
from dataflows.layer import layer
from dataflows.risk.config import RiskConfig
from dataflows.risk.tails import TailQuantiles, TailRule, tail_risk
from dataflows.risk.types import Tail, TailRisk, VolForecast


class ValueAtRiskCarry(NamedTuple):
    """The last `var_window` returns, each over its own forecast."""

    quantiles: Annotated[TailQuantiles, Bind(W="var_window")]


@layer("L77")
def l77_value_at_risk(
    l2_returns_volatility: Returns,
    l74_tail_index: Tail,
    l76_volatility_forecast: VolForecast,
    risk: RiskConfig,
    carry: ValueAtRiskCarry,
) -> TailRisk:
    """Filtered historical simulation: quantiles of |r| over the forecast made for it, times the forecast that holds now.

    Returns panels (T, N) of log returns, > 0: value at risk at `var_level` and the mean loss beyond it, of the next bar and of
    the next day (the same quantiles times L76's sigma_day). Of both sides together, so that they hold for longs and shorts. A
    Student-t(4) of that volatility counts alone until `var_least_bars` returns are known; from then on the returns' own
    quantiles count, and only `var_floor` of the Student-t(4)'s is their least: for a market that has hardly moved. The mean
    beyond is never below what L74's index makes of the quantile, q a / (a - 1), with a at least `var_least_index`. Unknown
    returns hold the window; NaN where L76 is.
    Source: Barone-Adesi, Giannopoulos and Vosper (1999); Acerbi and Tasche (2002); tail: McNeil and Frey (2000).
    """
    x, forecast = l2_returns_volatility, l76_volatility_forecast
    return TailRisk(
        *tail_risk(
            x.r_1,
            forecast.sigma_1,
            forecast.sigma_day,
            l74_tail_index.tail_index,
            TailRule(
                level=risk.var_level,
                least_bars=risk.var_least_bars,
                least_index=risk.var_least_index,
                floor=risk.var_floor,
            ),
            carry.quantiles,
        )
    )
