"""What the execution domain hands on. Quantities are signed units (+ buys): base units, or contracts where an instrument has a
multiplier. Prices are in quote currency, money in the account's."""

from __future__ import annotations

from typing import Annotated, Final, NamedTuple

from dataflows.execution.config import ExecutionConfig as ExecutionConfig  # other domains read its settings
from dataflows.fusion.types import EDGE_PARTS as EDGE_PARTS  # the comment of `Audit.by_source` names it
from dataflows.panel import (
    Column,
    Finite,
    Flag,
    IntColumn,
    IntPanel,
    Ints,
    IntSeries,
    IntTable,
    Kind,
    Members,
    Panel,
    Score,
    Series,
    Size,
    Stack,
    Table,
    Within,
)

# intents
PLACE: Final = 1
CANCEL: Final = 2
MODIFY: Final = 3
INTENTS: Final = ("NONE", "PLACE", "CANCEL", "MODIFY")

# order types
MARKET: Final = 0
LIMIT: Final = 1
POST_ONLY: Final = 2
STOP_MARKET: Final = 3
TAKE_PROFIT: Final = 4
STOP_LIMIT: Final = 5
ORDER_TYPES: Final = ("MARKET", "LIMIT", "POST_ONLY", "STOP_MARKET", "TAKE_PROFIT", "STOP_LIMIT")

# time in force; an order with a lifetime is good till then (GTD)
GTC: Final = 0  # good till canceled
IOC: Final = 1  # immediate or cancel: what the first bar does not fill at its open is canceled
FOK: Final = 2  # fill or kill: all of it there, or nothing
TIMES_IN_FORCE: Final = ("GTC", "IOC", "FOK")

# venue events
ACCEPT: Final = 0
REJECT: Final = 1
CANCELED_EVENT: Final = 2
EXPIRE: Final = 3
FILL: Final = 4
CANCEL_REJECT: Final = 5
FUNDING: Final = 6  # a payment of funding: of no order, numbered like a fill
EVENTS: Final = ("ACCEPT", "REJECT", "CANCELED", "EXPIRE", "FILL", "CANCEL_REJECT", "FUNDING")

# order status
NONE: Final = 0
SUBMITTED: Final = 1
ACCEPTED: Final = 2
PENDING_CANCEL: Final = 3
FILLED: Final = 4
CANCELED: Final = 5
REJECTED_ORDER: Final = 6
EXPIRED: Final = 7
PENDING_MODIFY: Final = 8
STATUSES: Final = (
    "NONE",
    "SUBMITTED",
    "ACCEPTED",
    "PENDING_CANCEL",
    "FILLED",
    "CANCELED",
    "REJECTED",
    "EXPIRED",
    "PENDING_MODIFY",
)

TAKER: Final = 0
MAKER: Final = 1
LIQUIDITY: Final = ("TAKER", "MAKER")


class OrderIntents(NamedTuple):
    """L5: what to tell the venue at this instant. Comes round to L90 and L96 one instant later (a delayed edge)."""

    n: int
    kind: IntColumn  # an INTENTS code
    symbol: IntColumn  # column
    id: IntColumn  # symbol_uid << 32 | sequence; a bracket's stop is id + 1, its target id + 2
    parent: IntColumn  # the entry whose position this order closes; 0 none
    quantity: Column  # signed; of a MODIFY the whole order's, 0: as it is
    type: IntColumn  # an ORDER_TYPES code
    time_in_force: IntColumn  # a TIMES_IN_FORCE code
    limit_price: Column  # NaN none
    stop_price: Column  # trigger of a stop; NaN none
    reduce_only: IntColumn
    lifetime: Column  # bars until the order expires; 0: good till cancelled
    bracket_stop: Column  # price of the stop that goes live at the venue with the first fill; NaN none
    bracket_limit: Column  # limit of that stop; NaN: it goes to the market
    bracket_target: Column
    bracket_trail: Column  # distance as a fraction of price, for L94
    bracket_horizon: Column  # bars, for L94
    decision_time: IntColumn  # UTC ns of the close that decided
    decision_price: Column  # mark then
    reason: IntColumn  # the REASONS mask of the approval


class Executions(NamedTuple):
    """L90: the venue's reports of this instant."""

    n: int
    kind: IntColumn  # an EVENTS code
    symbol: IntColumn
    id: IntColumn  # order id
    fill_id: IntColumn  # symbol_uid << 32 | sequence of the venue's fills and payments of funding; 0 of other reports
    quantity: Column  # signed; 0 where not a fill
    price: Column
    fee: Column  # the account's currency, paid; of FUNDING the payment, negative: received
    liquidity: IntColumn  # a LIQUIDITY code
    reference_price: Column  # open (market), limit or trigger: what the price would be without slippage
    touch_price: Column  # the reference, moved by half the spread quoted at the previous close; NaN: no fill, or not known
    reason: IntColumn  # a REJECTIONS index of what is no fill; of a fill without an order (id 0) why the venue traded, else 0
    fee_base: Column  # base units that the fee took from what was bought, beside `fee`
    venue_position: Column  # of the symbol after the report, as the venue counts it; NaN: it does not say
    venue_cash: Column  # of the account likewise


