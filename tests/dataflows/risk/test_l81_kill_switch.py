from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.data.types import OPERATOR_FLATTEN, OPERATOR_HALT, OPERATOR_REBASE, OPERATOR_RELEASE, Book
from dataflows.execution.types import Orders, Reconciliation
from dataflows.regime.types import CHAOTIC, Regime
from dataflows.risk import types
from dataflows.risk.config import RiskConfig
from dataflows.risk.l81_kill_switch import l81_kill_switch
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
    KILL_REASONS,
    KILL_RECONCILIATION,
    KILL_REJECTS,
    KILL_STALE,
    KILL_TAIL,
    KILL_UNKNOWN,
    LATCHES,
    RUN,
    LossLimits,
    Tail,
)
from tests.dataflows.risk.accounts import HOSTILE, MINUTE, MODES, MONDAY, clock, ledger, liquid, market, quiet, row, run, same
from tests.support import carry_of

RISK = RiskConfig()._replace(cooldown_bars=2, reject_window_bars=4, symbol_reject_count=100)
BY_SYMBOL = RISK._replace(symbol_reject_count=3)


class Switch:
    """The kill switch over successive instants."""

    def __init__(self, n=1, mode="plain", risk=RISK):
        self.n, self.mode, self.risk, self.ts = n, mode, risk, MONDAY
        self.carry = carry_of(l81_kill_switch, n, {"risk": risk})

    def __call__(self, is_bar=1, operator=0, symbol=-1, subject=0, **over):
        self.ts += MINUTE
        at = clock(self.ts, is_bar, operator, symbol=symbol, subject=subject)
        inputs = quiet(self.n) | {"clock": at} | over
        return run(l81_kill_switch, self.mode, **inputs, risk=self.risk, carry=self.carry)


def test_it_halts_until_the_first_close_and_runs_when_all_is_well():
    switch = Switch()
    assert switch(is_bar=0).level.tolist() == [HALT]
    out = switch()
    assert out.level.tolist() == [RUN] and out.overall == RUN and out.reason.tolist() == [0] and out.since == 0


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "over, level, reason",
    [
        ({"l97_ledger": ledger(drawdown=0.2)}, FLATTEN, KILL_DRAWDOWN),
        ({"l97_ledger": ledger(equity=0.0)}, FLATTEN, KILL_EQUITY),
        ({"l97_ledger": ledger(equity=-5.0, drawdown=math.nan)}, FLATTEN, KILL_EQUITY),
        ({"operator": OPERATOR_FLATTEN}, FLATTEN, KILL_OPERATOR_FLATTEN),
        ({"operator": OPERATOR_HALT}, HALT, KILL_OPERATOR_HALT),
        ({"l96_order_lifecycle": row(Orders, 1, rejects=[5.0])}, HALT, KILL_REJECTS),
        ({"l98_reconciliation": row(Reconciliation, 1, matched=0)}, HALT, KILL_RECONCILIATION),
    ],
)
def test_latched_until_the_operator_releases(over, level, reason, mode):
    switch = Switch(mode=mode)
    switch()
    out = switch(**over)
    assert (out.overall, out.overall_reason, out.since) == (level, reason, switch.ts)
    since = switch.ts
    for word in (0, OPERATOR_REBASE, 0):
        out = switch(operator=word)
        assert (out.overall, out.since, out.level.tolist()) == (level, since, [level])
    out = switch(is_bar=0, operator=OPERATOR_RELEASE)
    assert out.overall == RUN and out.since == 0


def test_a_release_does_not_hide_what_still_holds():
    switch = Switch()
    deep = {"l97_ledger": ledger(drawdown=0.3)}
    switch(**deep)
    assert switch(operator=OPERATOR_RELEASE, **deep).overall == FLATTEN
    assert switch(is_bar=0, operator=OPERATOR_RELEASE, **deep).overall == RUN
    assert switch(**deep).overall == FLATTEN


def test_the_operator_acts_between_bars_and_drawdown_does_not():
    switch = Switch()
    switch()
    assert switch(is_bar=0, l97_ledger=ledger(equity=-1.0, drawdown=0.9)).overall == RUN
    assert switch(is_bar=0, operator=OPERATOR_HALT).overall == HALT
    assert switch(is_bar=0, operator=OPERATOR_FLATTEN).overall == FLATTEN
    assert switch(is_bar=0, operator=OPERATOR_HALT).overall == FLATTEN  # the worse stays


