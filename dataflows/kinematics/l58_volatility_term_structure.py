"""L58: volatility now against volatility usual, and what it will be."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from dataflows.carry import Bind
from dataflows.data.types import DataConfig
from dataflows.kinematics.config import KinematicsConfig
from dataflows.kinematics.term import TermStructure, term_structure
from dataflows.kinematics.types import Returns, VolTerm
from dataflows.layer import layer


class TermStructureCarry(NamedTuple):
    """What L58 needs of the past."""

    term: Annotated[TermStructure, Bind(W="term_long_bars", V="term_medium_bars")]


@layer("L58")
def l58_volatility_term_structure(
    l2_returns_volatility: Returns, data: DataConfig, kinematics: KinematicsConfig, carry: TermStructureCarry
) -> VolTerm:
    """A heterogeneous autoregression of log realised variance, learned as it goes. Panels (T, N), held where r_1 is NaN.

    Realised variance: mean square of r_1 over the last short, medium and long valid bars, at least L2's floor; while long is
    not whole, over what there is. ratio: volatility of short over that of long; NaN until medium is whole.

    har_60, har_day: volatility of a bar to be expected over the next `term_short_bars` and `term_medium_bars` bars, log price
    per square root of a bar, > 0, from the first `term_short_bars` on. Log variance = mean of the spans' log variances +
    a + b * (short - mean) + c * (medium - mean) + half the residual variance. So the spans' weights add up to one, and the
    forecast grows with the market. The prior is a = b = c = 0, equal weights, worth `term_prior` effective observations; spans
    that are not whole are left out. A sample waits until the last bar of its target has closed, and then weighs one over the
    bars of it, since neighbours overlap; `term_forget` counts these effective observations. It is void if more than `max_gap`
    bars without a return fell into its life.

    On 30 days of five perpetuals, by the loss that noise does not turn (Patton 2011), har_60 has 0.196: L2's sigma 0.229, the
    best span by itself 0.254. For a day ahead that is too few effective observations to learn much: har_day has 0.120, the best
    span 0.125, but L2's sigma_slow 0.109.

    vol_of_vol: deviation of log volatility over short, exponentially weighted over some `term_medium_bars` bars; NaN until
    it has `term_short_bars` values. Source: Corsi (2009), here in logs and with weights that add up to one.
    """
    made = term_structure(
        l2_returns_volatility.r_1,
        l2_returns_volatility.sigma_floor,
        kinematics.term_short_bars,
        kinematics.term_forget,
        kinematics.term_prior,
        data.max_gap,
        carry.term,
    )
    return VolTerm(*made)
