"""L82: how much of the risk that the gate allows is taken in the next epoch, and which sources count more."""

from __future__ import annotations

import math
from typing import Annotated, Final, NamedTuple

import numpy as np

from dataflows.carry import NAN, Axes, Bind
from dataflows.data.types import Clock
from dataflows.execution.types import Ledger
from dataflows.layer import layer
from dataflows.panel import Floats, Ints
from dataflows.regime.types import REGIMES, Regime
from dataflows.risk.types import RiskConfig
from dataflows.rl.allowed import allowed, baseline
from dataflows.rl.choices import by_network, by_table, tilt_of
from dataflows.rl.config import NETWORK, OFF, TABLE, TILTS, RlConfig
from dataflows.rl.linucb import LinUcb, first_of_highest, learn, upper_bounds
from dataflows.rl.observed import OBSERVED, PERCENT, masked, realised_variance, regime_means
from dataflows.rl.types import TILTS_TRIED, PolicyChoice, ShadowAccount
from dataflows.rl.wealth import account_growth, grow_arms, loss_over, split, weighted, within_budget

DAY_NS: Final = 86_400_000_000_000


class PolicyCarry(NamedTuple):
    """Both accounts as they were, the wealth of all, and what LinUCB has seen."""

    accounts: Annotated[Floats, Axes(4, start=NAN)]  # equity and cash that came in: the account's, then the shadow's
    log_wealth: Annotated[Floats, Axes(2)]  # of the account and of the shadow
    arms: Annotated[Floats, Axes("len(multipliers)")]  # log wealth of the paper accounts
    learned: Annotated[LinUcb, Bind(G=len(TILTS_TRIED), C=len(REGIMES))]
    seen: Annotated[Floats, Axes(len(REGIMES))]  # what the tilt in force was chosen by
    tilt: Annotated[Ints, Axes(1)]  # in force, a TILTS_TRIED index
    multiplier: Annotated[Floats, Axes(1, start=1.0)]  # in force


@layer("L82", schedule="epoch", cross_sectional=True)
def l82_policy(
    l1_regime: Regime,
    l97_ledger: Ledger,
    shadow_account: ShadowAccount,
    clock: Clock,
    rl: RlConfig,
    risk: RiskConfig,
    carry: PolicyCarry,
) -> PolicyChoice:
    """The policy of the next epoch: risk_multiplier (1,) in [0, 1] on L75's size, tilt (11,) on the sources' weights.

    By `policy`. 0: off, (1, no tilt), the baseline. 1: wealth split. Each multiplier has a paper account that earns it times
    the shadow's return of the epoch; the prior is 1 - `most_behind` on the baseline, `most_behind` on the rest; the multiplier
    is their mean, weighted by prior times wealth. Where returns are linear in the multiplier, the wealth is at least
    1 - `most_behind` of the shadow's on every path. 2: the same, with a tilt: LinUCB (disjoint, ridge 1) chooses among none
    and each domain's sources `tilt_factor`-fold, by the mean probabilities of the regimes. The reward of an epoch is its
    log growth less half of `risk_aversion` times the realised variance, in units of `reward_most`; an epoch in which nothing
    was held teaches nothing; ties go to no tilt. 3: `table` by those probabilities. 4: the network on `observation` and
    `known`; its first output through the logistic function is the multiplier, exp of the others the tilt.

    2 to 4 hold only within the budget: while (1 - l) of the account's wealth is at least (1 - `most_behind`)
    (1 + `baseline_gain`) of the shadow's, l the loss at which L92 closes everything, for each day of the epoch; else the
    baseline holds. A multiplier that is NaN counts 0; a tilt is within a factor of 100; one that is not finite is dropped.
    Wealth is time-weighted: cash that comes in or out is no gain. observation (12,) by OBSERVED, 0 where not known (`known` 0).
    Sources: Cover (1991); Li, Chu, Langford and Schapire (2010).
    """
    bars = clock.bars
    equity, flows = np.asarray(l97_ledger.equity), np.asarray(l97_ledger.cash_flows)
    own = account_growth(equity, flows, carry.accounts[:2])
    shadow = account_growth(shadow_account.equity, shadow_account.cash_flows, carry.accounts[2:])
    for i, growth in enumerate((own, shadow)):
        carry.log_wealth[i] += 0.0 if math.isnan(growth) else growth
    multipliers = np.array(rl.multipliers)
    grow_arms(shadow, multipliers, carry.arms)
    weights = split(rl.most_behind, carry.arms)
    variance = realised_variance(equity)
    regimes = regime_means(
        (
            l1_regime.calm[bars],
            l1_regime.trend_up[bars],
            l1_regime.trend_down[bars],
            l1_regime.high_vol[bars],
            l1_regime.chaotic[bars],
        )
    )
    gross = np.asarray(l97_ledger.gross)
    lead = math.nan if math.isnan(shadow) else carry.log_wealth[0] - carry.log_wealth[1]
    rest = (
        PERCENT * shadow,
        PERCENT * own,
        PERCENT * math.sqrt(variance),
        np.asarray(l97_ledger.drawdown)[-1],
        gross[-1] / equity[-1] if equity[-1] > 0.0 else math.nan,
        PERCENT * lead,
        carry.multiplier[0],
    )
    known = np.zeros(len(OBSERVED))
    observation = masked(np.concatenate((regimes, rest)), known)
    seen = observation[: len(REGIMES)]

    reward = math.nan
    if (gross > 0.0).any() and math.isfinite(own):
        reward = (min(max(own, -rl.reward_most), rl.reward_most) - 0.5 * rl.risk_aversion * variance) / rl.reward_most
        if rl.policy == TILTS:
            learn(carry.seen, int(carry.tilt[0]), reward, carry.learned)
    bounds = upper_bounds(seen, rl.exploration, carry.learned)
    chosen = first_of_highest(bounds) if rl.policy == TILTS else 0

    wealth = math.exp(carry.log_wealth[0])
    untouched = math.nan if math.isnan(shadow) else math.exp(carry.log_wealth[1])
    days = max(1.0, math.ceil((clock.ts[-1] - clock.ts[0]) / DAY_NS))
    loss = loss_over(risk.loss_daily * risk.loss_flatten_at, days)
    affordable = within_budget(wealth, untouched, rl.most_behind, loss, rl.baseline_gain)
    if rl.policy == OFF or (rl.policy >= TILTS and not affordable):
        choice, chosen = baseline(), 0
    elif rl.policy == TABLE:
        choice = allowed(by_table(regimes, rl.table))
    elif rl.policy == NETWORK:
        choice = by_network(observation, known, rl)
    else:
        choice = allowed(weighted(weights, multipliers), tilt_of(chosen, rl.tilt_factor))
    carry.seen[:], carry.tilt[0], carry.multiplier[:] = seen, chosen, choice.risk_multiplier
    return PolicyChoice(
        policy=choice,
        arm_weights=weights,
        tilt_value=bounds,
        tilt_chosen=chosen,
        within_budget=int(affordable),
        wealth=np.array([wealth]),
        shadow_wealth=np.array([untouched]),
        reward=np.array([reward]),
        observation=observation,
        known=known,
    )
