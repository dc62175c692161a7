from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.execution.types import ACCEPT, FILL, ExecutionConfig, Executions, Orders
from dataflows.fusion.types import Proposal
from dataflows.risk.config import RiskConfig
from dataflows.risk.l94_position_exits import l94_position_exits
from dataflows.risk.types import HALT, NO_EXIT, RUN, STOP, TARGET, TIME, TRAIL, KillSwitch, LossLimits, Stops
from tests.dataflows.risk.accounts import HOSTILE, MODES, clock, ledger, market, row, run, same
from tests.support import carry_of

RISK = RiskConfig()._replace(rearm_bars=3)
EXECUTION = ExecutionConfig()
ENTRY = (7 << 32) | 4
NAN = math.nan
UNKNOWN = Stops(*[np.array([NAN])] * 4)


def executions(*fills):
    """fills: (order id, quantity[, kind])"""
    n = len(fills)
    return row(Executions, n)._replace(
        n=n,
        kind=np.array([f[2] if len(f) > 2 else FILL for f in fills], np.int64),
        symbol=np.zeros(n, np.int64),
        id=np.array([f[0] for f in fills], np.int64),
        quantity=np.array([f[1] for f in fills], float),
    )


class Exits:
    """L94 over successive instants of one symbol."""

    def __init__(self, mode="plain", risk=RISK, execution=EXECUTION):
        self.mode, self.risk, self.execution = mode, risk, execution
        self.carry = carry_of(l94_position_exits, 1, {"risk": risk})

    def __call__(self, position=0.0, close=100.0, bracket=(95.0, 110.0, NAN, 60.0), opened_by=ENTRY, fills=(), resting=True, average=100.0,
                 is_bar=1, mark=None, stops=UNKNOWN, fresh=1, proposed=0, may_enter=1, level=RUN, halt=0):  # fmt: skip
        held = position != 0
        e = executions(*fills)
        values = bracket if held else (NAN,) * 4
        orders = row(
            Orders, 1, opened_by=[opened_by if held else 0], bracket_stop=[values[0]], bracket_target=[values[1]], bracket_trail=[values[2]],
            bracket_horizon=[values[3]], stop_id=[opened_by + 1 if held and resting else 0], target_id=[opened_by + 2 if held and resting else 0],
        )._replace(fresh=np.full(e.n, fresh, np.int64))  # fmt: skip
        account = ledger(position=position, mark=close if mark is None else mark, average=average if held else NAN)
        inputs = {"l0_market_feed": market(close=close), "l84_stop_levels": stops, "l90_fills": e, "l96_order_lifecycle": orders,
                  "l97_ledger": account, "clock": clock(is_bar=is_bar),
                  "l3_action_proposal": row(Proposal, 1, side=[proposed], may_enter=[may_enter]),
                  "l81_kill_switch": row(KillSwitch, 1, level=[level]), "l92_loss_limits": LossLimits(halt, 0, 0.0, 0.0),
                  "execution": self.execution}  # fmt: skip
        out = run(l94_position_exits, self.mode, **inputs, risk=self.risk, carry=self.carry)
        return type(out)(*[a[0] for a in out])


@pytest.mark.parametrize("mode", MODES)
def test_it_is_latched_from_the_bracket_of_the_order_that_opened_the_position(mode):
    exits = Exits(mode)
    flat = exits()
    assert flat.exit == 0 and np.isnan([flat.active_stop, flat.active_target, flat.bars_held]).all()
    out = exits(1.0)
    assert (out.active_stop, out.active_target, out.bars_held, out.exit) == (95.0, 110.0, 1.0, 0)
    out = exits(1.0, bracket=(99.0, 101.0, 0.01, 2.0))  # what a later entry brings changes nothing
    assert (out.active_stop, out.active_target, out.bars_held) == (95.0, 110.0, 2.0)


def test_a_close_beyond_a_stop_that_did_not_fill_exits_until_the_position_is_gone():
    exits = Exits()
    exits(1.0)
    assert exits(1.0, 95.1).exit == 0
    out = exits(1.0, 94.0)
    assert (out.exit, out.reason, out.lockout) == (1, STOP, 0)
    assert exits(1.0, 120.0).exit == 1 and exits(0.4, NAN, mark=120.0).exit == 1 and exits(0.4, is_bar=0).exit == 1
    out = exits(0.0)
    assert (out.exit, out.reason, out.lockout, out.locked_now) == (0, STOP, 1, 1)


def test_the_first_reason_stays():
    exits = Exits()
    bracket = (95.0, 110.0, NAN, 3.0)
    exits(1.0, bracket=bracket)
    assert [exits(1.0, c, bracket).reason for c in (94.0, 120.0, 120.0)] == [STOP] * 3


