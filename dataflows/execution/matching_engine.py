"""The simulated venue's matching engine: what it does with the orders of one symbol in one bar. L90 is made of these steps."""

from __future__ import annotations

import math

from dataflows.data.types import Bars, Instruments
from dataflows.execution.order_table import closes_position, is_stop, same_side
from dataflows.execution.slippage import slippage
from dataflows.execution.types import (
    ACCEPT,
    CANCEL_REJECT,
    CANCELED_EVENT,
    EXPIRE,
    FOK,
    GTC,
    LIMIT,
    MAKER,
    MARKET,
    POST_ONLY,
    REJECT,
    STOP_LIMIT,
    STOP_MARKET,
    TAKE_PROFIT,
    TAKER,
)
from dataflows.execution.venue_books import (
    ACCEPTED_IN,
    BAD_PRICE,
    BAD_QUANTITY,
    CANCEL_FROM,
    CLOSE,
    DONE,
    ID,
    IMMEDIATE,
    IN_FORCE,
    LIFE,
    LIFETIME,
    LIMIT_PRICE,
    LIQUIDATED,
    LIVE_FROM,
    MODIFY_FROM,
    NEW_LIMIT,
    NEW_PRICE,
    NEW_QUANTITY,
    QUANTITY,
    REDUCES,
    STOP_PRICE,
    TRIED,
    TRIGGERED,
    TYPE,
    Log,
    VenueCarry,
    leave,
    next_order,
    report,
)
from dataflows.execution.venue_fills import (
    Terms,
    Trade,
    close_by_venue,
    fill,
    share,
)
from dataflows.execution.venue_filters import Bar, Rules, is_price, on_step, refusal
from dataflows.kernels.contract import booked, notional_of
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel

BY_ENTRIES, BY_ALL, BY_QUEUE = range(3)  # of the bar's volume: taken by entries, by all orders, by resting limits


@kernel
def change(carry: VenueCarry, log: Log, s: int, m: int, tick: float, lot: float) -> None:
    """The change of the order in slot m takes effect: of its quantity, of a stop's trigger and limit, of another order's limit.

    What is no price is refused, and so is a change of a market order's price or of a stop that was reached. A quantity may only
    become less, and more than has filled; an order for more is a new order.
    """
    price, type_, quantity = carry.numbers[NEW_PRICE, m, s], carry.codes[TYPE, m, s], carry.numbers[NEW_QUANTITY, m, s]
    limit = carry.numbers[NEW_LIMIT, m, s] if type_ == STOP_LIMIT else math.nan
    carry.codes[MODIFY_FROM, m, s] = 0
    if quantity == quantity:
        whole, done = carry.numbers[QUANTITY, m, s], carry.numbers[DONE, m, s]
        less = same_side(quantity, whole) and math.fabs(done) < math.fabs(quantity) <= math.fabs(whole)
        if closes_position(type_) or not (less and on_step(quantity, lot)):
            report(log, CANCEL_REJECT, s, carry.codes[ID, m, s], BAD_QUANTITY)
            return
        if math.isnan(price):
            carry.numbers[QUANTITY, m, s] = quantity
            report(log, ACCEPT, s, carry.codes[ID, m, s], 0)
            return
    priced = is_price(price, tick) and (math.isnan(limit) or is_price(limit, tick))
    if type_ == MARKET or carry.codes[TRIGGERED, m, s] != 0 or not priced:
        report(log, CANCEL_REJECT, s, carry.codes[ID, m, s], BAD_PRICE)
        return
    carry.numbers[STOP_PRICE if is_stop(type_) else LIMIT_PRICE, m, s] = price
    if limit == limit:
        carry.numbers[LIMIT_PRICE, m, s] = limit
    carry.numbers[QUANTITY, m, s] = quantity if quantity == quantity else carry.numbers[QUANTITY, m, s]
    report(log, ACCEPT, s, carry.codes[ID, m, s], 0)


@kernel
def next_arrival(carry: VenueCarry, s: int, after: int, bar: int) -> int:
    """The slot of the order that reaches the venue in this bar with the smallest id above `after`; -1: none."""
    best = -1
    for m in range(carry.codes.shape[1]):
        order_id = carry.codes[ID, m, s]
        due = order_id > after and carry.codes[ACCEPTED_IN, m, s] == 0 and carry.codes[LIVE_FROM, m, s] <= bar
        if due and (best < 0 or order_id < carry.codes[ID, best, s]):
            best = m
    return best


