"""L89: what the venue's filters accept."""

from __future__ import annotations

import math
from typing import NamedTuple

from dataflows.data.types import Instruments, Market
from dataflows.execution.account import entry_value
from dataflows.execution.config import ExecutionConfig
from dataflows.execution.order_table import LARGEST, same_side
from dataflows.execution.rounding import HAIR, ceil_to, floor_to
from dataflows.execution.types import DROPS, MARKET, Constrained, Ledger, Slice, Style
from dataflows.layer import layer
from dataflows.microstructure.types import SpreadDepth
from dataflows.panel import Floats, Ints
from dataflows.risk.types import Approval
from dataflows.runtime.compile import kernel
from dataflows.runtime.scratch import full

LOT = DROPS.index("LOT")
MIN_NOTIONAL = DROPS.index("MIN_NOTIONAL")
RATE = DROPS.index("RATE")
UNKNOWN_PRICE = DROPS.index("UNKNOWN_PRICE")
NO_SHORT = DROPS.index("NO_SHORT")
MARGIN = DROPS.index("MARGIN")


@kernel
def passive_price(
    buys: bool, mid: float, spread_bps: float, offset_bps: float, mark: float, collar_bps: float, tick: float
) -> float:
    """The touch less the offset, on a tick away from the market, within the collar around the mark; NaN: there is none."""
    if not (0.0 < mid < LARGEST and 0.0 < mark < LARGEST and 0.0 <= spread_bps < 2e4 and 0.0 <= offset_bps < 1e4):
        return math.nan
    side = 1.0 if buys else -1.0
    price = mid * (1.0 - side * spread_bps / 2e4) * (1.0 - side * offset_bps / 1e4)
    low, high = mark * (1.0 - collar_bps / 1e4), mark * (1.0 + collar_bps / 1e4)
    price = low if price < low else high if price > high else price
    price = floor_to(price, tick) if buys else ceil_to(price, tick)
    if price < low:
        price = ceil_to(low, tick)
    if price > high:
        price = floor_to(high, tick)
    return price if low * (1.0 - HAIR) <= price <= high * (1.0 + HAIR) and price > 0.0 else math.nan


@kernel
def reduction(size: float, held: float, unit: float, lot: float, least: float, exempt: int) -> tuple[float, float, int]:
    """A reduction of `size` of the `held` (both not negative) on the venue's terms: (quantity, dust, drop). unit: notional of
    one.

    Rounded up to a lot and to the least notional, never beyond what is held; what would be left and could never be closed goes
    too.
    """
    whole = floor_to(held, lot)
    if math.fabs(held - whole) <= HAIR * lot or not (lot > 0.0):
        whole = held
    if not (whole > 0.0):
        return 0.0, held, LOT
    size = size if size < held else held
    size = ceil_to(size, lot)
    if exempt == 0 and least > 0.0 and unit > 0.0:
        if whole * unit < least:
            return 0.0, held, MIN_NOTIONAL
        needed = ceil_to(least / unit, lot)
        size = size if size > needed else needed
        if (whole - size) * unit < least:
            size = whole
    if not (size < whole * (1.0 - HAIR)):
        size = whole
    return size, held - whole if size == whole else 0.0, 0


@kernel
def last_served(entry: Ints, rank: Floats) -> int:
    """The entry that is served last: the highest rank (unknown: beyond all), of equals the last by name. entry: 1 where there
    is one."""
    last, worst = -1, -math.inf
    for s in range(entry.shape[0]):
        own = rank[s] if rank[s] == rank[s] else math.inf
        if entry[s] != 0 and own >= worst:
            last, worst = s, own
    return last


class Entries(NamedTuple):
    """The entries of an instant, (N,) each; all but `worth` are updated as they are cut."""

    quantity: Floats  # signed
    worth: Floats  # notional of a unit; 0 where there is no entry
    entry: Ints  # 1: there is one
    dropped: Ints  # a DROPS index


class Margins(NamedTuple):
    """What positions and entries need and what there is."""

    held: Floats
    unit: Floats  # notional of one
    margin: Floats  # fraction of notional; 0: none is asked for
    equity: float


@kernel
def within_margin(entries: Entries, margins: Margins, rank: Floats, lot: Floats, least: Floats) -> None:
    """Cuts entries, the last served first, until positions and entries together need no more margin than there is equity."""
    needed, asks = 0.0, False
    for s in range(rank.shape[0]):
        if margins.margin[s] > 0.0:
            asks = True
            if margins.held[s] != 0.0:
                needed += math.fabs(margins.held[s]) * margins.unit[s] * margins.margin[s]
            if entries.entry[s] != 0:
                needed += math.fabs(entries.quantity[s]) * entries.worth[s] * margins.margin[s]
    while asks and not (needed <= margins.equity):
        s = last_served(entries.entry * (margins.margin > 0.0), rank)
        if s < 0:
            return
        unit = entries.worth[s] * margins.margin[s]
        before, lacks = math.fabs(entries.quantity[s]), needed - margins.equity
        left = floor_to(before - lacks / unit, lot[s]) if lacks < before * unit else 0.0
        if not (left > 0.0) or left * entries.worth[s] < least[s]:
            left, entries.entry[s], entries.dropped[s] = 0.0, 0, MARGIN
        elif not (left < before):  # rounding has nothing left to give
            return
        entries.quantity[s] = left if entries.quantity[s] > 0.0 else -left
        needed -= (before - left) * unit


