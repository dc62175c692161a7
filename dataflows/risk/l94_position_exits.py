"""L94: when a position must be closed, and where its stop now is."""

from __future__ import annotations

import math
from typing import NamedTuple

from dataflows.carry import Count, Unknown, Zero
from dataflows.data.types import Clock, Market
from dataflows.execution.types import FILL, ExecutionConfig, Executions, Ledger, Orders
from dataflows.fusion.types import Proposal
from dataflows.layer import layer
from dataflows.risk.config import RiskConfig
from dataflows.risk.types import NO_EXIT, RUN, STOP, TARGET, TIME, TRAIL, Exit, KillSwitch, LossLimits, Stops
from dataflows.runtime.compile import kernel
from dataflows.runtime.scratch import full


class PositionExitsCarry(NamedTuple):
    """The bracket of each position as it was latched, what has become of it, and the lockouts."""

    side: Count  # of the position, -1 or 1; 0 flat
    opened_by: Count  # order id; 0 unknown
    stop: Unknown
    target: Unknown
    trail: Unknown
    horizon: Unknown
    entry: Unknown  # average price
    trailed: Count  # 1: the stop has been moved
    reached: Count  # closes since the price was at the stop, that one included; 0: it was not
    bars: Zero  # bars held
    renewed: Zero  # bars held when the horizon began anew
    exit: Count
    reason: Count
    stop_id: Count  # orders that rested for the position at the last instant
    target_id: Count
    lock_long: Count  # bars that a lockout still lasts
    lock_short: Count


@kernel
def at_stop(side: int, stop: float, entry: float, trailed: int) -> int:
    """What an exit at the stop is called: TRAIL where a moved stop secures a gain, else STOP."""
    if trailed != 0 and not side * (stop - entry) < 0.0:
        return TRAIL
    return STOP


@kernel
def both(long: bool, short: bool) -> int:
    """Code of a pair of sides: 1 long, -1 short, 2 both, 0 none."""
    if long:
        return 2 if short else 1
    return -1 if short else 0


@kernel
def usable(price: float) -> bool:
    """Whether a price or a distance is known, finite and positive."""
    return 0.0 < price < math.inf


@kernel
def life(horizon: float, risk: RiskConfig) -> float:
    """Bars after which a position is closed: its horizon, or the configured one where it has none."""
    return horizon if usable(horizon) else float(risk.default_horizon_bars)


@kernel
def patience(rests: bool, execution: ExecutionConfig) -> int:
    """Closes at which the price must have been at the stop before the position is left at the market."""
    return execution.stop_limit_bars if rests and execution.stop_limit_bps > 0.0 else 1


@kernel
def latch_bracket(
    n: int,
    price: float,
    bracket: tuple[float, float, float, float],
    distances: tuple[float, float, float, float],
    carry: PositionExitsCarry,
) -> None:
    """Fixes stop, target, trail and horizon of a position: from the bracket of its order, else by `distances` from `price`."""
    if usable(bracket[0]):
        carry.stop[n], carry.target[n], carry.trail[n], carry.horizon[n] = bracket
    elif usable(distances[0]) and usable(price):
        carry.stop[n] = price * (1.0 - carry.side[n] * distances[0])
        carry.target[n] = price * (1.0 + carry.side[n] * distances[1])
        carry.trail[n], carry.horizon[n] = distances[2], distances[3]


