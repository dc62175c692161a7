"""L4: the only passage from a proposal to an order."""

from __future__ import annotations

import math
from typing import NamedTuple

from dataflows.data.types import Instruments
from dataflows.execution.types import Ledger
from dataflows.fusion.types import FLAT, LONG, SHORT, Proposal
from dataflows.kernels.arith import clip, known
from dataflows.layer import layer
from dataflows.panel import Floats, Ints
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
    WHY_NO_SHORT,
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
from dataflows.risk.weights import (
    by_rank,
    exit_bit,
    grows,
    holdings,
    is_distance,
    keep_net,
    opposed,
)
from dataflows.runtime.compile import kernel
from dataflows.runtime.scratch import copied, full

ALL_REASONS = (1 << len(REASONS)) - 1


class Asked(NamedTuple):
    """What L3 asks for, (N,)."""

    weight: Floats  # signed fraction of equity; the position's where L3 says nothing
    known: Ints  # 1: L3 says something


@kernel
def what_is_asked(proposal: Proposal, current: Floats) -> Asked:
    """The weight that L3 asks for; where more is held on that side, what is held: entering has been paid for."""
    symbols = current.shape[0]
    weight, known_ = copied(current), full(symbols, 0)
    for n in range(symbols):
        side, size = proposal.side[n], proposal.size_fraction[n]
        if side == FLAT:
            weight[n], known_[n] = 0.0, 1
        elif side in (LONG, SHORT) and 0.0 <= size < math.inf:
            known_[n] = 1
            if not (side * current[n] > 0.0 and side * current[n] >= size):
                weight[n] = side * size
    return Asked(weight, known_)


@kernel
def closing_reasons(side: Ints, position: Floats, level: Ints, exits: Exit) -> Ints:
    """The bits of REASONS for which each position must be closed, (N,): FLATTEN, an exit, or else a FLAT proposal; 0: none."""
    symbols = position.shape[0]
    why = full(symbols, 0)
    for n in range(symbols):
        if level[n] >= FLATTEN:
            why[n] |= WHY_FLATTENED
        if exits.exit[n] != 0:
            why[n] |= exit_bit(exits.reason[n])
        if why[n] == 0 and side[n] == FLAT and position[n] != 0.0:
            why[n] = WHY_FLAT_PROPOSAL
    return why


@kernel
def narrowest(
    current: Floats, l86: TargetWeights, l87: TargetWeights, l93: TargetWeights, l95: TargetWeights
) -> tuple[Floats, Ints]:
    """The smallest of the caps' targets, 0 where their sides differ, the position where one is unknown; all their reasons."""
    symbols = current.shape[0]
    want, reasons = copied(l86.weight), full(symbols, 0)
    for n in range(symbols):
        reasons[n] = (l86.reasons[n] | l87.reasons[n] | l93.reasons[n] | l95.reasons[n]) & ALL_REASONS
        unknown = not math.isfinite(l86.weight[n])
        for w in (l87.weight[n], l93.weight[n], l95.weight[n]):
            if not math.isfinite(w):
                unknown = True
            elif not ((w > 0.0 and want[n] > 0.0) or (w < 0.0 and want[n] < 0.0)):
                want[n] = 0.0
            elif math.fabs(w) < math.fabs(want[n]):
                want[n] = w
        if unknown:
            want[n] = current[n]
            reasons[n] |= WHY_UNKNOWN_INPUT
    return want, reasons


@kernel
def has_bracket(n: int, stops: Stops) -> bool:
    """Whether an increase would get a stop, a target, a trailing stop and a horizon."""
    return bool(
        is_distance(stops.stop_distance[n])
        and is_distance(stops.take_profit_distance[n])
        and is_distance(stops.trail_distance[n])
        and 0.0 < stops.time_stop[n] < math.inf
    )


@kernel
def is_scored(n: int, proposal: Proposal) -> bool:
    """Whether the proposal's edge, freshness and rank are known."""
    return bool(
        math.isfinite(proposal.edge_bps[n]) and math.isfinite(proposal.freshness[n]) and math.isfinite(proposal.rank[n])
    )


