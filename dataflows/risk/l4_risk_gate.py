"""L4: the only door between a proposal and an order."""

from __future__ import annotations

import math

import numpy as np

from dataflows.execution.types import Ledger
from dataflows.fusion.types import FLAT, LONG, SHORT, Proposal
from dataflows.kernels.arith import clip, known
from dataflows.layer import layer
from dataflows.risk.config import RiskConfig
from dataflows.risk.types import (
    APPROVED,
    EXIT,
    FLATTEN,
    HOLD,
    REASONS,
    REDUCED,
    REJECTED,
    RUN,
    WHY_CLOSE_FIRST,
    WHY_EQUITY,
    WHY_FLAT_PROPOSAL,
    WHY_FLATTENED,
    WHY_HALTED,
    WHY_INSTRUMENT_CAP,
    WHY_NET_CAP,
    WHY_NO_STOP,
    WHY_NOT_PERMITTED,
    WHY_UNKNOWN_INPUT,
    Approval,
    Exit,
    KillSwitch,
    SizeCap,
    Stops,
    TargetWeights,
)
from dataflows.risk.weights import exit_bit, exposure, grows, is_distance, opposed, shrink, sort_key, weight_of
from dataflows.runtime.scratch import copied, fresh

ALL_REASONS = (1 << len(REASONS)) - 1


