"""L86: from what is proposed to what a portfolio with this drawdown and these caps may hold."""

from __future__ import annotations

import math
from typing import NamedTuple

from dataflows.carry import Count, Zero
from dataflows.data.types import Instruments
from dataflows.execution.types import Ledger
from dataflows.fusion.types import FLAT, LONG, SHORT, UNKNOWN_SIDE, Proposal
from dataflows.layer import layer
from dataflows.risk.config import RiskConfig
from dataflows.risk.types import (
    WHY_CLOSE_FIRST,
    WHY_DRAWDOWN_THROTTLE,
    WHY_EQUITY,
    WHY_FLAT_PROPOSAL,
    WHY_GROSS_CAP,
    WHY_INSTRUMENT_CAP,
    WHY_LATE,
    WHY_LOCKOUT,
    WHY_LOSS_LIMIT,
    WHY_NET_CAP,
    WHY_NO_SHORT,
    WHY_NOT_PERMITTED,
    WHY_UNKNOWN_INPUT,
    WHY_VOLATILITY_TARGET,
    Exit,
    LossLimits,
    SizeCap,
    TargetWeights,
)
from dataflows.risk.weights import by_rank, exit_bit, grows, holdings, keep_gross, keep_net, opposed, within_cap
from dataflows.runtime.scratch import full


class ExposureCapCarry(NamedTuple):
    """Which sides L3 has left since they were locked out, and what it has granted to each position."""

    left_long: Count
    left_short: Count
    granted: Zero  # the largest size that L3 has asked for while the position was held


