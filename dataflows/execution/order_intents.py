"""The log of order intents while L5 writes it."""

from __future__ import annotations

import math
from typing import NamedTuple

from dataflows.execution.types import GTC, MARKET, OrderIntents
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel
from dataflows.runtime.scratch import full

# Rows of the log's two blocks:
KIND, SYMBOL, ORDER, PARENT, TYPE, REDUCE_ONLY, TIME, REASON, IN_FORCE = range(9)
QUANTITY, LIMIT, STOP, LIFETIME, BRACKET_STOP, BRACKET_TARGET, TRAIL, HORIZON, PRICE, BRACKET_LIMIT = range(10)


class IntentLog(NamedTuple):
    """The columns of `OrderIntents` while they are written."""

    n: Ints  # (1,) entries so far
    ints: Ints  # (9, room): kind, symbol, id, parent, type, reduce_only, decision_time, reason, time_in_force
    floats: (
        Floats  # (10, room): quantity, limit_price, stop_price, lifetime, four of the bracket, decision_price, bracket_limit
    )


class Stamp(NamedTuple):
    """What every intent of one symbol and instant bears."""

    symbol: int
    time: int  # UTC ns of the close that decided
    mark: float
    reason: int  # the REASONS mask of the approval


@kernel
def new_intents(room: int) -> IntentLog:
    """An empty log with room for so many intents."""
    return IntentLog(full(1, 0), full((9, room), 0), full((10, room), math.nan))


@kernel
def add(log: IntentLog, kind: int, order_id: int, stamp: Stamp) -> int:
    """Appends an intent with nothing in it but what every intent has, and returns its place."""
    k, ints, floats = int(log.n[0]), log.ints, log.floats
    ints[KIND, k], ints[SYMBOL, k], ints[ORDER, k], ints[PARENT, k] = kind, stamp.symbol, order_id, 0
    ints[TYPE, k], ints[REDUCE_ONLY, k], ints[TIME, k], ints[REASON, k] = MARKET, 0, stamp.time, stamp.reason
    ints[IN_FORCE, k] = GTC
    floats[QUANTITY, k], floats[LIFETIME, k], floats[PRICE, k] = 0.0, 0.0, stamp.mark
    log.n[0] = k + 1
    return k


@kernel
def intents_of(log: IntentLog) -> OrderIntents:
    """The log as the layer hands it on."""
    return OrderIntents(
        n=int(log.n[0]),
        kind=log.ints[KIND],
        symbol=log.ints[SYMBOL],
        id=log.ints[ORDER],
        parent=log.ints[PARENT],
        quantity=log.floats[QUANTITY],
        type=log.ints[TYPE],
        time_in_force=log.ints[IN_FORCE],
        limit_price=log.floats[LIMIT],
        stop_price=log.floats[STOP],
        reduce_only=log.ints[REDUCE_ONLY],
        lifetime=log.floats[LIFETIME],
        bracket_stop=log.floats[BRACKET_STOP],
        bracket_limit=log.floats[BRACKET_LIMIT],
        bracket_target=log.floats[BRACKET_TARGET],
        bracket_trail=log.floats[TRAIL],
        bracket_horizon=log.floats[HORIZON],
        decision_time=log.ints[TIME],
        decision_price=log.floats[PRICE],
        reason=log.ints[REASON],
    )