@pytest.mark.parametrize("mode", MODES)
def test_the_operator_halts_one_symbol_and_no_other(mode):
    switch = Switch(3, mode)
    switch()
    out = switch(is_bar=0, operator=OPERATOR_HALT, symbol=1)
    assert out.level.tolist() == [RUN, HALT, RUN] and out.reason.tolist() == [0, KILL_OPERATOR_HALT, 0]
    out = switch(is_bar=0, operator=OPERATOR_FLATTEN, symbol=2)
    assert out.level.tolist() == [RUN, HALT, FLATTEN] and out.reason.tolist() == [0, KILL_OPERATOR_HALT, KILL_OPERATOR_FLATTEN]
    assert out.overall == RUN, "two of three symbols by the operator's word are no sign of trouble"
    for _ in range(5):
        assert switch().level.tolist() == [RUN, HALT, FLATTEN], "latched"
    assert switch(is_bar=0, operator=OPERATOR_HALT).level.tolist() == [HALT, HALT, FLATTEN]
    assert switch(is_bar=0, operator=OPERATOR_RELEASE, subject=KILL_OPERATOR_HALT).level.tolist() == [RUN, HALT, FLATTEN]
    assert switch(is_bar=0, operator=OPERATOR_RELEASE, symbol=2).level.tolist() == [RUN, HALT, RUN]
    assert switch(is_bar=0, operator=OPERATOR_RELEASE).level.tolist() == [RUN, RUN, RUN]


def test_a_release_of_one_symbol_ends_its_wait_and_no_other():
    switch = Switch(3)
    switch()
    switch(l0_market_feed=market(3, stale=[4.0, 0.0, 0.0]))
    assert switch(is_bar=0, operator=OPERATOR_RELEASE, symbol=1).level.tolist() == [HALT, RUN, RUN]
    assert switch(is_bar=0, operator=OPERATOR_RELEASE, symbol=0).level.tolist() == [RUN, RUN, RUN]
    assert switch(l0_market_feed=market(3, stale=[4.0, 0.0, 0.0])).level.tolist() == [HALT, RUN, RUN], "it still holds"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bit", [bit for bit in range(LATCHES.bit_length()) if LATCHES >> bit & 1])
def test_a_release_of_one_latch_leaves_the_others(bit, mode):
    switch = Switch(1, mode)
    switch(l96_order_lifecycle=row(Orders, 1, rejects=[5.0]), l98_reconciliation=row(Reconciliation, 1, matched=0))
    switch(l97_ledger=ledger(equity=-1.0), operator=OPERATOR_HALT)
    out = switch(l97_ledger=ledger(drawdown=0.9), operator=OPERATOR_FLATTEN)
    assert out.overall_reason == LATCHES
    out = switch(is_bar=0, operator=OPERATOR_RELEASE, subject=1 << bit)
    assert out.overall_reason == LATCHES & ~(1 << bit)
    assert switch().overall_reason == LATCHES & ~(1 << bit), "nor does what has gone come back"


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 7), st.integers(-(1 << 63), (1 << 63) - 1), st.integers(-(1 << 63), (1 << 63) - 1))
def test_a_word_about_nothing_that_exists_touches_nothing_beyond(mode, word, symbol, subject):
    switch = Switch(3, mode)
    switch()
    out = switch(is_bar=0, operator=word, symbol=symbol, subject=subject)
    touched = set(range(3)) if symbol < 0 else {symbol} & {0, 1, 2}
    for n in range(3):
        assert (out.level[n] == RUN) == (n not in touched or word not in (OPERATOR_HALT, OPERATOR_FLATTEN))


def test_rejects_are_a_storm_only_within_their_window():
    reject = {"l96_order_lifecycle": row(Orders, 1, rejects=[1.0])}
    switch = Switch()
    for _ in range(4):
        assert switch(**reject).overall == RUN
    for _ in range(4):
        switch()
    assert [switch(**reject).overall for _ in range(4)] == [RUN] * 4
    assert switch(is_bar=0, **reject).overall == HALT  # the fifth, between two bars
    assert [switch().overall for _ in range(6)] == [HALT] * 6


@pytest.mark.parametrize("mode", MODES)
def test_rejects_are_counted_by_symbol_too(mode):
    """Three of one symbol halt that one, from the same instant on; two more of others halt everything."""
    switch = Switch(4, mode, BY_SYMBOL)
    one = {"l96_order_lifecycle": row(Orders, 4, rejects=[0.0, 1.0, 0.0, 0.0])}
    switch(**one)
    assert switch(**one).level.tolist() == [RUN] * 4
    out = switch(is_bar=0, **one)
    assert (out.level.tolist(), out.reason.tolist()) == ([RUN, HALT, RUN, RUN], [0, KILL_REJECTS, 0, 0])
    assert out.overall == RUN
    others = {"l96_order_lifecycle": row(Orders, 4, rejects=[1.0, 0.0, 0.0, 0.0])}
    switch(**others)
    out = switch(**others)
    assert (out.overall, out.overall_reason) == (HALT, KILL_REJECTS)
    out = switch(operator=OPERATOR_RELEASE)
    assert out.level.tolist() == [RUN] * 4