@layer("L4", schedule="step", cross_sectional=True)
def l4_risk_gate(
    l3_action_proposal: Proposal,
    l81_kill_switch: KillSwitch,
    l84_stop_levels: Stops,
    l85_instrument_cap: SizeCap,
    l86_exposure_cap: TargetWeights,
    l87_concentration_cap: TargetWeights,
    l93_open_risk_budget: TargetWeights,
    l94_position_exits: Exit,
    l95_tail_budget: TargetWeights,
    l97_ledger: Ledger,
    risk: RiskConfig,
) -> Approval:
    """What may be held, for any input at all: |target| at most the proposal and every cap, or between 0 and the position.

    In this order: FLATTEN and L94's exits give 0; the smallest of L85, L86, L87, L93, L95 and the proposal, 0 where their sides
    differ; a change of sign closes first; then net is trimmed on its heavy side, new risk before held, lowest rank first. A
    target beyond the position (an increase) needs RUN, may_enter, equity and price finite and positive, every input that is
    read here finite, and a stop; otherwise the position stays. Where equity or price is unknown or not positive no weight can
    be told: only closing is possible then.
    Returns (N,). target_weight: signed fraction of equity, never NaN; 0 without meaning where the verdict is HOLD and the
    weight of the position cannot be told. verdict: EXIT closes the whole position (and is what FLATTEN and exits always give);
    HOLD: nothing was asked and the position stays; REJECTED: an increase was asked and the position stays; APPROVED: as
    proposed; REDUCED: less. reasons: not 0 with EXIT, REJECTED and REDUCED; 0 with APPROVED. reduce_only: 0 only where new risk
    is approved; only then are stop, take_profit, trail (fractions of price) and horizon (bars) given, else NaN. urgency: 1 for
    exits and for reductions that a limit asks for, L3's confidence for what L3 asks for, 0 where nothing changes.
    """
    symbols = l3_action_proposal.side.shape[0]
    equity = l97_ledger.equity
    solvent = 0.0 < equity < math.inf
    target, current = fresh(symbols, 0.0), fresh(symbols, 0.0)
    asked = fresh(symbols, 0.0)  # the weight that L3 asks for; the position's where it says nothing
    reasons, fixed = fresh(symbols, 0), fresh(symbols, 0)
    must_close, untold = fresh(symbols, 0), fresh(symbols, 0)
    blind = False
    for n in range(symbols):
        w = weight_of(l97_ledger.position[n], l97_ledger.mark[n], equity)
        if math.isfinite(w):
            current[n] = w
        else:
            untold[n] = 1
            blind = True
        fixed[n] = 1 if untold[n] != 0 or l86_exposure_cap.untradeable[n] != 0 else 0

    for n in range(symbols):
        position, now = l97_ledger.position[n], current[n]
        side, size = l3_action_proposal.side[n], l3_action_proposal.size_fraction[n]
        proposed = side == FLAT or (side in (LONG, SHORT) and 0.0 <= size < math.inf)
        asked[n] = now
        if proposed:
            asked[n] = 0.0 if side == FLAT else side * size
            if side != FLAT and size == 0.0 and side * now > 0.0:
                asked[n] = now  # no case for more of it, and none to close it: what entering cost is spent

        if l81_kill_switch.level[n] >= FLATTEN:
            must_close[n] = 1
            reasons[n] |= WHY_FLATTENED
        if l94_position_exits.exit[n] != 0:
            must_close[n] = 1
            reasons[n] |= exit_bit(l94_position_exits.reason[n])
        if must_close[n] != 0:
            continue
        if side == FLAT:
            if position != 0.0:
                must_close[n] = 1
                reasons[n] = WHY_FLAT_PROPOSAL
            continue

        want = l86_exposure_cap.weight[n]
        reasons[n] = l86_exposure_cap.reasons[n] & ALL_REASONS
        unknown = not math.isfinite(want)
        for weight, why in (
            (l87_concentration_cap.weight, l87_concentration_cap.reasons),
            (l93_open_risk_budget.weight, l93_open_risk_budget.reasons),
            (l95_tail_budget.weight, l95_tail_budget.reasons),
        ):
            w = weight[n]
            reasons[n] |= why[n] & ALL_REASONS
            if not math.isfinite(w):
                unknown = True
            elif not ((w > 0.0 and want > 0.0) or (w < 0.0 and want < 0.0)):
                want = 0.0
            elif math.fabs(w) < math.fabs(want):
                want = w
        if not proposed:
            reasons[n] |= WHY_UNKNOWN_INPUT
        if unknown:
            want = now
            reasons[n] |= WHY_UNKNOWN_INPUT
        if untold[n] != 0:
            reasons[n] |= WHY_UNKNOWN_INPUT if solvent else WHY_EQUITY
            continue
        if opposed(want, position) or opposed(asked[n], position):
            reasons[n] |= WHY_CLOSE_FIRST
            continue

        cap = l85_instrument_cap.fraction[n]
        if grows(want, now):
            refused = 0
            if l3_action_proposal.may_enter[n] != 1:
                refused |= WHY_NOT_PERMITTED
            if l81_kill_switch.level[n] != RUN:
                refused |= WHY_HALTED
            if not solvent:
                refused |= WHY_EQUITY
            if not (
                is_distance(l84_stop_levels.stop_distance[n])
                and is_distance(l84_stop_levels.take_profit_distance[n])
                and is_distance(l84_stop_levels.trail_distance[n])
                and 0.0 < l84_stop_levels.time_stop[n] < math.inf
            ):
                refused |= WHY_NO_STOP
            if not 0.0 < cap < math.inf:
                refused |= WHY_INSTRUMENT_CAP
            if (
                blind
                or fixed[n] != 0
                or not proposed
                or not want * asked[n] > 0.0
                or not 0.0 < l97_ledger.mark[n] < math.inf
                or not math.isfinite(l3_action_proposal.edge_bps[n])
                or not math.isfinite(l3_action_proposal.freshness[n])
                or not math.isfinite(l3_action_proposal.rank[n])
            ):
                refused |= WHY_UNKNOWN_INPUT
            if refused != 0:
                reasons[n] |= refused
                target[n] = now
                continue
        size_of = math.fabs(want)
        if proposed and math.fabs(asked[n]) < size_of:
            size_of = math.fabs(asked[n])
        if fixed[n] == 0 and 0.0 < cap < size_of:
            size_of = cap
            reasons[n] |= WHY_INSTRUMENT_CAP
        target[n] = size_of if want > 0.0 else -size_of

    _, net = exposure(target, current, fixed)
    if not math.fabs(net) <= risk.net:
        key = fresh(symbols, math.nan)
        for n in range(symbols):
            key[n] = sort_key(l3_action_proposal.rank[n])
            if not math.isfinite(net) and grows(target[n], current[n]):
                target[n] = current[n]
                reasons[n] |= WHY_NET_CAP
        order = np.argsort(key, kind="mergesort")
        heavy = 1.0 if net > 0.0 else -1.0
        shrink(target, current, fixed, reasons, order, heavy, math.fabs(net) - risk.net, WHY_NET_CAP)

    stop, take_profit = fresh(symbols, math.nan), fresh(symbols, math.nan)
    trail, horizon = fresh(symbols, math.nan), fresh(symbols, math.nan)
    urgency, rank = fresh(symbols, 0.0), fresh(symbols, math.nan)
    verdict, halt = fresh(symbols, 0), fresh(symbols, 0)
    reduce_only = fresh(symbols, 1)
    for n in range(symbols):
        rank[n] = l3_action_proposal.rank[n] if math.isfinite(l3_action_proposal.rank[n]) else float(symbols)
        halt[n] = 1 if l81_kill_switch.level[n] != RUN else 0
        confidence = clip(known(l3_action_proposal.confidence[n], 0.0), 0.0, 1.0)
        changed = target[n] != current[n]
        as_asked = target[n] == asked[n]
        if must_close[n] != 0 or (untold[n] == 0 and target[n] == 0.0 and l97_ledger.position[n] != 0.0):
            verdict[n], urgency[n], target[n] = EXIT, 1.0, 0.0
            if must_close[n] == 0 and asked[n] == 0.0:  # a side, but no size: the edge no longer covers the cost
                reasons[n] |= WHY_FLAT_PROPOSAL
        elif untold[n] != 0:
            verdict[n] = HOLD
        elif grows(target[n], current[n]):
            verdict[n], urgency[n] = APPROVED if as_asked else REDUCED, confidence
            reduce_only[n] = 0
            stop[n], take_profit[n] = l84_stop_levels.stop_distance[n], l84_stop_levels.take_profit_distance[n]
            trail[n], horizon[n] = l84_stop_levels.trail_distance[n], l84_stop_levels.time_stop[n]
        elif changed:
            verdict[n] = APPROVED if as_asked else REDUCED
            urgency[n] = confidence if as_asked else 1.0
        else:
            verdict[n] = REJECTED if grows(asked[n], current[n]) else HOLD
        if verdict[n] == APPROVED:
            reasons[n] = 0
        elif verdict[n] != HOLD and reasons[n] == 0:
            reasons[n] = WHY_UNKNOWN_INPUT  # a layer above gave less than was asked, and no reason
    return Approval(
        target,
        stop,
        take_profit,
        trail,
        horizon,
        urgency,
        reduce_only,
        verdict,
        reasons,
        copied(l3_action_proposal.edge_bps),
        copied(l3_action_proposal.freshness),
        rank,
        copied(l94_position_exits.active_stop),
        halt,
    )
