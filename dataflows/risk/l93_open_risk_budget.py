"""L93: what is lost if every stop is hit."""

from __future__ import annotations

import math

from dataflows.data.types import Instruments
from dataflows.execution.types import Ledger
from dataflows.kernels.contract import loss_of
from dataflows.layer import layer
from dataflows.risk.budgets import SLACK, put_back, scale, share_within, split
from dataflows.risk.config import RiskConfig
from dataflows.risk.types import WHY_NO_STOP, WHY_OPEN_RISK, Exit, Stops, TargetWeights
from dataflows.risk.weights import is_distance, lowered
from dataflows.runtime.scratch import copied, full


@layer("L93", schedule="step", cross_sectional=True)
def l93_open_risk_budget(
    l84_stop_levels: Stops,
    l87_concentration_cap: TargetWeights,
    l94_position_exits: Exit,
    l97_ledger: Ledger,
    instruments: Instruments,
    risk: RiskConfig,
) -> TargetWeights:
    """Weight times what is lost at the stop, within `risk_per_symbol` for each symbol and within `risk_budget` for all
    together.

    Lost at the stop is the distance as a fraction of the price; of an inverse contract more when long, less when short. What is
    held counts to its active stop, never below 0 (a stop that secures a gain risks nothing), what is new to L84's, or
    to the active one where that is farther: an add shares the stop of its position. Held risk beyond its own budget is cut,
    then new risk to what is left; beyond the sum, all new risk by one factor, then all held. New risk fills both budgets less
    `cap_band`, beside all that is held until it has been sold. An unknown distance admits nothing new; a position whose stop is
    unknown counts in full against new risk and is itself not cut. Untradeable symbols count as held and are not cut. Returns
    (N,) weights, none above L87's.
    Source: fixed fractional risk as in Tharp (1998).
    """
    made = lowered(l87_concentration_cap)
    symbols, fixed = made.weight.shape[0], made.untradeable
    parts = split(made, full(symbols, 1.0), WHY_OPEN_RISK)
    kept, new, whole, counted = parts
    fill = 1.0 - risk.cap_band
    distance, stuck = full(symbols, 0.0), copied(fixed)  # 1: not to be cut; 2: no stop is known
    held, base, more, unknown = 0.0, 0.0, 0.0, 0.0
    for n in range(symbols):
        if counted[n] == 0.0:
            continue
        if whole[n] > 0.0:
            mark, stop = l97_ledger.mark[n], l94_position_exits.active_stop[n]
            d = (mark - stop) / mark if counted[n] > 0.0 else (stop - mark) / mark
            if 0.0 < mark < math.inf and stop > 0.0 and d < math.inf:
                distance[n] = loss_of(d, counted[n], instruments.inverse[n]) if d > 0.0 else 0.0
                if fixed[n] == 0 and not kept[n] * distance[n] <= risk.risk_per_symbol * SLACK:
                    kept[n], new[n] = risk.risk_per_symbol / distance[n], 0.0
                held += kept[n] * distance[n]
                base += whole[n] * distance[n]
            else:
                distance[n], stuck[n] = 1.0, 2
                unknown += whole[n]
        if new[n] > 0.0:
            far = l84_stop_levels.stop_distance[n]
            if is_distance(far):
                far = max(
                    loss_of(far, counted[n], instruments.inverse[n]), distance[n]
                )  # an add shares the stop of the position
                room = (risk.risk_per_symbol * fill - whole[n] * distance[n]) / far
                if not new[n] <= room * SLACK:
                    new[n] = room if room > 0.0 else 0.0
                more += new[n] * far
            else:
                new[n] = 0.0
                made.reasons[n] |= WHY_NO_STOP
    if not base + unknown + more <= risk.risk_budget * fill * SLACK:
        scale(new, fixed, share_within(base + unknown, 0.5 * more, 0.0, risk.risk_budget * fill))
    if not held <= risk.risk_budget * SLACK:
        fast, free = 0.0, 0.0
        for n in range(symbols):
            if stuck[n] == 1:
                fast += kept[n] * distance[n]
            elif stuck[n] == 0:
                free += kept[n] * distance[n]
        scale(kept, stuck, share_within(fast, 0.5 * free, 0.0, risk.risk_budget))
    put_back(made, parts, WHY_OPEN_RISK)
    return made
