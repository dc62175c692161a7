"""Whether the simulated venue takes an order: its filters, one symbol at a time."""

from __future__ import annotations

import math
from typing import NamedTuple

from dataflows.execution.order_table import LARGEST, closes_position, is_stop, same_side
from dataflows.execution.rounding import HAIR
from dataflows.execution.types import LIMIT, MARKET, POST_ONLY, STOP_LIMIT
from dataflows.execution.venue_books import (
    BAD_PRICE,
    BAD_QUANTITY,
    CLOSE,
    LIMIT_PRICE,
    MIN_NOTIONAL,
    NO_SHORT,
    NOT_LISTED,
    PRICE_BAND,
    QUANTITY,
    REDUCE_ONLY,
    REDUCES,
    STOP_PRICE,
    TYPE,
    WOULD_CROSS,
    VenueCarry,
)
from dataflows.kernels.contract import notional_of
from dataflows.runtime.compile import kernel


class Rules(NamedTuple):
    """What the venue asks of the orders of one symbol, and what it charges."""

    uid: int  # of the symbol: fills are numbered by it
    listed: int
    tick: float  # quote currency; 0: unknown
    lot: float  # base units; 0: unknown
    min_notional: float
    exempt: int  # 1: min_notional spares reduce-only orders
    band: float  # fraction; 0 none
    long_only: int
    taker_bps: float
    maker_bps: float
    base_fee: int  # 1: the fee of a purchase is taken from what is bought
    multiplier: float
    shift: float  # that our prices have more than the quoted ones
    inverse: int


class Bar(NamedTuple):
    """The bar of one symbol in which orders meet the market."""

    number: int  # of bars since the start
    trades: int  # 1: orders may fill in it
    open: float
    high: float
    low: float
    close: float
    volume: float


@kernel
def free(rules: Rules) -> Rules:
    """The same rules without fees, as a settlement is made."""
    return Rules(
        uid=rules.uid,
        listed=rules.listed,
        tick=rules.tick,
        lot=rules.lot,
        min_notional=rules.min_notional,
        exempt=rules.exempt,
        band=rules.band,
        long_only=rules.long_only,
        taker_bps=0.0,
        maker_bps=0.0,
        base_fee=0,
        multiplier=rules.multiplier,
        shift=rules.shift,
        inverse=rules.inverse,
    )


@kernel
def on_step(x: float, step: float) -> bool:
    """True where x is a whole number of steps, to rounding, or no step is known."""
    if not (step > 0.0):
        return True
    steps = math.fabs(x) / step
    return math.fabs(steps - math.floor(steps + 0.5)) <= HAIR * (steps if steps > 1.0 else 1.0)


@kernel
def is_price(price: float, tick: float) -> bool:
    """True for a price that an order may name."""
    return 0.0 < price < LARGEST and on_step(price, tick)


@kernel
def least_value(price: float, last: float, rules: Rules) -> float:
    """The smaller notional of a unit at two prices."""
    at_price = notional_of(price, rules.multiplier, rules.inverse)
    at_last = notional_of(last, rules.multiplier, rules.inverse)
    return at_price if at_price < at_last else at_last


@kernel
def refusal(carry: VenueCarry, s: int, m: int, rules: Rules, bar: Bar) -> int:
    """Why the venue does not take the order in slot m, as a REJECTIONS index; 0: it does.

    Stops and targets close whatever there is: lots and the least notional are not asked of them.
    """
    type_, quantity = carry.codes[TYPE, m, s], carry.numbers[QUANTITY, m, s]
    price = carry.numbers[STOP_PRICE, m, s] if is_stop(type_) else carry.numbers[LIMIT_PRICE, m, s]
    reduces = carry.codes[REDUCES, m, s] != 0
    if rules.listed == 0:
        return NOT_LISTED
    if not (0.0 < math.fabs(quantity) < LARGEST) or not (closes_position(type_) or on_step(quantity, rules.lot)):
        return BAD_QUANTITY
    if type_ != MARKET and not is_price(price, rules.tick):
        return BAD_PRICE
    if type_ == STOP_LIMIT and not is_price(carry.numbers[LIMIT_PRICE, m, s], rules.tick):
        return BAD_PRICE
    if closes_position(type_) and not reduces:
        return REDUCE_ONLY
    if reduces and not same_side(-carry.position[s], quantity):
        return REDUCE_ONLY
    if rules.long_only != 0 and not reduces and carry.position[s] + quantity < 0.0:
        return NO_SHORT
    last = carry.quoted[CLOSE, s]
    passive = type_ in (LIMIT, POST_ONLY)
    if passive and rules.band > 0.0 and math.fabs(price - last) > rules.band * (1.0 + HAIR) * last:
        return PRICE_BAND
    small = math.fabs(quantity) * least_value(price if passive else last, last, rules) < rules.min_notional * (1.0 - HAIR)
    if small and not closes_position(type_) and not (reduces and rules.exempt != 0):
        return MIN_NOTIONAL
    if type_ == POST_ONLY and bar.trades != 0 and (bar.open < price if quantity > 0.0 else bar.open > price):
        return WOULD_CROSS
    return 0