@pytest.mark.parametrize("side", [1, -1])
def test_a_stop_that_filled_at_the_venue_locks_its_side_out_for_rearm_bars(side):
    exits = Exits()
    bracket = (100.0 - 5 * side, 100.0 + 10 * side, NAN, 60.0)
    exits(float(side), bracket=bracket)
    out = exits(0.0, fills=[(ENTRY + 1, -side)])
    assert (out.reason, out.lockout, out.locked_now) == (STOP, side, side)
    assert [exits().lockout for _ in range(3)] == [side, side, 0]
    exits(float(side), bracket=bracket)
    out = exits(0.0, fills=[(ENTRY + 2, -side)])
    assert (out.reason, out.lockout) == (TARGET, 0)


def test_a_lockout_counts_bars_and_not_instants():
    exits = Exits()
    exits(1.0)
    exits(0.0, fills=[(ENTRY + 1, -1)])
    assert [exits(is_bar=b).lockout for b in (0, 0, 1, 0, 1, 1)] == [1, 1, 1, 1, 1, 0]


def test_opened_and_stopped_within_one_bar_still_locks_out():
    exits = Exits()
    exits()
    out = exits(0.0, fills=[(ENTRY, 1.0), (ENTRY + 1, -1.0)])
    assert (out.reason, out.lockout, out.locked_now) == (STOP, 1, 1)


def test_closed_and_opened_again_within_one_bar_is_a_new_position():
    exits = Exits()
    exits(1.0)
    out = exits(-1.0, bracket=(105.0, 90.0, NAN, 60.0), opened_by=ENTRY + 8, fills=[(ENTRY + 1, -1.0), (ENTRY + 8, -1.0)])
    assert (out.exit, out.active_stop, out.bars_held, out.lockout, out.locked_now) == (0, 105.0, 1.0, 1, 1)


def test_both_sides_can_be_locked_out():
    exits = Exits()
    exits(1.0)
    exits(0.0, fills=[(ENTRY + 1, -1)])
    exits(-1.0, bracket=(105.0, 90.0, NAN, 60.0))
    out = exits(0.0, fills=[(ENTRY + 1, 1)])
    assert (out.lockout, out.locked_now) == (2, -1)


def test_a_fill_that_counts_not_or_is_none_says_nothing():
    exits = Exits()
    exits(1.0)
    assert exits(1.0, fills=[(ENTRY + 1, -0.5)], fresh=0).exit == 0
    assert exits(1.0, fills=[(ENTRY + 1, -0.5, ACCEPT)]).exit == 0
    assert exits(0.5, fills=[(ENTRY + 1, -0.5)]).reason == STOP  # in part: the rest goes too


def test_it_closes_after_its_horizon_of_bars_also_where_the_price_is_unknown():
    exits = Exits()
    got = [
        exits(1.0, NAN if k == 2 else 100.0, (95.0, 110.0, NAN, 3.0), mark=100.0, is_bar=b).exit
        for k, b in enumerate((1, 1, 0, 1))
    ]
    assert got == [0, 0, 0, 1]
    exits = Exits()
    got = [exits(1.0, c, (95.0, 110.0, NAN, 3.0), mark=100.0) for c in (100.0, NAN, NAN)]
    assert [g.exit for g in got] == [0, 0, 1] and got[2].reason == TIME
    assert exits(0.0).lockout == 0  # time is no reason to stay out


BRACKET = (95.0, 110.0, NAN, 3.0)
FIVE = Stops(*[np.array([x]) for x in (0.02, 0.03, 0.02, 5.0)])


@pytest.mark.parametrize("mode", MODES)
def test_where_it_would_be_entered_again_at_once_the_horizon_begins_anew(mode):
    exits = Exits(mode)
    got = [exits(1.0, bracket=BRACKET, stops=FIVE, proposed=1) for _ in range(3)]  # three bars, then L84's five
    got += [exits(1.0, bracket=BRACKET, stops=FIVE, proposed=-1) for _ in range(5)]
    assert [g.exit for g in got] == [0, 0, 0, 0, 0, 0, 0, 1] and got[-1].reason == TIME
    assert [g.bars_held for g in got] == [1, 2, 3, 4, 5, 6, 7, 8] and got[3].active_stop == 95.0


@pytest.mark.parametrize("how", [{"proposed": -1}, {"may_enter": 0}, {"level": HALT}, {"halt": 1}, {"proposed": 2}])
def test_it_is_closed_on_time_where_it_could_not_be_entered_again(how):
    exits = Exits()
    got = [exits(1.0, bracket=BRACKET, stops=FIVE, **{"proposed": 1} | how) for _ in range(4)]
    assert [g.exit for g in got] == [0, 0, 1, 1] and got[3].reason == TIME


def test_the_last_fifth_of_a_life_is_late_until_it_is_renewed():
    exits = Exits()
    got = [exits(1.0, bracket=(95.0, 110.0, NAN, 10.0), proposed=1) for _ in range(12)]
    assert [g.late for g in got] == [0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0]  # bars 8 and 9; at the tenth it begins anew
    assert exits(0.0).late == 0