@kernel
def arrivals(carry: VenueCarry, log: Log, s: int, bar: Bar, rules: Rules) -> None:
    """Cancels and changes that are due, then activations in order of id."""
    for m in range(carry.codes.shape[1]):
        if carry.codes[ID, m, s] == 0:
            continue
        if 0 < carry.codes[CANCEL_FROM, m, s] <= bar.number:
            report(log, CANCELED_EVENT, s, carry.codes[ID, m, s], 0)
            leave(carry, s, m)
        elif 0 < carry.codes[MODIFY_FROM, m, s] <= bar.number:
            change(carry, log, s, m, rules.tick, rules.lot)
    m = next_arrival(carry, s, 0, bar.number)
    while m >= 0:
        order_id = carry.codes[ID, m, s]
        why = refusal(carry, s, m, rules, bar)
        report(log, REJECT if why != 0 else ACCEPT, s, order_id, why)
        if why != 0:
            leave(carry, s, m)
        else:
            carry.codes[ACCEPTED_IN, m, s] = bar.number
        m = next_arrival(carry, s, order_id, bar.number)


@kernel
def side_of(carry: VenueCarry, s: int, m: int) -> float:
    """1 where the order in slot m buys, -1 where it sells; stops and targets go against the position that there is."""
    if closes_position(carry.codes[TYPE, m, s]):
        return 1.0 if carry.position[s] < 0.0 else -1.0
    return 1.0 if carry.numbers[QUANTITY, m, s] > 0.0 else -1.0


@kernel
def size_of(carry: VenueCarry, s: int, m: int, room: float, entry_room: float, lot: float) -> float:
    """How much of the order in slot m can trade: what is left of it, a reduction never more than the position, in whole lots
    where `room`, and for an entry `entry_room`, hold less."""
    left = math.fabs(carry.numbers[QUANTITY, m, s]) - math.fabs(carry.numbers[DONE, m, s])
    if carry.codes[REDUCES, m, s] != 0:
        held = math.fabs(carry.position[s])
        if closes_position(carry.codes[TYPE, m, s]):
            left = held
        left = left if left < held else held
    else:
        room = room if room < entry_room else entry_room
    return share(left, room, lot)


@kernel
def at_open(carry: VenueCarry, log: Log, s: int, bar: Bar, terms: Terms, rules: Rules, taken: Floats) -> None:
    """Market orders, stops reached earlier, and limits that arrive marketable, at the open plus slippage.

    taken: (3,) the bar's volume that orders have taken, updated.
    """
    after = 0
    while True:
        m = next_order(carry, s, after)
        if m < 0:
            return
        after = carry.codes[ID, m, s]
        type_, quantity, limit = carry.codes[TYPE, m, s], carry.numbers[QUANTITY, m, s], carry.numbers[LIMIT_PRICE, m, s]
        crosses = bar.open < limit if quantity > 0.0 else bar.open > limit
        arrives = type_ == LIMIT and carry.codes[TRIED, m, s] == 0 and crosses
        carry.codes[TRIED, m, s] = 1
        if not (type_ == MARKET or arrives or (type_ == STOP_MARKET and carry.codes[TRIGGERED, m, s] != 0)):
            continue
        entry = carry.codes[REDUCES, m, s] == 0
        entry_room = terms.participation * bar.volume - taken[BY_ENTRIES]
        size = size_of(carry, s, m, bar.volume - taken[BY_ALL], entry_room, rules.lot)
        if not (size > 0.0) or (carry.codes[IN_FORCE, m, s] == FOK and size < size_of(carry, s, m, math.inf, math.inf, 0.0)):
            continue
        side = side_of(carry, s, m)
        price = bar.open * (1.0 + side * slippage(carry, s, side * size, terms.use_book, terms.impact, terms.default_bps))
        if arrives and (price > limit if side > 0.0 else price < limit):
            price = limit
        taken[BY_ALL] += size
        if entry:
            taken[BY_ENTRIES] += size
        fill(carry, log, s, m, Trade(side * size, bar.open, price, TAKER), rules, bar.number)


STOPS, PASSIVE_EXITS = 1, 2  # legs of a bar's path; 0: limit entries