REJECTIONS: Final = (
    "NONE",
    "WOULD_CROSS",
    "NO_ROOM",
    "REDUCE_ONLY",
    "NOT_LISTED",
    "BAD_QUANTITY",
    "BAD_PRICE",
    "LIFETIME",
    "UNKNOWN_ORDER",
    "POSITION_CLOSED",
    "PRICE_BAND",
    "MIN_NOTIONAL",
    "NO_SHORT",
    "MOST_ORDERS",
    "RATE",
    "DELISTED",
    "LIQUIDATED",
    "DUST_SWEPT",
    "IMMEDIATE",
    "NO_BALANCE",
    "PERMISSION",
    "VENUE",
    "LAST_GATE",
    "STALE",
    "ADOPTED",
    "WATCHDOG",
    "DELEVERAGED",
)


class Orders(NamedTuple):
    """L96: the order table after this instant's intents and events."""

    working: Panel  # signed quantity still open of entries
    working_reduce: Panel  # signed quantity still open of reduce-only orders at market or limit, brackets apart
    open_orders: Panel  # count, brackets included
    rejects: Panel  # in this instant, those that are a sign of trouble
    refused_exits: Size  # reduce-only orders refused in this instant, for whatever reason
    unknown: Panel  # events of unknown orders in this instant
    overfilled: Panel  # quantity filled beyond an order's quantity in this instant
    stop_id: IntPanel  # resting stop of the position; 0 none
    stop_price: Panel  # NaN none
    stop_limit: Panel  # its limit; NaN: it goes to the market
    target_id: IntPanel
    target_price: Panel
    bracket_stop: Panel  # of the order that opened the position, latched; NaN while flat
    bracket_target: Panel
    bracket_trail: Panel
    bracket_horizon: Panel
    opened_by: IntPanel  # that order's id; 0 while flat
    fresh: Annotated[Ints, Kind("i8", ("log",), recorded=False)]  # per execution: 1 counts; 0 seen before, or no money in it
    id: IntTable
    status: IntTable
    type: IntTable
    reduce_only: IntTable
    quantity: Table
    filled: Table
    limit_price: Table
    filled_notional: Panel  # of the fills that counted in this instant
    delay_cost: Panel  # the account's currency: decision price to reference price, over those fills
    spread_cost: Finite  # reference price to touch
    impact_cost: Finite  # touch to fill price
    fee_cost: Panel
    filled_quantity: Finite  # signed sum of those fills
    filled_value: Finite  # signed sum of what those fills were booked at: quantity * price of a linear contract


class Ledger(NamedTuple):
    """L97: the account. Money in its currency."""

    position: Panel
    held: Finite  # the position; 0 where it is dust, which the venue takes no order for
    average_price: Panel  # NaN while flat
    mark: Panel  # close, or the last known
    unit_value: Panel  # notional of one unit at the mark
    mark_age: Panel  # bars since that close; NaN before the first
    unrealised: Panel
    symbol_realised: Finite  # since the start, before fees; with the next two, each symbol's part of the sums below
    symbol_fees: Finite
    symbol_funding: Finite
    cash: float
    fees: float  # paid since the start
    funding: float  # and borrow cost paid since the start (negative: received)
    cash_flows: float  # in less out since the start
    realised: float
    equity: float
    peak: float
    drawdown: float  # 1 - equity / peak, >= 0
    gross: float  # sum |position * unit_value|
    net: float  # sum position * unit_value


class VenueSnapshot(NamedTuple):
    """What a live venue says of the account when asked."""

    age: float  # bars since it was asked; NaN: never
    position: Panel  # signed base units
    open_orders: Panel  # count of ours that may still fill, resting stops and targets included
    cash: float  # quote currency
    unknown_orders: Panel  # count of those there that bear an id of ours and are not known
    missing_orders: Panel  # count of ours that are not there


class Reconciliation(NamedTuple):
    """L98: do our books agree with the venue's."""

    matched: Annotated[int, Within(0, 1)]  # 0: they have not for longer than may be
    position_gap: Finite  # the venue's position less ours, base units; NaN: one of them is not known
    cash_gap: Annotated[float, Within()]  # the same of cash, quote currency
    unknown_orders: Size  # orders or reports of orders that we do not know
    missing_orders: Size  # our orders that the venue does not know of, though it should by now
    snapshot_age: Annotated[float, Within(0.0)]  # bars; 0: as of this instant