@layer("L86", schedule="step", cross_sectional=True)
def l86_exposure_cap(
    l3_action_proposal: Proposal,
    l83_volatility_target: SizeCap,
    l85_instrument_cap: SizeCap,
    l91_drawdown_throttle: float,
    l92_loss_limits: LossLimits,
    l94_position_exits: Exit,
    l97_ledger: Ledger,
    instruments: Instruments,
    risk: RiskConfig,
    carry: ExposureCapCarry,
) -> TargetWeights:
    """Target weights (N,) within every cap, signed fractions of equity, and the bits of REASONS that lowered them.

    Start: side * size * L91, and the position where it is larger on that side: entering has been paid for, so a smaller edge is
    no reason to sell (under a throttle, L91 times the largest size that L3 has asked for during its life). 0 on FLAT, on exit
    and on L92's flatten; the position where the side is unknown; where only the size is, the position if it is on that side,
    else 0. A change of side closes first: 0. No increase of |position| without may_enter, late in its life, in a lockout, in
    L92's halt, short at a venue that takes no shorts, on an unknown price, equity, L83, L85 or L91: then the position stays.
    Then L83 and L85: a known positive one cuts held risk too; 0 or unknown only admits no increase. Then gross and net, both
    times L91 (so that the throttle reaches held risk whose side is unknown), lowest rank first, ties by column. They count
    what may be on the way: of each symbol the larger of position and target, and of a hedge the smaller.
    New risk fills each cap less `cap_band` only, held risk is cut to the cap itself: what drifts between sells nothing.
    untradeable: no close of this bar (or no weight can be told, which then is 0 and means nothing): counted at its position in
    gross and net, and neither cut nor increased. While one position's weight is unknown, nobody's risk may increase.
    A lockout of L94 ends when L3 has left the side (an unknown side is no leaving).
    """
    symbols = l3_action_proposal.side.shape[0]
    equity = l97_ledger.equity
    solvent = 0.0 < equity < math.inf
    factor = l91_drawdown_throttle
    told = 0.0 <= factor <= 1.0
    if not told:
        factor = 1.0
    positions = holdings(l97_ledger.position, l97_ledger.unit_value, equity)
    made = TargetWeights(full(symbols, 0.0), full(symbols, 0), full(symbols, 0), positions.weight)
    current, fixed, blind = positions.weight, made.untradeable, positions.blind
    for n in range(symbols):
        if positions.untold[n] != 0 or not l97_ledger.mark_age[n] <= 0.0 or not 0.0 < l97_ledger.mark[n] < math.inf:
            fixed[n] = 1

    for n in range(symbols):
        side, size, now = l3_action_proposal.side[n], l3_action_proposal.size_fraction[n], current[n]
        lock = l94_position_exits.lockout[n]
        begun = l94_position_exits.locked_now[n]
        if (lock != LONG and lock != 2) or begun == LONG or begun == 2:
            carry.left_long[n] = 0
        if (lock != SHORT and lock != 2) or begun == SHORT or begun == 2:
            carry.left_short[n] = 0
        if side != UNKNOWN_SIDE and side != LONG:
            carry.left_long[n] = 1
        if side != UNKNOWN_SIDE and side != SHORT:
            carry.left_short[n] = 1

        w, why = now, 0
        if l94_position_exits.exit[n] != 0:
            w, why = 0.0, exit_bit(l94_position_exits.reason[n])
        elif l92_loss_limits.flatten != 0:
            w, why = 0.0, WHY_LOSS_LIMIT
        elif side == FLAT:
            w, why = 0.0, WHY_FLAT_PROPOSAL
        elif side in (LONG, SHORT):
            if 0.0 <= size < math.inf:
                held = side * now if side * now > 0.0 else 0.0
                granted = max(carry.granted[n], size) if held > 0.0 else size
                carry.granted[n] = granted
                grant = size * factor
                if held > grant:
                    grant = min(held, granted * factor) if factor < 1.0 and granted > 0.0 else held
                w = side * grant
                if factor < 1.0 and grant != held:
                    why = WHY_DRAWDOWN_THROTTLE
            else:
                w, why = now if side * now > 0.0 else 0.0, WHY_UNKNOWN_INPUT
        else:
            why = WHY_UNKNOWN_INPUT

        if opposed(w, now):
            w, why = 0.0, WHY_CLOSE_FIRST
        if grows(w, now):
            refused = 0
            locked = (w > 0.0 and (lock == LONG or lock == 2) and carry.left_long[n] == 0) or (
                w < 0.0 and (lock == SHORT or lock == 2) and carry.left_short[n] == 0
            )
            if l3_action_proposal.may_enter[n] != 1:
                refused |= WHY_NOT_PERMITTED
            if l94_position_exits.late[n] != 0 and w * now > 0.0:
                refused |= WHY_LATE
            if locked:
                refused |= WHY_LOCKOUT
            if l92_loss_limits.halt_entries != 0:
                refused |= WHY_LOSS_LIMIT
            if not solvent:
                refused |= WHY_EQUITY
            if not told or blind or fixed[n] != 0:
                refused |= WHY_UNKNOWN_INPUT
            if not 0.0 <= l83_volatility_target.fraction[n] < math.inf:
                refused |= WHY_VOLATILITY_TARGET | WHY_UNKNOWN_INPUT
            if not 0.0 < l85_instrument_cap.fraction[n] < math.inf:
                refused |= WHY_INSTRUMENT_CAP
            if w < 0.0 and instruments.long_only[n] != 0:
                refused |= WHY_NO_SHORT
            if refused != 0:
                why |= refused
                w = now if w * now > 0.0 else 0.0

        if fixed[n] == 0:
            cap = l83_volatility_target.fraction[n]
            if cap >= 0.0 and within_cap(w, now, cap, risk.cap_band) != w:
                w = within_cap(w, now, cap, risk.cap_band)
                why |= WHY_VOLATILITY_TARGET
            cap = l85_instrument_cap.fraction[n]
            if cap > 0.0 and within_cap(w, now, cap, risk.cap_band) != w:
                w = within_cap(w, now, cap, risk.cap_band)
                why |= WHY_INSTRUMENT_CAP
        made.weight[n], made.reasons[n] = w, why

    order = by_rank(l3_action_proposal.rank)
    keep_gross(made, order, risk.gross * factor, risk.cap_band, WHY_GROSS_CAP)
    keep_net(made, order, risk.net * factor, risk.cap_band, WHY_NET_CAP)
    return made
