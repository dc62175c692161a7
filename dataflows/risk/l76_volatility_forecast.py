"""L76: how far the price is expected to move in the next bar, in a bar of the next hour, and in the next day."""

from __future__ import annotations

import math
from typing import NamedTuple

from dataflows.data.types import DataConfig
from dataflows.kinematics.types import Returns, VolTerm
from dataflows.layer import layer
from dataflows.regime.types import ChangePoint
from dataflows.risk.config import RiskConfig
from dataflows.risk.garch import Garch, GarchLaw, Observed, Spans, garch_volatility, with_har
from dataflows.risk.types import VolForecast


class VolatilityForecastCarry(NamedTuple):
    """What L76 needs of the past."""

    garch: Garch


@layer("L76")
def l76_volatility_forecast(
    l2_returns_volatility: Returns,
    l58_volatility_term_structure: VolTerm,
    l64_change_point: ChangePoint,
    data: DataConfig,
    risk: RiskConfig,
    carry: VolatilityForecastCarry,
) -> VolForecast:
    """The mean of two forecasts: a GARCH(1,1) aimed at the slow volatility of L2, and the HAR of L58.

    Returns panels (T, N) of standard deviations of log price, > 0: sigma_1 of the next bar, sigma_bar of a bar in the mean of
    the next `forecast_bars`, sigma_day of the next day of trading together; never below L2's floor, of a longer span
    together never below a shorter one's. Of one bar a HAR says nothing: sigma_1 is GARCH's. Where only one of the two is
    known it counts alone (so from some 60 bars on), and a day that neither tells is the shorter span's to the root of
    time. Times 1 + (change_widen - 1) * P(the law has just changed), by L64. An unknown return holds the forecast. GARCH
    is NaN until L2's sigma is known, and sigma_slow too unless `garch_omega` is given. NaN where nothing is known, or
    nothing has moved and there is no tick. GARCH's recursion starts from L2's sigma: a backcast over later bars, as
    estimation packages use, would look ahead.
    On minutes of perpetuals sigma_bar is the nearest to what the next hour brings: `python -m benchmarks.volatility`.
    Source: Bollerslev (1986); constant by variance targeting: Engle and Mezrich (1996); equal weights: Timmermann (2006).
    """
    x, har = l2_returns_volatility, l58_volatility_term_structure
    spans = Spans(risk.forecast_bars, data.bars_a_day)
    made = garch_volatility(
        Observed(r=x.r_1, seed=x.sigma, level=x.sigma_slow, floor=x.sigma_floor),
        GarchLaw(omega=risk.garch_omega, alpha=risk.garch_alpha, beta=risk.garch_beta),
        spans,
        carry.garch,
    )
    with_har(made, har.har_60, har.har_day, l64_change_point.p_change, spans, risk.change_widen)
    return VolForecast(made.one, made.mid / math.sqrt(spans.mid), made.far)