@pytest.mark.parametrize("mode", MODES)
def test_a_symbol_halted_by_rejects_runs_again_after_its_window_and_the_cool_down(mode):
    switch = Switch(3, mode, BY_SYMBOL)
    rejects = {"l96_order_lifecycle": row(Orders, 3, rejects=[3.0, 0.0, 0.0])}
    levels = [switch(**rejects).level[0]] + [switch().level[0] for _ in range(40)]
    halted = levels.index(RUN)
    assert halted == RISK.reject_window_bars + RISK.cooldown_bars
    assert set(levels[halted:]) == {RUN}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "over, reason",
    [
        ({"l0_market_feed": market(3, stale=[4.0, 0.0, 0.0])}, KILL_STALE),
        ({"l0_market_feed": market(3, stale=[math.nan, 0.0, 0.0])}, KILL_UNKNOWN),
        ({"l1_regime": row(Regime, 3, label=[CHAOTIC, 0, 0])}, KILL_CHAOTIC),
        ({"l1_regime": row(Regime, 3, label=[-1, 0, 0])}, KILL_UNKNOWN),
        ({"l74_tail_index": row(Tail, 3, extreme=[1, 0, 0])}, KILL_TAIL),
        ({"l63_tradeability": liquid(3, [-1, 1, 1])}, KILL_UNKNOWN),
        ({"l63_tradeability": liquid(3, 1, [math.nan, 1.0, 1.0])}, KILL_UNKNOWN),
        ({"l63_tradeability": liquid(3, 0, [0.0, 1.0, 1.0])}, KILL_LIQUIDITY),
    ],
)
def test_one_symbol_halts_while_it_lasts_plus_the_cooldown(over, reason, mode):
    switch = Switch(3, mode)
    switch()
    for _ in range(2):
        out = switch(**over)
        assert out.level.tolist() == [HALT, RUN, RUN] and out.reason.tolist() == [reason, 0, 0] and out.overall == RUN
    assert [switch().level[0] for _ in range(3)] == [HALT, HALT, RUN]


def test_an_unknown_tail_index_halts_nothing():
    switch = Switch()
    switch()
    assert switch(l74_tail_index=row(Tail, 1, tail_index=[math.nan])).level.tolist() == [RUN]


def test_more_than_half_of_the_listed_symbols_halt_all():
    two = {"l1_regime": row(Regime, 4, label=[CHAOTIC, CHAOTIC, 0, 0])}
    three = {"l1_regime": row(Regime, 4, label=[CHAOTIC, CHAOTIC, CHAOTIC, 0])}
    switch = Switch(4)
    assert switch(**two).overall == RUN
    out = switch(**three)
    assert out.overall == HALT and out.level.tolist() == [HALT] * 4 and out.overall_reason == KILL_HALF_OF_SYMBOLS
    assert [switch().overall for _ in range(3)] == [HALT, HALT, RUN]
    unlisted = market(4)
    unlisted.quality.listed[:] = [1, 0, 0, 0]
    out = switch(l0_market_feed=unlisted)
    assert out.overall == RUN and out.level.tolist() == [RUN, HALT, HALT, HALT]


def test_loss_limits_flatten_only_till_their_period_ends():
    switch = Switch()
    switch()
    out = switch(l92_loss_limits=LossLimits(1, 1, -0.05, -0.05))
    assert out.overall == FLATTEN and out.overall_reason == KILL_LOSS_LIMIT
    assert switch(l92_loss_limits=LossLimits(1, 0, -0.04, -0.05)).overall == RUN


def test_unknown_equity_halts_with_cooldown_and_is_not_latched():
    switch = Switch()
    switch()
    out = switch(l97_ledger=ledger(equity=math.nan))
    assert out.overall == HALT and out.overall_reason == KILL_UNKNOWN
    assert [switch().overall for _ in range(3)] == [HALT, HALT, RUN]


def test_reason_names_and_bits_agree():
    for name in (
        "DRAWDOWN",
        "EQUITY",
        "OPERATOR_FLATTEN",
        "LOSS_LIMIT",
        "OPERATOR_HALT",
        "RECONCILIATION",
        "REJECTS",
        "STALE",
        "CHAOTIC",
        "TAIL",
        "LIQUIDITY",
        "UNKNOWN",
        "HALF_OF_SYMBOLS",
    ):
        assert getattr(types, f"KILL_{name}") == 1 << KILL_REASONS.index(name)


def test_hard_drawdown_lies_above_the_throttle_s_end():
    assert RISK.hard_drawdown > RISK.drawdown_stop
    assert any("hard_drawdown" in p for p in RISK._replace(hard_drawdown=0.15).problems())