@kernel
def leg_of(carry: VenueCarry, s: int, m: int) -> int:
    """The leg of the bar's path in which the turn of the order in slot m comes; -1: in none."""
    type_ = carry.codes[TYPE, m, s]
    if is_stop(type_) and carry.codes[TRIGGERED, m, s] == 0:
        return STOPS
    if type_ in (LIMIT, POST_ONLY, TAKE_PROFIT, STOP_LIMIT):
        return PASSIVE_EXITS if carry.codes[REDUCES, m, s] != 0 else 0
    return -1


@kernel
def reached_at(carry: VenueCarry, s: int, m: int, buys: bool, bar: Bar) -> float:
    """The price before slippage at which the bar reaches the order in slot m; NaN: it does not.

    A stop: at the worse of stop and open, in a bar that touches it. A limit: at the better of limit and open, in a bar that
    trades strictly through it. A stop-limit that this bar has triggered: at its limit, where the price has surely come back
    since: the bar opened beyond the limit and trades through it, or closes on its near side.
    """
    triggered = carry.codes[TRIGGERED, m, s]
    if is_stop(carry.codes[TYPE, m, s]) and triggered == 0:
        stop = carry.numbers[STOP_PRICE, m, s]
        if not (bar.high >= stop if buys else bar.low <= stop):
            return math.nan
        return (bar.open if bar.open > stop else stop) if buys else (bar.open if bar.open < stop else stop)
    limit = carry.numbers[LIMIT_PRICE, m, s]
    if triggered == bar.number:
        opened_beyond = bar.open > limit if buys else bar.open < limit
        since = (bar.low if buys else bar.high) if opened_beyond else bar.close
        return limit if (since < limit if buys else since > limit) else math.nan
    if not (bar.low < limit if buys else bar.high > limit):
        return math.nan
    return (bar.open if bar.open < limit else limit) if buys else (bar.open if bar.open > limit else limit)


@kernel
def in_path(carry: VenueCarry, log: Log, s: int, bar: Bar, terms: Terms, rules: Rules, taken: Floats) -> None:
    """Limit entries, then stops, then targets and other reduce-only limits: where one bar holds several, the worse comes
    first. taken: as in `at_open`."""
    limit_entry = False
    for leg in range(3):
        after = 0
        while True:
            m = next_order(carry, s, after)
            if m < 0:
                break
            after = carry.codes[ID, m, s]
            if leg_of(carry, s, m) != leg or (carry.codes[TYPE, m, s] == TAKE_PROFIT and limit_entry):
                continue
            side = side_of(carry, s, m)
            reference = reached_at(carry, s, m, side > 0.0, bar)
            if math.isnan(reference):
                continue
            if leg == STOPS:
                carry.codes[TRIGGERED, m, s] = bar.number
                at_trigger(carry, log, s, m, reference, (bar, terms, rules), taken)
                continue
            entry = carry.codes[REDUCES, m, s] == 0
            room, queue = bar.volume - taken[BY_ALL], terms.queue_share * bar.volume - taken[BY_QUEUE]
            room = room if room < queue else queue
            size = size_of(carry, s, m, room, terms.participation * bar.volume - taken[BY_ENTRIES], rules.lot)
            if not (size > 0.0):
                continue
            taken[BY_ALL] += size
            taken[BY_QUEUE] += size
            if entry:
                taken[BY_ENTRIES] += size
                limit_entry = True
            fill(carry, log, s, m, Trade(side * size, reference, reference, MAKER), rules, bar.number)
        if leg == STOPS:
            immediate(carry, log, s)


@kernel
def at_trigger(
    carry: VenueCarry, log: Log, s: int, m: int, reference: float, now: tuple[Bar, Terms, Rules], taken: Floats
) -> None:
    """The stop in slot m is reached at `reference`: it takes what there is, at that price plus slippage. A stop-limit takes
    nothing where that price is beyond its limit. taken: as in `at_open`."""
    bar, terms, rules = now
    side = side_of(carry, s, m)
    size = size_of(carry, s, m, bar.volume - taken[BY_ALL], math.inf, rules.lot)
    if carry.codes[IN_FORCE, m, s] == FOK and size < size_of(carry, s, m, math.inf, math.inf, 0.0):
        return
    if not (size > 0.0):
        return
    cost = slippage(carry, s, side * size, terms.use_book, terms.impact, terms.default_bps)
    price, worst = reference * (1.0 + side * cost), bar.high if side > 0.0 else bar.low
    beyond = reference + terms.gap_share * (worst - reference)
    price = beyond if side * (beyond - price) > 0.0 else price
    if carry.codes[TYPE, m, s] == STOP_LIMIT and side * (price - carry.numbers[LIMIT_PRICE, m, s]) > 0.0:
        return
    taken[BY_ALL] += size
    fill(carry, log, s, m, Trade(side * size, reference, price, TAKER), rules, bar.number)


