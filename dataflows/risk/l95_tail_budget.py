"""L95: what a bad day may cost, and a very bad one on which everything falls together."""

from __future__ import annotations

import math

from dataflows.data.types import Instruments
from dataflows.kernels.contract import loss_of
from dataflows.layer import layer
from dataflows.panel import Floats
from dataflows.risk.budgets import SLACK, joint, put_back, scale, share_within, split
from dataflows.risk.config import RiskConfig
from dataflows.risk.types import WHY_TAIL_BUDGET, WHY_UNKNOWN_INPUT, Correlation, Stress, TailRisk, TargetWeights
from dataflows.risk.weights import lowered
from dataflows.runtime.compile import kernel
from dataflows.runtime.scratch import full


@kernel
def added(part: Floats, loss: Floats, k: int) -> float:
    """Sum of part_i loss_ik; symbols that do not count are left out."""
    total = 0.0
    for i in range(part.shape[0]):
        if part[i] > 0.0:
            total += part[i] * loss[i, k]
    return total


@layer("L95", schedule="step", cross_sectional=True)
def l95_tail_budget(
    l77_value_at_risk: TailRisk,
    l78_correlation: Correlation,
    l80_scenario_stress: Stress,
    l93_open_risk_budget: TargetWeights,
    instruments: Instruments,
    risk: RiskConfig,
) -> TargetWeights:
    """The portfolio's expected shortfall of a day within `es_budget`, and each scenario within `stress_budget`.

    Shortfall: root of sum_ij |w_i| es_i |w_j| es_j max(rho_ij sign_i sign_j, 0): hedges earn no credit, an unknown correlation
    counts as 1. Scenario: sum of |w_i| loss_i, as if all correlations were 1. Where one is exceeded, all new risk is cut by one
    factor, then all that is held. New risk fills the budgets less `cap_band`, beside all that is held until it has been sold.
    Both are what the price loses; an inverse contract loses more of its notional when long, less when short. An unknown
    shortfall or loss admits no increase of that symbol, which then counts for nothing. Untradeable symbols count as held and
    are not cut. Returns (N,) weights, none above L93's. Source: expected shortfall: Acerbi and Tasche (2002); aggregation as in
    the square-root rule of Solvency II."""
    made = lowered(l93_open_risk_budget)
    symbols, fixed = made.weight.shape[0], made.untradeable
    unit = full(symbols, 0.0)
    rho = l78_correlation.correlation
    loss = full(l80_scenario_stress.loss_fraction.shape, math.nan)
    for n in range(symbols):
        side, inverse = made.weight[n] if made.weight[n] != 0.0 else made.held[n], instruments.inverse[n]
        unit[n] = loss_of(l77_value_at_risk.es_99_day[n], side, inverse)
        for k in range(loss.shape[1]):
            falls = l80_scenario_stress.loss_fraction[n, k]
            loss[n, k] = loss_of(falls, side, inverse)
            if not (0.0 <= falls <= 1.0 and loss[n, k] < math.inf):
                unit[n] = math.nan
    parts = split(made, unit, WHY_TAIL_BUDGET | WHY_UNKNOWN_INPUT)
    kept, new, held, counted = parts
    tail, stress = risk.es_budget * risk.es_budget, risk.stress_budget
    fill = 1.0 - risk.cap_band
    base = joint(held, held, unit, rho, counted)
    cross, square = joint(held, new, unit, rho, counted), joint(new, new, unit, rho, counted)
    s = 1.0
    if not base + 2.0 * cross + square <= tail * fill * fill * SLACK:
        s = share_within(base, cross, square, tail * fill * fill)
    over = not joint(kept, kept, unit, rho, counted) <= tail * SLACK
    for k in range(loss.shape[1]):
        before, more = added(held, loss, k), added(new, loss, k)
        if not before + more <= stress * fill * SLACK:
            s = min(s, share_within(before, 0.5 * more, 0.0, stress * fill))
        over = over or not added(kept, loss, k) <= stress * SLACK
    if s < 1.0:
        scale(new, fixed, s)
    if over:
        fast, free = full(symbols, 0.0), full(symbols, 0.0)
        for n in range(symbols):
            if fixed[n] != 0:
                fast[n] = kept[n]
            else:
                free[n] = kept[n]
        base = joint(fast, fast, unit, rho, counted)
        s = share_within(base, joint(fast, free, unit, rho, counted), joint(free, free, unit, rho, counted), tail)
        for k in range(loss.shape[1]):
            s = min(s, share_within(added(fast, loss, k), 0.5 * added(free, loss, k), 0.0, stress))
        scale(kept, fixed, s)
    put_back(made, parts, WHY_TAIL_BUDGET)
    return made