@kernel
def verdict_of(n: int, made: TargetWeights, closing: Ints, untold: Ints, position: Floats, asked: Asked) -> int:
    """What becomes of a target; see `l4_risk_gate`."""
    target, now, wanted = made.weight[n], made.held[n], asked.weight[n]
    if closing[n] != 0 or (untold[n] == 0 and target == 0.0 and position[n] != 0.0):
        return EXIT
    if untold[n] != 0:
        return HOLD
    if target != now:
        return APPROVED if target == wanted else REDUCED
    return REJECTED if grows(wanted, now) else HOLD


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
    instruments: Instruments,
    risk: RiskConfig,
) -> Approval:
    """What may be held, for any input at all: |target| at most the proposal and every cap, or between 0 and the position.

    In this order: FLATTEN and L94's exits give 0; the smallest of L85, L86, L87, L93, L95 and the proposal, 0 where their sides
    differ; a change of sign closes first; then net is kept as in L86, new risk before held, lowest rank first. A target beyond
    the position (an increase) needs RUN, may_enter, equity and price finite and positive, every input that is read here finite,
    a stop, and for a short a venue that takes shorts; otherwise the position stays. Where equity or price is unknown or not
    positive no weight can be told: only closing is possible then.
    Returns (N,). target_weight: signed fraction of equity, never NaN; 0 without meaning where the verdict is HOLD and the
    weight of the position cannot be told. verdict: EXIT closes the whole position (and is what FLATTEN and exits always give);
    HOLD: nothing was asked and the position stays; REJECTED: an increase was asked and the position stays; APPROVED: as
    proposed; REDUCED: less. reasons: not 0 with EXIT, REJECTED and REDUCED; 0 with APPROVED. reduce_only: 0 only where new risk
    is approved; only then are stop, take_profit, trail (fractions of price) and horizon (bars) given, else NaN. urgency: 1 for
    exits and for reductions that a limit asks for, L3's confidence for what L3 asks for, 0 where nothing changes.
    """
    symbols = l3_action_proposal.side.shape[0]
    position, equity = l97_ledger.held, l97_ledger.equity  # dust is flat: nothing can close it
    solvent = 0.0 < equity < math.inf
    account = holdings(position, l97_ledger.unit_value, equity)
    current, untold = account.weight, account.untold
    fixed = copied(untold)
    for n in range(symbols):
        if l86_exposure_cap.untradeable[n] != 0:
            fixed[n] = 1

    asked = what_is_asked(l3_action_proposal, current)
    closing = closing_reasons(l3_action_proposal.side, position, l81_kill_switch.level, l94_position_exits)
    wanted, caps = narrowest(current, l86_exposure_cap, l87_concentration_cap, l93_open_risk_budget, l95_tail_budget)
    made = TargetWeights(full(symbols, 0.0), copied(closing), fixed, current)
    for n in range(symbols):
        want, now = wanted[n], current[n]
        if closing[n] != 0 or l3_action_proposal.side[n] == FLAT:
            continue
        made.reasons[n] = caps[n]
        if asked.known[n] == 0:
            made.reasons[n] |= WHY_UNKNOWN_INPUT
        if untold[n] != 0:
            made.reasons[n] |= WHY_UNKNOWN_INPUT if solvent else WHY_EQUITY
            continue
        if opposed(want, position[n]) or opposed(asked.weight[n], position[n]):
            made.reasons[n] |= WHY_CLOSE_FIRST
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
            if not has_bracket(n, l84_stop_levels):
                refused |= WHY_NO_STOP
            if not 0.0 < cap < math.inf:
                refused |= WHY_INSTRUMENT_CAP
            if want < 0.0 and instruments.long_only[n] != 0:
                refused |= WHY_NO_SHORT
            if account.blind or fixed[n] != 0 or asked.known[n] == 0 or not want * asked.weight[n] > 0.0:
                refused |= WHY_UNKNOWN_INPUT
            if not 0.0 < l97_ledger.mark[n] < math.inf or not is_scored(n, l3_action_proposal):
                refused |= WHY_UNKNOWN_INPUT
            if refused != 0:
                made.reasons[n] |= refused
                made.weight[n] = now
                continue
        size = math.fabs(want)
        if asked.known[n] != 0 and math.fabs(asked.weight[n]) < size:
            size = math.fabs(asked.weight[n])
        if fixed[n] == 0 and 0.0 < cap < size:
            size = cap
            made.reasons[n] |= WHY_INSTRUMENT_CAP
        made.weight[n] = size if want > 0.0 else -size
    keep_net(made, by_rank(l3_action_proposal.rank), risk.net, risk.cap_band, WHY_NET_CAP)

    out = Approval(
        target_weight=made.weight,
        stop=full(symbols, math.nan),
        take_profit=full(symbols, math.nan),
        trail=full(symbols, math.nan),
        horizon=full(symbols, math.nan),
        urgency=full(symbols, 0.0),
        reduce_only=full(symbols, 1),
        verdict=full(symbols, 0),
        reasons=made.reasons,
        edge_bps=copied(l3_action_proposal.edge_bps),
        freshness=copied(l3_action_proposal.freshness),
        rank=full(symbols, float(symbols)),
        active_stop=copied(l94_position_exits.active_stop),
        halt=full(symbols, 0),
    )
    for n in range(symbols):
        verdict = verdict_of(n, made, closing, untold, position, asked)
        out.verdict[n] = verdict
        if math.isfinite(l3_action_proposal.rank[n]):
            out.rank[n] = l3_action_proposal.rank[n]
        if l81_kill_switch.level[n] != RUN:
            out.halt[n] = 1
        confidence = clip(known(l3_action_proposal.confidence[n], 0.0), 0.0, 1.0)
        if verdict == EXIT:
            out.target_weight[n], out.urgency[n] = 0.0, 1.0
            if closing[n] == 0 and asked.weight[n] == 0.0:  # a side, but no size: the edge no longer covers the cost
                out.reasons[n] |= WHY_FLAT_PROPOSAL
        elif verdict in (APPROVED, REDUCED) and grows(made.weight[n], current[n]):
            out.urgency[n], out.reduce_only[n] = confidence, 0
            out.stop[n], out.take_profit[n] = l84_stop_levels.stop_distance[n], l84_stop_levels.take_profit_distance[n]
            out.trail[n], out.horizon[n] = l84_stop_levels.trail_distance[n], l84_stop_levels.time_stop[n]
        elif verdict in (APPROVED, REDUCED):
            out.urgency[n] = confidence if verdict == APPROVED else 1.0
        if verdict == APPROVED:
            out.reasons[n] = 0
        elif verdict != HOLD and out.reasons[n] == 0:
            out.reasons[n] = WHY_UNKNOWN_INPUT  # a layer above gave less than was asked, and no reason
    return out
