from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.data.types import OPERATOR_HALT, OPERATOR_REBASE, OPERATOR_RELEASE
from dataflows.risk.config import RiskConfig
from dataflows.risk.l91_drawdown_throttle import l91_drawdown_throttle
from dataflows.risk.l92_loss_limits import l92_loss_limits
from tests.dataflows.risk.accounts import DAY, HOSTILE, MINUTE, MODES, MONDAY, clock, ledger, market, run, same
from tests.support import carry_of

RISK = RiskConfig()
CONFIGS = {"risk": RISK}
any_float = st.one_of(st.sampled_from(HOSTILE), st.floats(0, 1), st.floats(1, 1e6))


def throttle(drawdowns, mode="plain", operators=None, equity=1000.0, is_bar=None, carry=None):
    carry = carry or carry_of(l91_drawdown_throttle, 1, CONFIGS)
    out = []
    for i, d in enumerate(drawdowns):
        at = clock(is_bar=1 if is_bar is None else is_bar[i], operator=0 if operators is None else operators[i])
        e = equity[i] if isinstance(equity, (list, tuple)) else equity
        out.append(run(l91_drawdown_throttle, mode, l97_ledger=ledger(equity=e, drawdown=d), clock=at, risk=RISK, carry=carry))
    return out


@pytest.mark.parametrize("mode", MODES)
def test_factor_is_one_then_linear_in_steps_then_zero(mode):
    assert throttle([0.0, 0.05, 0.051, 0.06, 0.0999, 0.12, 0.1499, 0.15], mode) == [1.0, 1.0, 0.9, 0.9, 0.5, 0.3, 0.0, 0.0]


def test_it_rises_only_beyond_the_hysteresis():
    assert throttle([0.1, 0.0899, 0.0851, 0.0849, 0.0]) == [0.5, 0.5, 0.5, 0.6, 1.0]
    assert throttle([0.06, 0.0501, 0.0451, 0.0449]) == [0.9, 0.9, 0.9, 1.0]


def test_zero_is_left_only_by_rebase():
    assert throttle([0.2, 0.0, 0.0, 0.0, 0.06], operators=[0, 0, OPERATOR_RELEASE, OPERATOR_REBASE, 0]) == [
        0.0,
        0.0,
        0.0,
        1.0,
        0.9,
    ]
    assert throttle([0.2, 0.2], operators=[0, OPERATOR_REBASE]) == [0.0, 0.0]  # nothing was rebased: still too deep


@pytest.mark.parametrize("equity", [math.nan, math.inf, -math.inf, 0.0, -5.0])
def test_unknown_or_no_equity_is_zero_and_stays_zero(equity):
    assert throttle([0.0, 0.0, 0.0], equity=[1000.0, equity, 1000.0]) == [1.0, 0.0, 0.0]


def test_between_bars_only_the_operator_moves_it():
    assert throttle([0.0, 0.2, 0.2, 0.0], is_bar=[1, 0, 1, 0], operators=[0, 0, 0, OPERATOR_REBASE]) == [1.0, 1.0, 0.0, 1.0]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(any_float, any_float, st.sampled_from([0, 0, 0, 1, 2, 3, 4, 5]), st.integers(0, 1)), min_size=1, max_size=12
    ),
    any_float,
)
def test_for_any_input_it_is_a_step_in_0_1_never_rises_with_drawdown_and_is_the_same_compiled(rows, extra):
    states = {m: carry_of(l91_drawdown_throttle, 1, CONFIGS) for m in (*MODES, "deeper")}
    before = 1.0
    for equity, drawdown, operator, is_bar in rows:
        states["deeper"].steps[:] = states["plain"].steps
        at = clock(is_bar=is_bar, operator=operator)
        f, g = (
            run(
                l91_drawdown_throttle,
                m,
                l97_ledger=ledger(equity=equity, drawdown=drawdown),
                clock=at,
                risk=RISK,
                carry=states[m],
            )
            for m in MODES
        )
        assert f == g and f * 10 in range(11)
        deeper = ledger(equity=equity, drawdown=drawdown + abs(extra))
        if not drawdown < 0.0:  # a negative one is unknown, and so lower than any
            assert run(l91_drawdown_throttle, "plain", l97_ledger=deeper, clock=at, risk=RISK, carry=states["deeper"]) <= f
        if before == 0.0 and operator != OPERATOR_REBASE:
            assert f == 0.0
        if is_bar and not 0.0 < equity < math.inf:
            assert f == 0.0
        before = f


def limits(rows, mode="plain", carry=None):
    """rows: (time, equity[, cash flows[, is_bar]])"""
    carry = carry or carry_of(l92_loss_limits, 1, CONFIGS)
    out = []
    for time, equity, *more in rows:
        flows, is_bar = (*more, 0.0, 1)[:2] if more else (0.0, 1)
        is_bar = more[1] if len(more) > 1 else 1
        inputs = {
            "l0_market_feed": market(time=time),
            "l97_ledger": ledger(equity=equity, cash_flows=flows),
            "clock": clock(time, is_bar),
        }
        out.append(run(l92_loss_limits, mode, **inputs, risk=RISK, carry=carry))
    return out


@pytest.mark.parametrize("mode", MODES)
def test_a_daily_breach_halts_until_the_day_ends_and_the_midnight_bar_belongs_to_it(mode):
    t = MONDAY
    got = limits(
        [
            (t, 1000),
            (t + MINUTE, 990),
            (t + 2 * MINUTE, 969),
            (t + 3 * MINUTE, 1000),
            (t + DAY, 1001),
            (t + DAY + MINUTE, 1001),
        ],
        mode,
    )
    assert [x.halt_entries for x in got] == [0, 0, 1, 1, 1, 0]
    assert [x.flatten for x in got] == [0] * 6
    assert got[2].day_pnl == pytest.approx(-0.031) and got[5].day_pnl == 0.0 and got[5].week_pnl == pytest.approx(0.001)


