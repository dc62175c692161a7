"""Wealth split over multipliers: never far behind the one that is the baseline, on any path."""

from __future__ import annotations

import math

import numpy as np

from dataflows.panel import Floats
from dataflows.runtime.compile import kernel


@kernel
def log_growth(start: float, end: float, flow: float) -> float:
    """log of what a unit has become; `flow`: cash that came in meanwhile. NaN: not known. -inf: nothing is left."""
    if not (start > 0.0 and math.isfinite(end - flow)):
        return math.nan
    factor = (end - flow) / start
    return math.log(factor) if factor > 0.0 else -math.inf


def account_growth(equity: Floats, flows: Floats, before: Floats) -> float:
    """Log growth of an account over an epoch; `before` (2,) is set to its end. The first epoch starts at its first instant."""
    if not math.isfinite(before[0]):
        before[:] = equity[0], flows[0]
    growth = log_growth(before[0], equity[-1], flows[-1] - before[1])
    before[:] = equity[-1], flows[-1]
    return growth


@kernel
def grow_arms(baseline: float, multipliers: Floats, log_wealth: Floats) -> None:
    """One epoch of the paper accounts: each earns its multiplier times the baseline's return. log_wealth (M,) is updated.

    baseline: log growth of the untouched account; NaN changes nothing.
    """
    if math.isnan(baseline):
        return
    earned = math.exp(baseline) - 1.0
    for m in range(len(multipliers)):
        factor = 1.0 + multipliers[m] * earned
        if m == len(multipliers) - 1:
            log_wealth[m] += baseline
        else:
            log_wealth[m] += math.log(factor) if factor > 0.0 else -math.inf


@kernel
def split(share: float, log_wealth: Floats) -> Floats:
    """Weights (M,) of the arms, which sum to 1: prior times wealth. The last arm, the baseline, has the prior 1 - share, the
    others have equal parts of `share`.

    Who plays the mean of the multipliers by these weights has, where returns are linear in the multiplier, the wealth
    sum(prior * wealth of the arm): at least 1 - share of the baseline's, on every path. Source: Cover (1991).
    """
    arms = len(log_wealth)
    top = -math.inf
    for m in range(arms):
        top = max(top, log_wealth[m])
    weights = np.zeros(arms)
    whole = 0.0
    for m in range(arms):
        prior = 1.0 - share if m == arms - 1 else share / (arms - 1)
        weights[m] = prior * (math.exp(log_wealth[m] - top) if top > -math.inf else 1.0)
        whole += weights[m]
    for m in range(arms):
        weights[m] /= whole
    return weights


@kernel
def weighted(weights: Floats, values: Floats) -> float:
    """Sum of weights times values, from left to right."""
    total = 0.0
    for i in range(len(weights)):
        total += weights[i] * values[i]
    return total


@kernel
def loss_over(daily: float, days: float) -> float:
    """What is lost of a unit that loses `daily` on each of so many days."""
    return 1.0 - math.exp(days * math.log(1.0 - daily)) if daily < 1.0 else 1.0


@kernel
def within_budget(wealth: float, shadow: float, behind: float, loss: float, gain: float) -> bool:
    """Whether an epoch may be played otherwise than the baseline: if the account then lost `loss` and the shadow gained `gain`,
    it would still have 1 - behind of the shadow's wealth. False where one of them is not known."""
    return (1.0 - loss) * wealth >= (1.0 - behind) * (1.0 + gain) * shadow
