"""L87: no symbol may be too much of the risk, and all together no more than is aimed at."""

from __future__ import annotations

import math

from dataflows.data.types import DataConfig
from dataflows.layer import layer
from dataflows.panel import Floats
from dataflows.risk.budgets import SLACK, joint_sign_correlation, keep_joint, put_back, split
from dataflows.risk.config import RiskConfig
from dataflows.risk.types import WHY_CONCENTRATION, WHY_UNKNOWN_INPUT, Correlation, TargetWeights
from dataflows.risk.weights import larger, lowered
from dataflows.runtime.compile import kernel
from dataflows.runtime.scratch import copied, full


@kernel
def beside(x: Floats, i: int, correlation: Floats, counted: Floats) -> float:
    """What the other symbols' risks x add to symbol i's."""
    total = 0.0
    for j in range(x.shape[0]):
        if j != i and x[j] > 0.0:
            rho = joint_sign_correlation(correlation, counted, i, j)
            if rho > 0.0:
                total += rho * x[j]
    return total


@kernel
def largest_beside(others: float, budget: float) -> float:
    """The x >= 0 with x (x + others) = budget."""
    return 2.0 * budget / (others + math.sqrt(others * others + 4.0 * budget))


@layer("L87", schedule="step", cross_sectional=True)
def l87_concentration_cap(
    l78_correlation: Correlation, l86_exposure_cap: TargetWeights, data: DataConfig, risk: RiskConfig
) -> TargetWeights:
    """All together have at most the variance of a day that annual_target allows, and each symbol `max_share` of it.

    Its part: x_i sum_j x_j max(rho_ij sign_i sign_j, 0), x = |weight| sigma_day; hedges earn no credit, an unknown
    correlation counts as 1. A share of the budget and not of the portfolio: one symbol alone can trade, and no cut of one
    breaks another's. Held risk is cut to its own budget as if nothing were new; then each new risk to its own; then the new
    risk that others bring to a symbol that has no room for it. New risk fills the budget less `cap_band`, beside all that
    is held until it has been sold. Last, all new risk is cut by one factor until the parts add up to the whole variance
    less `cap_band`, and where what stays of held risk is more than the whole, that by one factor. So held is never cut for
    new, and the order of symbols does not matter. An unknown sigma admits no increase of that symbol, which then counts for
    nothing. Untradeable symbols count as held and are not cut.
    Returns (N,) weights, none above L86's. O(N^2) in the symbols that are not flat.
    Source: risk contributions as in Litterman (1996), without credit for hedges.
    """
    made = lowered(l86_exposure_cap)
    symbols, fixed = made.weight.shape[0], made.untradeable
    budget = risk.max_share * risk.annual_target * risk.annual_target / data.days_a_year
    most, fill = budget * SLACK, budget * (1.0 - risk.cap_band)
    sigma = l78_correlation.sigma_day
    parts = split(made, sigma, WHY_CONCENTRATION | WHY_UNKNOWN_INPUT)
    kept, new, held, counted = parts
    busy = 0
    for n in range(symbols):
        if counted[n] != 0.0:
            kept[n] *= sigma[n]
            new[n] *= sigma[n]
            held[n] *= sigma[n]
            busy += 1
    if busy > 0:
        rho = l78_correlation.correlation
        base = copied(kept)
        for i in range(symbols):
            if base[i] > 0.0 and fixed[i] == 0:
                others = beside(base, i, rho, counted)
                if not base[i] * (base[i] + others) <= most:
                    kept[i], new[i] = largest_beside(others, budget), 0.0
        whole = full(symbols, 0.0)
        for i in range(symbols):
            whole[i] = larger(held[i], kept[i] + new[i])
        for i in range(symbols):
            if new[i] > 0.0:
                others = beside(whole, i, rho, counted)
                if not whole[i] * (whole[i] + others) <= fill * SLACK:
                    room = largest_beside(others, fill) - held[i]
                    new[i] = (room if room < new[i] else new[i]) if room > 0.0 else 0.0
        share = full(symbols, 1.0)
        for i in range(symbols):
            if held[i] > 0.0 and not new[i] > 0.0:
                bases, more = held[i] + beside(held, i, rho, counted), beside(new, i, rho, counted)
                if more > 0.0 and not held[i] * (bases + more) <= fill * SLACK:
                    s = (fill / held[i] - bases) / more
                    s = s if s > 0.0 else 0.0
                    for j in range(symbols):
                        if s < share[j] and new[j] > 0.0 and joint_sign_correlation(rho, counted, i, j) > 0.0:
                            share[j] = s
        for n in range(symbols):
            if counted[n] != 0.0:
                kept[n] /= sigma[n]
                held[n] /= sigma[n]
                new[n] *= share[n] / sigma[n]
        whole_budget = risk.annual_target * risk.annual_target / data.days_a_year
        keep_joint(parts, sigma, rho, fixed, whole_budget, 1.0 - risk.cap_band)
        put_back(made, parts, WHY_CONCENTRATION)
    return made
