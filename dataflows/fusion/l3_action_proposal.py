"""L3: the action proposal, all that the market side has to say to the risk gate."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from dataflows.carry import Bind
from dataflows.execution.types import ExecutionConfig
from dataflows.fusion.config import FusionConfig
from dataflows.fusion.costs import Waiting
from dataflows.fusion.proposals import Backing, Bounds, Course, EntryRules, propose
from dataflows.fusion.types import (
    Agreement,
    Cost,
    Decay,
    Ensemble,
    Expectancy,
    Horizon,
    Policy,
    Proposal,
    SizeSuggestion,
    Success,
)
from dataflows.kinematics.types import KinematicState
from dataflows.layer import layer
from dataflows.microstructure.types import Tradeability
from dataflows.risk.types import VolForecast


class ActionProposalCarry(NamedTuple):
    """The side that there is a case for, and the mean edge that would end it."""

    course: Annotated[Course, Bind(C="len(horizons)")]


@layer("L3", cross_sectional=True)
def l3_action_proposal(
    l7_ensemble: Ensemble,
    l60_kinematic_state: KinematicState,
    l63_tradeability: Tradeability,
    l67_expectancy: Expectancy,
    l68_success_probability: Success,
    l70_horizon: Horizon,
    l71_trading_cost: Cost,
    l72_agreement: Agreement,
    l73_signal_decay: Decay,
    l75_size_suggestion: SizeSuggestion,
    l76_volatility_forecast: VolForecast,
    policy: Policy,
    fusion: FusionConfig,
    execution: ExecutionConfig,
    carry: ActionProposalCarry,
) -> Proposal:
    """One proposal a bar and symbol, panels (T, N). Long and short are treated alike.

    side: LONG or SHORT from the bar on which the edge of that side, after its cost, is positive and above `entry_min_t` of its
    standard errors, with at least `entry_min_observations` effective observations behind it; until the edge's exponential mean
    (half-life `leave_halflife` of the horizon) is more than `leave_cost` round trips against the side. Leaving it as soon as
    the sign turns would pay the round trip again and again. FLAT: there is no case for a position, close it; UNKNOWN_SIDE where
    edge, cost, volatility, size, chance or freshness is unknown: hold what there is. All at L70's horizon.
    may_enter: 1 only if the case for the side holds on this bar, tradeability does not say avoid, and there is a size. It never
    forces an exit. refusal: bit mask of REFUSALS, every reason that keeps may_enter at 0, of the side or, while FLAT, of the
    side of the edge; AVOID may stand beside any other.
    edge_bps: gross, of a position on `side` (FLAT: the better one; NaN when unknown). parts_bps: what L67 makes it of, by
    source and stated belief; added up from the first to the last they are edge_bps. risk_bps: L76's volatility over L70's
    horizon. size_fraction: L75's times the policy's multiplier, which never raises it; 0 when FLAT, unknown or against the
    edge. confidence: chance that the net edge is positive (logistic approximation of the normal distribution, Bowling et al.
    2009) times the mean of the sources' agreement, the kinematic state's backing of the side and p_success; an unknown one
    counts 0. The net edge is that of a position on `side` after L71's cost over L70's horizon, with an entry that waits where
    L69 would. p_success and freshness: L68's and L73's.
    rank: 0 is best, by net edge over risk; symbols with no case come last; ties by name.
    """
    multiplier = float(policy.risk_multiplier[0])
    if not multiplier > 0.0:  # also NaN
        multiplier = 0.0
    made = propose(
        l67_expectancy,
        l70_horizon,
        l71_trading_cost,
        Bounds(
            sigma=l76_volatility_forecast.sigma_bar,
            fraction=l75_size_suggestion.fraction,
            avoid=l63_tradeability.avoid,
        ),
        Backing(
            p_success=l68_success_probability.p_success,
            freshness=l73_signal_decay.freshness,
            agreement=l72_agreement.agreement,
            direction=l60_kinematic_state.direction,
            strength=l60_kinematic_state.strength,
        ),
        EntryRules(
            horizons=fusion.horizons,
            leave_cost=fusion.leave_cost,
            leave_halflife=fusion.leave_halflife,
            min_t=fusion.entry_min_t,
            min_observations=fusion.entry_min_observations,
            multiplier=min(multiplier, 1.0),
            waiting=Waiting(bars=execution.style_wait_bars, ratio=execution.style_limit_ratio),
        ),
        carry.course,
    )
    return Proposal(
        side=made.side,
        may_enter=made.may_enter,
        score=l7_ensemble.score,
        edge_bps=made.edge_bps,
        parts_bps=made.parts_bps,
        edge_std_bps=made.edge_std_bps,
        risk_bps=made.risk_bps,
        p_success=l68_success_probability.p_success,
        horizon=l70_horizon.bars,
        size_fraction=made.size_fraction,
        confidence=made.confidence,
        rank=made.rank,
        freshness=l73_signal_decay.freshness,
        refusal=made.refusal,
    )