@layer("L94", schedule="step")
def l94_position_exits(
    l0_market_feed: Market,
    l3_action_proposal: Proposal,
    l81_kill_switch: KillSwitch,
    l84_stop_levels: Stops,
    l90_fills: Executions,
    l92_loss_limits: LossLimits,
    l96_order_lifecycle: Orders,
    l97_ledger: Ledger,
    clock: Clock,
    execution: ExecutionConfig,
    risk: RiskConfig,
    carry: PositionExitsCarry,
) -> Exit:
    """Closes positions on their own terms: those of the order that opened them.

    Stop, target, trail and horizon are latched from that order's bracket; a position without one (adopted) gets L84's
    distances from the last known price, as soon as they are known. Stop and target rest at the venue. At closes this layer
    moves the stop with the price (never away from it; it acts from the next bar on) and sets `exit`, in this order: STOP or
    TRAIL where the price is at or beyond the stop that did not fill, TARGET likewise where no target rests, TIME after
    `horizon` closes. Where at that close a proposal for the same side may enter and nothing halts entries, closing would
    only pay a round trip: then the horizon begins anew, with L84's length where that is known. A stop that filled in part
    sets `exit` too. A resting stop-limit (`execution.stop_limit_bps` above 0) has time until the `stop_limit_bars`-th close
    since it was reached, whatever the price does meanwhile: then what it has left sets `exit`, which goes to the market.
    Where the close is unknown the last mark counts; time goes on. `exit` stays 1 until the position is 0; then `reason`
    says, for that one instant, why it was closed. TRAIL is a moved stop at the entry price or better; a moved stop that
    still loses is a STOP. After STOP the side is locked out for rearm_bars closes, the present one included; L86 ends a
    lockout early when L3 leaves the side, and `locked_now` tells it that one begins.
    `late` is 1 from the last `late_share` of the horizon on, and once the stop was reached: an add would be closed almost at
    once.
    Returns (N,): prices in quote currency and bars_held, NaN without a position; a position that is NaN changes nothing.
    """
    symbols = l97_ledger.position.shape[0]
    at_close = clock.is_bar != 0
    filled = full(symbols, 0)
    filled_side = full(symbols, 0)
    for i in range(l90_fills.n):
        n, order = l90_fills.symbol[i], l90_fills.id[i]
        if l90_fills.kind[i] == FILL and l96_order_lifecycle.fresh[i] != 0 and 0 <= n < symbols:
            # a bracket's stop is its entry's id + 1, its target + 2; entries take every fourth number
            if order & 3 == 1 or (order != 0 and order == carry.stop_id[n]):
                filled[n] = STOP
            elif order & 3 == 2 or (order != 0 and order == carry.target_id[n]):
                filled[n] = TARGET
            else:
                continue
            filled_side[n] = -1 if l90_fills.quantity[i] > 0.0 else 1

    exit_, reason = full(symbols, 0), full(symbols, 0)
    lockout, locked_now = full(symbols, 0), full(symbols, 0)
    active_stop, active_target = full(symbols, math.nan), full(symbols, math.nan)
    bars_held, late = full(symbols, math.nan), full(symbols, 0)
    for n in range(symbols):
        position = l97_ledger.held[n]
        side = 1 if position > 0.0 else (-1 if position < 0.0 else 0)
        if math.isnan(position):
            side = carry.side[n]
        opened_by = l96_order_lifecycle.opened_by[n] if side != 0 else 0
        close = l0_market_feed.bars.close[n]
        price = close if usable(close) else l97_ledger.mark[n]
        if at_close:
            carry.lock_long[n] = max(0, carry.lock_long[n] - 1)
            carry.lock_short[n] = max(0, carry.lock_short[n] - 1)

        # the position of the last instant: has it ended, and why
        ended = carry.side[n] != 0 and (side != carry.side[n] or (opened_by != 0 and opened_by != carry.opened_by[n]))
        was = 0
        if ended:
            was = carry.side[n]
            reason[n] = carry.reason[n]
            if carry.exit[n] == 0 and filled[n] == STOP:
                reason[n] = at_stop(was, carry.stop[n], carry.entry[n], carry.trailed[n])
            elif carry.exit[n] == 0:
                reason[n] = filled[n]
        elif carry.side[n] == 0 and side == 0 and filled[n] != 0:  # opened and stopped between two instants
            was = filled_side[n]
            reason[n] = filled[n]
        if reason[n] == STOP and risk.rearm_bars > 0:
            if was > 0:
                carry.lock_long[n] = risk.rearm_bars
            else:
                carry.lock_short[n] = risk.rearm_bars
            locked_now[n] = was
        if ended:
            filled[n] = 0
            carry.side[n] = carry.opened_by[n] = carry.trailed[n] = carry.exit[n] = carry.reached[n] = 0
            carry.reason[n] = NO_EXIT
            carry.stop[n] = carry.target[n] = carry.trail[n] = carry.horizon[n] = carry.entry[n] = math.nan
        lockout[n] = both(carry.lock_long[n] > 0, carry.lock_short[n] > 0)

        carry.stop_id[n] = l96_order_lifecycle.stop_id[n]
        carry.target_id[n] = l96_order_lifecycle.target_id[n]
        if side == 0:
            continue

        # the position that is
        if carry.side[n] == 0:
            carry.side[n], carry.bars[n], carry.renewed[n] = side, 0.0, 0.0
        if opened_by != 0:
            carry.opened_by[n] = opened_by
        if not usable(carry.stop[n]):
            bracket = (
                l96_order_lifecycle.bracket_stop[n],
                l96_order_lifecycle.bracket_target[n],
                l96_order_lifecycle.bracket_trail[n],
                l96_order_lifecycle.bracket_horizon[n],
            )
            distances = (
                l84_stop_levels.stop_distance[n],
                l84_stop_levels.take_profit_distance[n],
                l84_stop_levels.trail_distance[n],
                l84_stop_levels.time_stop[n],
            )
            latch_bracket(n, price, bracket, distances, carry)
        if usable(l97_ledger.average_price[n]):
            carry.entry[n] = l97_ledger.average_price[n]

        why = NO_EXIT
        at_its_stop = filled[n] == STOP or (at_close and usable(price) and side * (price - carry.stop[n]) <= 0.0)
        if carry.reached[n] > 0:
            carry.reached[n] += 1 if at_close else 0
        elif at_its_stop:
            carry.reached[n] = 1
        if filled[n] == TARGET:
            why = TARGET
        elif carry.reached[n] >= patience(carry.stop_id[n] != 0, execution):
            why = at_stop(side, carry.stop[n], carry.entry[n], carry.trailed[n])
        if at_close:
            carry.bars[n] += 1.0
            beyond = usable(price) and side * (price - carry.target[n]) >= 0.0
            if why == NO_EXIT and carry.target_id[n] == 0 and beyond:
                why = TARGET
            if why == NO_EXIT and carry.exit[n] == 0 and carry.bars[n] - carry.renewed[n] >= life(carry.horizon[n], risk):
                may_enter = l3_action_proposal.side[n] == side and l3_action_proposal.may_enter[n] == 1
                if may_enter and l81_kill_switch.level[n] == RUN and l92_loss_limits.halt_entries == 0:
                    carry.renewed[n] = carry.bars[n]
                    if usable(l84_stop_levels.time_stop[n]):
                        carry.horizon[n] = l84_stop_levels.time_stop[n]
                else:
                    why = TIME
            if usable(close) and usable(carry.trail[n]) and carry.reached[n] == 0:
                tighter = close * (1.0 - side * carry.trail[n])
                if usable(tighter) and not side * (tighter - carry.stop[n]) <= 0.0:
                    carry.stop[n] = tighter
                    carry.trailed[n] = 1
        if carry.exit[n] == 0 and why != NO_EXIT:
            carry.exit[n], carry.reason[n] = 1, why
        if carry.exit[n] != 0:
            exit_[n], reason[n] = 1, carry.reason[n]
        active_stop[n], active_target[n], bars_held[n] = carry.stop[n], carry.target[n], carry.bars[n]
        if carry.reached[n] > 0 or carry.bars[n] - carry.renewed[n] >= (1.0 - risk.late_share) * life(carry.horizon[n], risk):
            late[n] = 1
    return Exit(exit_, reason, active_stop, active_target, bars_held, lockout, locked_now, late)