@layer("L89", schedule="step", cross_sectional=True)
def l89_venue_constraints(
    l0_market_feed: Market,
    l4_risk_gate: Approval,
    l8_spread_depth: SpreadDepth,
    l69_order_style: Style,
    l88_order_slicing: Slice,
    l97_ledger: Ledger,
    instruments: Instruments,
    execution: ExecutionConfig,
) -> Constrained:
    """Lots, ticks, the least notional, the collar and the rate budget. Rounding never raises risk.

    Entries are rounded down to a lot, reductions up (never past the position); buy prices down to a tick and sell prices up,
    within `collar_bps` of the mark and the venue's price band. Entries below a lot or the least notional, or without a known
    price, are dropped, and short ones where the venue is long only. Where it asks for margin, entries are cut until positions
    and entries together need no more than equity. An exit
    is never dropped: what cannot be closed, below a lot or below the least notional where reduce-only orders are not exempt,
    is dust. The first 1 - `reserve` of `rate_orders`, or of the venue's own limit where that is less, is for entries, served by
    the approval's rank, ties by name; the rest is kept for exits, stops and cancels, which take from the whole.
    Returns signed base units, price in quote currency (NaN: at the market), a DROPS code, dust >= 0, a type and a life in bars.
    """
    symbols = l97_ledger.position.shape[0]
    quantity, price = full(symbols, 0.0), full(symbols, math.nan)
    dropped, dust = full(symbols, 0), full(symbols, 0.0)
    type_, lifetime = full(symbols, MARKET), full(symbols, 0.0)
    entry, unit = full(symbols, 0), full(symbols, 0.0)
    exits = 0
    for s in range(symbols):
        q, held, mark = l88_order_slicing.quantity[s], l97_ledger.position[s], l97_ledger.mark[s]
        if not (math.fabs(q) > 0.0):
            continue
        lot, least = instruments.lot_size[s], instruments.min_notional[s]
        buys = q > 0.0
        limit = math.nan
        if l69_order_style.type[s] != MARKET:
            band = instruments.price_band_bps[s]
            limit = passive_price(
                buys,
                l8_spread_depth.mid[s],
                l8_spread_depth.spread_bps[s],
                l69_order_style.limit_offset_bps[s],
                mark,
                band if 0.0 < band < execution.collar_bps else execution.collar_bps,
                instruments.tick_size[s],
            )
        if same_side(-held, q):
            size, left, why = reduction(
                math.fabs(q), math.fabs(held), l97_ledger.unit_value[s], lot, least, instruments.reduce_only_exempt[s]
            )
            dust[s], dropped[s] = left, why
            exits += 1 if size > 0.0 else 0
        elif l88_order_slicing.reduce_only[s] != 0 or not (math.fabs(q) < LARGEST):
            continue  # nothing to reduce on that side, or no quantity
        else:
            size = floor_to(math.fabs(q), lot)
            unit[s] = entry_value(limit, mark, instruments.multiplier[s], instruments.inverse[s])
            close = l0_market_feed.bars.close[s]
            if not (0.0 < close < LARGEST and 0.0 < mark < LARGEST) or (
                l69_order_style.type[s] != MARKET and not (limit > 0.0)
            ):
                size, dropped[s] = 0.0, UNKNOWN_PRICE
            elif not (size > 0.0):
                size, dropped[s] = 0.0, LOT
            elif size * unit[s] < least:
                size, dropped[s] = 0.0, MIN_NOTIONAL
            elif instruments.long_only[s] != 0 and not buys:
                size, dropped[s] = 0.0, NO_SHORT
            entry[s] = 1 if size > 0.0 else 0
        if size > 0.0:
            quantity[s] = size if buys else -size
            if limit > 0.0:
                price[s], type_[s], lifetime[s] = limit, l69_order_style.type[s], l69_order_style.lifetime[s]

    within_margin(
        Entries(quantity, unit, entry, dropped),
        Margins(l97_ledger.position, l97_ledger.unit_value, instruments.margin, l97_ledger.equity),
        l4_risk_gate.rank,
        instruments.lot_size,
        instruments.min_notional,
    )
    entries, budget = 0, execution.rate_orders
    for s in range(symbols):
        entries += entry[s]
        if 0 < instruments.orders_per_bar[s] < budget:
            budget = instruments.orders_per_bar[s]
    allowed = math.floor(budget * (1.0 - execution.reserve) + HAIR)
    allowed = allowed if allowed < budget - exits else budget - exits
    while entries > allowed and entries > 0:
        last = last_served(entry, l4_risk_gate.rank)
        entry[last], quantity[last], dropped[last] = 0, 0.0, RATE
        entries -= 1
    for s in range(symbols):
        if quantity[s] == 0.0:
            price[s], type_[s], lifetime[s] = math.nan, MARKET, 0.0
    return Constrained(quantity, price, dropped, dust, type_, lifetime)