def test_the_midnight_bar_s_loss_counts_for_the_day_that_ends():
    t = MONDAY
    got = limits([(t, 1000), (t + MINUTE, 1000), (t + DAY, 960), (t + DAY + MINUTE, 960)])
    assert [x.halt_entries for x in got] == [0, 0, 1, 0]
    assert got[3].day_pnl == 0.0 and got[3].week_pnl == pytest.approx(-0.04)


def test_a_weekly_breach_halts_until_monday():
    t = MONDAY
    rows = [
        (t, 1000),
        *((t + k * DAY + MINUTE, 1000 - 15 * k) for k in range(1, 7)),
        (t + 7 * DAY, 910),
        (t + 7 * DAY + MINUTE, 910),
    ]
    got = limits(rows)
    assert [x.halt_entries for x in got] == [0, 0, 0, 0, 1, 1, 1, 1, 0]
    assert got[7].week_pnl == pytest.approx(-0.09) and got[7].flatten == 1 and got[8].week_pnl == 0.0 and got[8].flatten == 0


def test_flatten_at_its_multiple_of_the_limit():
    got = limits([(MONDAY + MINUTE, 1000), (MONDAY + 2 * MINUTE, 956), (MONDAY + 3 * MINUTE, 954), (MONDAY + 4 * MINUTE, 1000)])
    assert [x.flatten for x in got] == [0, 0, 1, 1]


def test_a_cash_flow_is_neither_profit_nor_loss():
    got = limits([(MONDAY + MINUTE, 1000, 0.0), (MONDAY + 2 * MINUTE, 400, -600.0), (MONDAY + 3 * MINUTE, 370, -600.0)])
    assert [x.day_pnl for x in got] == pytest.approx([0.0, 0.0, -0.03])
    assert got[2].halt_entries == 1
    late = limits([(MONDAY, 1000, 0.0), (MONDAY + DAY, 2000, 1000.0), (MONDAY + DAY + MINUTE, 1940, 1000.0)])
    assert late[2].day_pnl == pytest.approx(-0.03)


def test_a_gap_over_midnight_compares_with_the_last_close_before_it():
    got = limits([(MONDAY + MINUTE, 1000), (MONDAY + 5 * MINUTE, 990), (MONDAY + 3 * DAY, 980)])
    assert got[2].day_pnl == pytest.approx(980 / 990 - 1) and got[2].week_pnl == pytest.approx(-0.02)


def test_unknown_equity_halts_while_it_lasts_and_no_longer():
    got = limits(
        [(MONDAY + MINUTE, 1000), (MONDAY + 2 * MINUTE, math.nan), (MONDAY + 3 * MINUTE, math.inf), (MONDAY + 4 * MINUTE, 1000)]
    )
    assert [x.halt_entries for x in got] == [0, 1, 1, 0] and [x.flatten for x in got] == [0] * 4
    assert math.isnan(got[1].day_pnl)


def test_between_bars_nothing_is_measured():
    got = limits([(MONDAY + MINUTE, 1000), (MONDAY + MINUTE + 5, 10, 0.0, 0), (MONDAY + 2 * MINUTE, 1000)])
    assert [x.halt_entries for x in got] == [0, 0, 0] and got[1].day_pnl == 0.0
    before_any = limits([(MONDAY, 1000, 0.0, 0)])
    assert before_any[0].halt_entries == 1


def test_a_halt_survives_a_restart():
    carry = carry_of(l92_loss_limits, 1, CONFIGS)
    limits([(MONDAY + MINUTE, 1000), (MONDAY + 2 * MINUTE, 950)], carry=carry)
    copy = type(carry)(*[a.copy() for a in carry])
    rows = [(MONDAY + 3 * MINUTE, 1000), (MONDAY + DAY, 1000), (MONDAY + DAY + MINUTE, 1000)]
    a, b = limits(rows, carry=carry), limits(rows, carry=copy)
    assert [x.halt_entries for x in b] == [1, 1, 0]
    for x, y in zip(a, b):
        same(x, y)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 3000), any_float, any_float, st.integers(0, 1), st.sampled_from([0, OPERATOR_HALT, 3, 4])),
        min_size=1,
        max_size=12,
    )
)
def test_for_any_input_a_halt_lasts_its_period_and_compiled_is_plain(rows):
    states = {m: carry_of(l92_loss_limits, 1, CONFIGS) for m in MODES}
    time, last = MONDAY, None
    for minutes, equity, flows, is_bar, operator in rows:
        new_day = (time + minutes * MINUTE - 1) // DAY > (time - 1) // DAY
        time += minutes * MINUTE
        inputs = {
            "l0_market_feed": market(time=time),
            "l97_ledger": ledger(equity=equity, cash_flows=flows),
            "clock": clock(time, is_bar, operator),
        }
        out, twin = (run(l92_loss_limits, m, **inputs, risk=RISK, carry=states[m]) for m in MODES)
        same(out, twin)
        assert out.halt_entries in (0, 1) and out.flatten <= out.halt_entries
        assert not math.isinf(out.day_pnl) and not math.isinf(out.week_pnl)
        if last is not None and not (is_bar and new_day):
            assert out.flatten >= last.flatten or is_bar == 1
        if math.isnan(out.day_pnl) or math.isnan(out.week_pnl) or min(out.day_pnl, out.week_pnl / 2) <= -0.03:
            assert out.halt_entries == 1
        last = out
    assert np.isfinite(states["plain"].halted).all()