def test_the_stop_follows_the_close_from_the_next_bar_on_and_never_away():
    exits = Exits()
    bracket = (95.0, NAN, 0.05, 60.0)
    assert exits(1.0, 100.0, bracket).active_stop == 95.0
    assert exits(1.0, 110.0, bracket).active_stop == pytest.approx(104.5)
    out = exits(1.0, 105.0, bracket)
    assert (out.active_stop, out.exit) == (pytest.approx(104.5), 0)
    assert exits(1.0, NAN, bracket, mark=105.0).active_stop == pytest.approx(104.5)
    assert exits(1.0, 200.0, bracket, is_bar=0).active_stop == pytest.approx(104.5)
    out = exits(1.0, 104.0, bracket)
    assert (out.exit, out.reason) == (1, TRAIL)
    assert exits(0.0).lockout == 0


def test_a_moved_stop_that_still_loses_is_a_stop():
    exits = Exits()
    bracket = (95.0, NAN, 0.05, 60.0)
    exits(1.0, 100.0, bracket)
    assert exits(1.0, 102.0, bracket).active_stop == pytest.approx(96.9)
    out = exits(0.0, fills=[(ENTRY + 1, -1)])
    assert (out.reason, out.lockout) == (STOP, 1)


def test_an_adopted_position_gets_the_distances_of_now_as_soon_as_they_are_known():
    exits = Exits()
    nothing = (NAN,) * 4
    out = exits(-2.0, bracket=nothing, opened_by=0)
    assert np.isnan(out.active_stop) and out.exit == 0
    stops = Stops(*[np.array([x]) for x in (0.02, 0.03, 0.02, 5.0)])
    out = exits(-2.0, NAN, nothing, 0, mark=100.0, stops=stops)
    assert (out.active_stop, out.active_target) == (pytest.approx(102.0), pytest.approx(97.0))
    assert exits(-2.0, 100.0, nothing, 0, stops=Stops(*[np.array([0.001])] * 4)).active_stop == pytest.approx(102.0)
    assert exits(-2.0, 96.0, nothing, 0, resting=False).reason == TARGET  # no target rests at the venue


def test_a_target_that_rests_at_the_venue_is_left_to_it():
    exits = Exits()
    assert exits(1.0, 111.0).exit == 0


def test_without_any_bracket_the_default_horizon_closes_it():
    exits = Exits(risk=RISK._replace(default_horizon_bars=2))
    got = [exits(1.0, bracket=(NAN,) * 4, opened_by=0).reason for _ in range(2)]
    assert got == [NO_EXIT, TIME]


def test_state_survives_a_restart():
    exits = Exits()
    bracket = (95.0, NAN, 0.05, 60.0)
    for close in (100.0, 110.0, 104.0):
        exits(1.0, close, bracket)
    other = Exits()
    other.carry = type(exits.carry)(*[a.copy() for a in exits.carry])
    for out in (exits(1.0, 130.0, bracket), other(1.0, 130.0, bracket)):
        assert (out.exit, out.reason) == (1, TRAIL)


value = st.one_of(st.sampled_from(HOSTILE), st.floats(80, 120))
instants = st.lists(
    st.tuples(
        st.sampled_from([0.0, 1.0, 1.0, 2.0, -1.0, math.nan, 1e308]), value, value, st.tuples(value, value, st.one_of(value, st.floats(0, 0.1)), value),
        st.sampled_from([0, ENTRY, ENTRY, ENTRY + 4]), st.sampled_from([(), ((ENTRY + 1, -1.0),), ((ENTRY + 2, 1.0),), ((ENTRY, math.nan), (5, 1.0))]),
        st.integers(0, 1), st.booleans(), st.tuples(value, value, value, value), value,
    ),
    min_size=1, max_size=15,
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(instants)
def test_for_any_input_stops_never_move_away_exits_stay_on_and_compiled_is_plain(rows):
    plain, twin = Exits(), Exits("compiled")
    last = None
    for position, close, mark, bracket, opened_by, fills, is_bar, resting, stops, average in rows:
        how = {"position": position, "close": close, "mark": mark, "bracket": bracket, "opened_by": opened_by, "fills": fills, "is_bar": is_bar,
               "resting": resting, "stops": Stops(*[np.array([x]) for x in stops]), "average": average}  # fmt: skip
        before = plain.carry.side[0], plain.carry.opened_by[0]
        out = plain(**how)
        same(tuple(out), tuple(twin(**how)))
        for a, b in zip(plain.carry, twin.carry):
            np.testing.assert_array_equal(a, b)
        after = plain.carry.side[0], plain.carry.opened_by[0]
        if last is not None and after == before and after[0] != 0:
            assert out.exit >= last.exit
            if 0 < last.active_stop < math.inf:
                assert after[0] * (out.active_stop - last.active_stop) >= 0
            assert out.bars_held == last.bars_held + is_bar
        if position == 0:
            assert out.exit == 0 and np.isnan(out.active_stop) and np.isnan(out.bars_held)
        assert out.exit == 0 or out.reason in (STOP, TARGET, TRAIL, TIME)
        assert out.lockout in (-1, 0, 1, 2) and (out.locked_now == 0 or out.lockout in (out.locked_now, 2))
        last = out