class Style(NamedTuple):
    """L69: how to trade it."""

    type: IntPanel  # an ORDER_TYPES code
    limit_offset_bps: Panel  # from the touch, away from the market; 0 for MARKET
    lifetime: Panel  # bars; 0: good till cancelled


class Slice(NamedTuple):
    """L88."""

    quantity: Panel  # signed, to trade at this instant
    remaining: Panel  # signed, approved less held
    reduce_only: IntPanel


class Constrained(NamedTuple):
    """L89: what the venue's filters accept."""

    quantity: Panel
    price: Panel  # NaN: market
    dropped: IntPanel  # a DROPS index
    dust: (
        Panel  # quantity that cannot be closed: below a lot, or below the minimum notional where the venue grants no exemption
    )
    type: IntPanel  # an ORDER_TYPES code, as L69 asked; MARKET where no price is known
    lifetime: Panel  # bars; 0: good till cancelled


DROPS: Final = ("NONE", "LOT", "MIN_NOTIONAL", "RATE", "UNKNOWN_PRICE", "NO_SHORT", "MARGIN")


class Audit(NamedTuple):
    """L100: what trading cost against the decision, per bar and symbol."""

    shortfall_bps: Panel  # of the notional filled in this bar, against decision prices; NaN: no fill
    delay_bps: Panel  # decision price to the reference price
    spread_bps: Finite  # reference price to the touch
    impact_bps: Finite  # touch to the fill
    fee_bps: Panel
    vwap_bps: Finite  # the same fills, fees included, against the bar's VWAP
    filled_notional: Panel
    refused: Panel  # weight asked for and not approved
    profit: Finite  # quote currency: what the bar made of the position, fees and funding paid
    by_source: Annotated[
        Stack, Within(), Members(EDGE_PARTS)
    ]  # (T, N, PARTS), by EDGE_PARTS: profit by what the edge that opened it was made of
    orders: Size  # orders placed at this close
    order_id: Annotated[IntPanel, Within(0)]  # the first of them, 0 none
    events: Annotated[IntPanel, Within(0, 511)]  # bit mask of AUDIT_EVENTS
    regime_changed: IntPanel
    anomaly: IntPanel  # 1: an outlier, a crossed book, a gap, duplicates or late data in this bar


AUDIT_EVENTS: Final = (
    "DATA_ANOMALY",
    "REGIME_CHANGE",
    "REFUSAL",  # L3 may not enter, or L4 approves less than was asked
    "DECISION",  # L4 says something else than HOLD
    "ORDER",
    "FILL",
    "REJECT",
    "HALT",  # L81 is at HALT or FLATTEN
    "MISMATCH",  # L98: our books and the venue's do not agree
)


class Mirror(NamedTuple):
    """L99: what a chart shows: what was decided and is held, and what it can compute by itself and compare."""

    time: Annotated[IntSeries, Within(0)]  # UTC ns, the bar's close
    signal: Annotated[IntPanel, Within(-1, 2)]  # L3's side: SHORT, FLAT, LONG, UNKNOWN_SIDE
    score: Score
    side: Annotated[IntPanel, Within(-1, 1)]  # of the approved weight: SHORT, FLAT, LONG
    verdict: Annotated[IntPanel, Within(0, 4)]  # a VERDICTS code
    reasons: Annotated[IntPanel, Within(0)]  # bit mask of the gate's REASONS
    target_weight: Finite  # signed fraction of equity
    regime: Annotated[IntPanel, Within(-1, 4)]  # a REGIMES index, -1 unknown
    risk_state: Annotated[IntPanel, Within(0, 2)]  # a LEVELS code
    kill_reasons: Annotated[IntPanel, Within(0)]  # bit mask of KILL_REASONS
    throttle: Annotated[Series, Within(0.0, 1.0)]  # L91's factor
    halt_entries: Annotated[IntSeries, Within(0, 1)]  # L92
    day_pnl: Annotated[Series, Within()]  # L92: of the UTC day, fraction of equity; NaN unknown
    position: Finite  # base units
    weight: Finite  # of the position, signed fraction of equity
    average_price: Size  # NaN while flat
    stop: Size  # L94's stop of the position; NaN while flat
    target: Size
    equity: Annotated[Series, Within()]
    peak: Annotated[Series, Within(0.0)]
    close: Size
    return_1: Finite  # log return of the bar
    atr: Size
    sigma: Size
    trend_z: Finite  # L11: fast less slow average, in ATR
    direction: Annotated[IntPanel, Within(-1, 1)]  # L60: DOWN, SIDEWAYS, UP
    chart_regime: Annotated[IntPanel, Within(-1, 4)]  # a REGIMES index, from the chart's bars alone; -1 unknown
    chart_side: Annotated[IntPanel, Within(-1, 1)]  # of the trend, from the chart's bars alone
    comparable: Flag  # 1: a chart with the same bars must agree
