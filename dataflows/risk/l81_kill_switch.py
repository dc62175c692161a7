"""L81: what stops everything, or one symbol, and who may start it again."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

from dataflows.carry import Axes, Count
from dataflows.data.types import OPERATOR_FLATTEN, OPERATOR_HALT, OPERATOR_RELEASE, Clock, Market
from dataflows.execution.types import Ledger, Orders, Reconciliation
from dataflows.layer import layer
from dataflows.microstructure.types import UNKNOWN as NO_CLASS
from dataflows.microstructure.types import Tradeability
from dataflows.panel import Floats, Ints
from dataflows.regime.types import CHAOTIC, Regime
from dataflows.regime.types import UNKNOWN as NO_REGIME
from dataflows.risk.config import RiskConfig
from dataflows.risk.types import (
    FLATTEN,
    HALT,
    KILL_CHAOTIC,
    KILL_DRAWDOWN,
    KILL_EQUITY,
    KILL_HALF_OF_SYMBOLS,
    KILL_LIQUIDITY,
    KILL_LOSS_LIMIT,
    KILL_OPERATOR_FLATTEN,
    KILL_OPERATOR_HALT,
    KILL_RECONCILIATION,
    KILL_REJECTS,
    KILL_STALE,
    KILL_TAIL,
    KILL_UNKNOWN,
    LATCHES,
    RUN,
    KillSwitch,
    LossLimits,
    Tail,
)
from dataflows.runtime.compile import kernel
from dataflows.runtime.scratch import full

LATCH_FLATTENS = KILL_DRAWDOWN | KILL_EQUITY | KILL_OPERATOR_FLATTEN


class KillSwitchCarry(NamedTuple):
    """The latches, and how long each symbol still waits."""

    latched: Annotated[Ints, Axes(1)]  # bit mask of KILL_REASONS that only the operator's RELEASE takes away
    told: Count  # the same per symbol: what the operator said of it alone
    blind: Annotated[Ints, Axes(1)]  # bars that unknown equity still halts
    cause: Annotated[Ints, Axes("N", start=KILL_UNKNOWN)]  # bit mask of the last cause per symbol
    wait: Annotated[Ints, Axes("N", start=1)]  # bars that a symbol is still halted: until its first close at least
    listed: Count
    rejects: Annotated[Floats, Axes("reject_window_bars", "N")]  # per bar, a ring
    at: Annotated[Ints, Axes(1)]
    level: Annotated[Ints, Axes(1)]
    since: Annotated[Ints, Axes(1)]


@kernel
def halt(carry: KillSwitchCarry, reason: int, symbol: int) -> None:
    """Latches a reason for one symbol, or for all (-1)."""
    if symbol < 0:
        carry.latched[0] |= reason
    elif symbol < carry.told.shape[0]:
        carry.told[symbol] |= reason


@kernel
def release(carry: KillSwitchCarry, symbol: int, latches: int) -> None:
    """Clears what the operator latched for one symbol, with its wait; or, for all (-1), these latches (0: all, and waits)."""
    if symbol >= 0:
        if symbol < carry.told.shape[0]:
            carry.told[symbol], carry.wait[symbol] = 0, 0
            carry.rejects[:, symbol] = 0.0
        return
    cleared = LATCHES if latches == 0 else latches
    carry.latched[0] &= ~cleared
    if cleared & KILL_REJECTS != 0:
        carry.rejects[:, :] = 0.0
    if latches == 0:
        carry.blind[0] = 0
        for n in range(carry.told.shape[0]):
            carry.told[n], carry.wait[n] = 0, 0


@layer("L81", schedule="step", cross_sectional=True)
def l81_kill_switch(
    l0_market_feed: Market,
    l1_regime: Regime,
    l63_tradeability: Tradeability,
    l74_tail_index: Tail,
    l92_loss_limits: LossLimits,
    l96_order_lifecycle: Orders,
    l97_ledger: Ledger,
    l98_reconciliation: Reconciliation,
    clock: Clock,
    risk: RiskConfig,
    carry: KillSwitchCarry,
) -> KillSwitch:
    """Level per symbol and overall: RUN, HALT (nothing grows, working entries go, stops stay) or FLATTEN.

    Overall, latched until the operator's RELEASE: FLATTEN at hard_drawdown, at equity <= 0 and on the operator's word; HALT
    on the operator's word, on books that differ from the venue's for too long (L98), and on reject_count rejects within
    reject_window_bars. Overall, while it lasts: FLATTEN by L92; HALT plus cooldown_bars on unknown equity; HALT while more
    than half of the listed symbols are halted. Per symbol, HALT while it lasts plus cooldown_bars: a feed older than
    stale_bars, symbol_reject_count rejects of its own within reject_window_bars, CHAOTIC, an extreme tail (an unknown one
    is none), nothing that can safely be traded, or an unknown feed, regime or liquidity (not for a symbol whose data have
    neither volume nor book: L63 lets nothing enter there); latched, HALT and FLATTEN on the operator's word about that
    symbol, which halts no other. What is measured moves at closes only; the operator's words and rejects act at any
    instant. RELEASE clears first: all latches and waits, one latch, or those of one symbol; what still holds at a close
    takes effect again at that close. Returns level and reason (N,), the worse of the symbol's and the overall; overall's
    own, and since when it holds (UTC ns).
    """
    symbols = l0_market_feed.quality.stale.shape[0]
    window = carry.rejects.shape[0]
    if clock.operator == OPERATOR_RELEASE:
        release(carry, int(clock.symbol), int(clock.subject))
    elif clock.operator == OPERATOR_HALT:
        halt(carry, KILL_OPERATOR_HALT, int(clock.symbol))
    elif clock.operator == OPERATOR_FLATTEN:
        halt(carry, KILL_OPERATOR_FLATTEN, int(clock.symbol))

    if clock.is_bar != 0:
        carry.at[0] = 0 if carry.at[0] + 1 >= window else carry.at[0] + 1
        carry.rejects[carry.at[0], :] = 0.0
    storm, of_symbol = 0.0, full(symbols, 0.0)
    for n in range(symbols):
        if l96_order_lifecycle.rejects[n] > 0.0:
            carry.rejects[carry.at[0], n] += l96_order_lifecycle.rejects[n]
        for k in range(window):
            of_symbol[n] += carry.rejects[k, n]
        storm += of_symbol[n]
    if storm >= risk.reject_count:
        carry.latched[0] |= KILL_REJECTS

    if clock.is_bar != 0:
        equity = l97_ledger.equity
        carry.blind[0] = max(0, carry.blind[0] - 1)
        if equity <= 0.0:
            carry.latched[0] |= KILL_EQUITY
        elif not equity < math.inf or math.isnan(l97_ledger.drawdown):
            carry.blind[0] = 1 + risk.cooldown_bars
        elif not l97_ledger.drawdown < risk.hard_drawdown:
            carry.latched[0] |= KILL_DRAWDOWN
        if l98_reconciliation.matched != 1:
            carry.latched[0] |= KILL_RECONCILIATION
        for n in range(symbols):
            cause = 0
            stale = l0_market_feed.quality.stale[n]
            if not (stale <= risk.stale_bars):
                cause |= KILL_STALE if stale == stale else KILL_UNKNOWN
            if l0_market_feed.quality.listed[n] == 0 or l1_regime.label[n] == NO_REGIME:
                cause |= KILL_UNKNOWN
            if l1_regime.label[n] == CHAOTIC:
                cause |= KILL_CHAOTIC
            if l74_tail_index.extreme[n] != 0:
                cause |= KILL_TAIL
            if of_symbol[n] >= risk.symbol_reject_count:
                cause |= KILL_REJECTS
            safe = l63_tradeability.max_safe_notional[n]
            if stale <= risk.stale_bars and math.isnan(l0_market_feed.bars.volume[n]) and l0_market_feed.book.has_feed[n] == 0:
                pass  # data without volume and book say nothing of liquidity, ever: no entry is allowed, and nothing went wrong
            elif l63_tradeability.liquidity_class[n] == NO_CLASS or math.isnan(safe):
                cause |= KILL_UNKNOWN
            elif not safe > 0.0:
                cause |= KILL_LIQUIDITY
            if cause != 0:
                carry.cause[n] = cause
                carry.wait[n] = 1 + risk.cooldown_bars
            else:
                carry.wait[n] = max(0, carry.wait[n] - 1)
            carry.listed[n] = l0_market_feed.quality.listed[n]

    listed, halted = 0, 0
    for n in range(symbols):
        if of_symbol[n] >= risk.symbol_reject_count and carry.wait[n] == 0:  # between two bars, too
            carry.cause[n], carry.wait[n] = KILL_REJECTS, 1 + risk.cooldown_bars
        if carry.listed[n] != 0:
            listed += 1
            if carry.wait[n] > 0:
                halted += 1

    why = carry.latched[0]
    if l92_loss_limits.flatten != 0:
        why |= KILL_LOSS_LIMIT
    if carry.blind[0] > 0:
        why |= KILL_UNKNOWN
    if 2 * halted > listed:
        why |= KILL_HALF_OF_SYMBOLS
    overall = RUN
    if why & (LATCH_FLATTENS | KILL_LOSS_LIMIT) != 0:
        overall = FLATTEN
    elif why != 0:
        overall = HALT
    if overall != carry.level[0]:
        carry.level[0] = overall
        carry.since[0] = clock.ts if overall != RUN else 0

    level, reason = full(symbols, 0), full(symbols, 0)
    for n in range(symbols):
        level[n], reason[n] = overall, why | carry.told[n]
        if carry.wait[n] > 0:
            reason[n] |= carry.cause[n]
        if overall == RUN and (carry.wait[n] > 0 or carry.told[n] != 0):
            level[n] = HALT
        if carry.told[n] & KILL_OPERATOR_FLATTEN != 0:
            level[n] = FLATTEN
    return KillSwitch(level, reason, int(overall), int(why), int(carry.since[0]))