hostile = st.one_of(st.sampled_from(HOSTILE), st.floats(0, 1), st.floats(0, 1e4))
instants = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.integers(0, 5),
        hostile,
        hostile,
        st.integers(0, 1),
        st.integers(-1, 4),
        st.integers(-1, 2),
        hostile,
        hostile,
        hostile,
        st.integers(0, 1),
        st.sampled_from([1, 1, 1, 0]),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=80, deadline=None)
@given(instants, st.integers(0, 11))
def test_a_latch_is_never_left_but_by_release_survives_a_restart_and_compiled_is_plain(rows, restart):
    plain, twin = Switch(2), Switch(2, "compiled")
    latched = 0
    for i, (is_bar, operator, equity, drawdown, flatten, label, cls, safe, stale, rejects, fat, matched) in enumerate(rows):
        if i == restart:
            plain.carry = type(plain.carry)(*[a.copy() for a in plain.carry])
        over = {
            "l97_ledger": ledger(2, equity=equity, drawdown=drawdown),
            "l92_loss_limits": LossLimits(flatten, flatten, 0.0, 0.0),
            "l1_regime": row(Regime, 2, label=[label, 0]),
            "l63_tradeability": liquid(2, cls, safe),
            "l0_market_feed": market(2, stale=[stale, 0.0]),
            "l96_order_lifecycle": row(Orders, 2, rejects=[rejects, 0.0]),
            "l74_tail_index": row(Tail, 2, extreme=[fat, 0]),
            "l98_reconciliation": row(Reconciliation, 2, matched=matched),
        }
        out = plain(is_bar, operator, **over)
        same(out, twin(is_bar, operator, **over))
        if operator == OPERATOR_RELEASE:
            latched = 0
        assert out.overall >= latched
        if operator == OPERATOR_FLATTEN or (is_bar and (equity <= 0 or (equity < math.inf and drawdown >= 0.2))):
            latched = FLATTEN
        if operator == OPERATOR_HALT or rejects >= 5 or (is_bar and matched == 0):
            latched = max(latched, HALT)
        if is_bar and (not equity < math.inf or label in (-1, CHAOTIC) or fat or cls == -1 or not safe > 0 or not stale <= 3):
            assert out.level[0] >= HALT
        assert out.overall >= latched and (out.level >= out.overall).all()
        assert ((out.reason != 0) == (out.level != RUN)).all() and (out.overall_reason != 0) == (out.overall != RUN)
        assert (out.since != 0) == (out.overall != RUN) and out.since <= plain.ts
    assert np.isin(out.level, (RUN, HALT, FLATTEN)).all()


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([1, 1, 1, 0]), st.sampled_from([0] * 9 + [OPERATOR_RELEASE, OPERATOR_REBASE]),
                          st.sampled_from([0, 0, 0, CHAOTIC, -1]), st.sampled_from([0.0, 0.0, 9.0, math.nan])), min_size=1, max_size=25))  # fmt: skip
def test_a_symbol_is_never_released_before_its_cool_down_but_by_the_operator(rows):
    switch, closes = Switch(2, "compiled"), 0
    for is_bar, operator, label, stale in rows:
        out = switch(is_bar, operator, l1_regime=row(Regime, 2, label=[label, 0]), l0_market_feed=market(2, stale=[stale, 0.0]))
        if operator == OPERATOR_RELEASE:
            closes = 0
        if is_bar and (label in (CHAOTIC, -1) or not stale <= RISK.stale_bars):
            closes = RISK.cooldown_bars + 1
        elif is_bar:
            closes = max(0, closes - 1)
        if closes > 0:
            assert out.level[0] == HALT


@pytest.mark.long
@settings(max_examples=3000, deadline=None)
@given(instants, st.integers(0, 11))
def test_a_latch_is_never_left_but_by_release_in_thousands_of_cases(rows, restart):
    test_a_latch_is_never_left_but_by_release_survives_a_restart_and_compiled_is_plain.hypothesis.inner_test(rows, restart)


@pytest.mark.parametrize("mode", MODES)
def test_data_without_volume_and_book_are_no_incident(mode):
    """L63 cannot know their liquidity and lets nothing enter; a symbol with volume or a book, or a stale one, is halted."""
    unknown = {"l63_tradeability": liquid(liquidity_class=-1, safe=math.nan)}
    assert Switch(mode=mode)(**unknown, l0_market_feed=market(volume=math.nan)).level.tolist() == [RUN]
    assert Switch(mode=mode)(**unknown, l0_market_feed=market(volume=0.0)).level.tolist() == [HALT]
    booked = market(volume=math.nan)._replace(book=row(Book, 1, has_feed=[1]))
    assert Switch(mode=mode)(**unknown, l0_market_feed=booked).level.tolist() == [HALT]
    stale = market(volume=math.nan, stale=RISK.stale_bars + 1.0)
    assert Switch(mode=mode)(**unknown, l0_market_feed=stale).level.tolist() == [HALT]
