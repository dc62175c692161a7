"""L48: a symbol answers the leader's move a bar late."""

from __future__ import annotations

from typing import NamedTuple

from dataflows.data.types import Instruments, Market
from dataflows.kernels.smooth import halflife_alpha
from dataflows.kinematics.types import Returns
from dataflows.layer import layer
from dataflows.pattern.across import Response, leader_responses
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.types import PatternSignal


class LeadLagCarry(NamedTuple):
    """What L48 needs of the past."""

    response: Response


@layer("L48", cross_sectional=True)
def l48_lead_lag(
    l0_market_feed: Market,
    l2_returns_volatility: Returns,
    instruments: Instruments,
    pattern: PatternConfig,
    carry: LeadLagCarry,
) -> PatternSignal:
    """Lagged response to the leader, the symbol that `instruments` flags (`leader` of dataset.yml, else the first by name).
    Panels (T, N).

    L2's z, clipped at `lead_most_sigma`, is regressed on the leader's and on the symbol's own of the bar before, by least
    squares that forget (`lead_halflife_bars`): what a symbol's own past explains is not the leader's doing. Active on the bars
    whose leader's move is at least `lead_move_sigma` deviations while the leader's coefficient has a t of at least
    `lead_least_t`, by weights that add up to `lead_least_bars`; an occurrence is that bar, since the answer is of the next.
    side: of the answer. confidence: mean of x / (1 + x) of |t| and of the size of the move. Inactive for the leader, for all
    while the leader's move is not known, on bars that are not valid, and where there is no leader or no other symbol. Pairs
    of bars with an unknown move teach nothing and nothing is forgotten on them.
    Source: Lo and MacKinlay (1990) for cross-effects beside own ones; recursive least squares: Ljung (1999).
    """
    return PatternSignal(
        *leader_responses(
            z=l2_returns_volatility.z,
            on=l0_market_feed.quality.valid,
            leader=instruments.leader,
            forget=1.0 - halflife_alpha(pattern.lead_halflife_bars),
            most=pattern.lead_most_sigma,
            least_weight=pattern.lead_least_bars,
            least_t=pattern.lead_least_t,
            least_move=pattern.lead_move_sigma,
            state=carry.response,
        )
    )