@kernel
def expiries(carry: VenueCarry, log: Log, s: int, bar: int) -> None:
    """Orders whose life ends with this bar."""
    for m in range(carry.codes.shape[1]):
        here = carry.codes[ID, m, s] != 0 and carry.codes[ACCEPTED_IN, m, s] != 0
        if here and 0.0 < carry.numbers[LIFE, m, s] <= bar - carry.codes[ACCEPTED_IN, m, s] + 1:
            report(log, EXPIRE, s, carry.codes[ID, m, s], LIFETIME)
            leave(carry, s, m)


@kernel
def immediate(carry: VenueCarry, log: Log, s: int) -> None:
    """Takes off what is left of orders that wait for nothing: what the open, or the trigger of a stop, has not filled."""
    for m in range(carry.codes.shape[1]):
        here = carry.codes[ID, m, s] != 0 and carry.codes[ACCEPTED_IN, m, s] != 0
        waits = is_stop(carry.codes[TYPE, m, s]) and carry.codes[TRIGGERED, m, s] == 0
        if here and carry.codes[IN_FORCE, m, s] != GTC and not waits:
            report(log, EXPIRE, s, carry.codes[ID, m, s], IMMEDIATE)
            leave(carry, s, m)


@kernel
def meet(carry: VenueCarry, log: Log, s: int, bar: Bar, terms: Terms, rules: Rules, taken: Floats) -> None:
    """The orders of one symbol meet its bar. taken: (3,) room to count in."""
    arrivals(carry, log, s, bar, rules)
    if bar.trades != 0:
        for i in range(3):
            taken[i] = 0.0
        at_open(carry, log, s, bar, terms, rules, taken)
        immediate(carry, log, s)
        in_path(carry, log, s, bar, terms, rules, taken)
    else:
        immediate(carry, log, s)
    expiries(carry, log, s, bar.number)


@kernel
def liquidate(carry: VenueCarry, log: Log, bars: Bars, valid: Ints, facts: Instruments) -> None:
    """Closes every position where the account no longer has the maintenance margin that they need together (cross margin).

    The account is valued at each symbol's worst price of the bar (the low of what is held long, the high of what is sold short;
    the last close where the bar is unknown), since the worse comes first. Positions are closed at those prices, less the
    taker's fee and that of a liquidation. A venue that names no maintenance margin for any symbol liquidates nothing.
    """
    equity, needed = carry.money[0], 0.0
    for s in range(valid.shape[0]):
        if carry.position[s] != 0.0:
            price = worst_price(carry, s, bars, valid[s])
            equity += carry.position[s] * booked(price - facts.price_shift[s], facts.multiplier[s], facts.inverse[s])
            notional = math.fabs(carry.position[s]) * notional_of(price, facts.multiplier[s], facts.inverse[s])
            needed += notional * facts.maintenance_margin[s]
    if not (needed > 0.0) or equity >= needed:
        return
    for s in range(valid.shape[0]):
        if carry.position[s] != 0.0:
            rules = Rules(
                uid=facts.uid[s],
                listed=1,
                tick=facts.tick_size[s],
                lot=facts.lot_size[s],
                min_notional=facts.min_notional[s],
                exempt=1,
                band=0.0,
                long_only=0,
                taker_bps=facts.taker_fee_bps[s] + facts.liquidation_fee_bps[s],
                maker_bps=facts.maker_fee_bps[s],
                base_fee=0,
                multiplier=facts.multiplier[s],
                shift=facts.price_shift[s],
                inverse=facts.inverse[s],
            )
            close_by_venue(carry, log, s, worst_price(carry, s, bars, valid[s]), rules, LIQUIDATED)


@kernel
def worst_price(carry: VenueCarry, s: int, bars: Bars, valid: int) -> float:
    """The worst price of the bar for the position in symbol s; the last close where the bar is unknown."""
    price = bars.low[s] if carry.position[s] > 0.0 else bars.high[s]
    return float(price if valid != 0 and 0.0 < price < math.inf else carry.quoted[CLOSE, s])
