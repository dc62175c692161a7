from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.data.types import unknown_instruments
from dataflows.fusion.types import FLAT, LONG, SHORT, UNKNOWN_SIDE, Proposal
from dataflows.risk import types
from dataflows.risk.config import RiskConfig
from dataflows.risk.l86_exposure_cap import l86_exposure_cap
from dataflows.risk.types import (
    REASONS,
    STOP,
    WHY_CLOSE_FIRST,
    WHY_DRAWDOWN_THROTTLE,
    WHY_EQUITY,
    WHY_FLAT_PROPOSAL,
    WHY_GROSS_CAP,
    WHY_INSTRUMENT_CAP,
    WHY_LATE,
    WHY_LOCKOUT,
    WHY_LOSS_LIMIT,
    WHY_NET_CAP,
    WHY_NO_SHORT,
    WHY_NOT_PERMITTED,
    WHY_STOP,
    WHY_UNKNOWN_INPUT,
    WHY_VOLATILITY_TARGET,
    Exit,
    LossLimits,
    SizeCap,
)
from tests.dataflows.risk.accounts import HOSTILE, MODES, allowed, ledger, row, run, same
from tests.support import carry_of, takes

RISK = RiskConfig()._replace(cap_band=0.0)  # the band has tests of its own
TAKES = takes(l86_exposure_cap)


def caps(n=1, mode="plain", carry=None, risk=RISK, side=LONG, size=0.1, **over):
    inputs = allowed(n, side, size) | over
    carry = carry or carry_of(l86_exposure_cap, n, {"risk": risk})
    return run(l86_exposure_cap, mode, **{k: inputs[k] for k in TAKES}, risk=risk, carry=carry)


def only(out):
    return out.weight[0], out.reasons[0]


def proposal(n, **over) -> Proposal:
    base = allowed(n)["l3_action_proposal"]
    return base._replace(**{k: np.asarray(v, getattr(base, k).dtype) for k, v in over.items()})


@pytest.mark.parametrize("mode", MODES)
def test_what_is_held_is_kept_where_the_proposal_is_smaller_on_its_side(mode):
    for size in (0.15, 0.000075, 0.0):
        assert only(caps(mode=mode, size=size, l97_ledger=ledger(position=2.0))) == (0.2, 0)
        assert only(caps(mode=mode, size=size, side=SHORT, l97_ledger=ledger(position=-2.0))) == (-0.2, 0)
    assert only(caps(mode=mode, size=0.2, l97_ledger=ledger(position=1.0))) == (0.2, 0)
    assert caps(mode=mode, side=SHORT, l97_ledger=ledger(position=2.0)).weight[0] <= 0.0


def test_the_throttle_takes_its_share_of_what_the_proposal_has_granted_while_it_was_held():
    carry = carry_of(l86_exposure_cap, 1, {"risk": RISK})

    def step(size, factor, position):
        return only(caps(carry=carry, size=size, l91_drawdown_throttle=factor, l97_ledger=ledger(position=position)))

    assert step(0.2, 1.0, 0.0) == (0.2, 0)
    assert step(0.01, 1.0, 2.0) == (0.2, 0)
    assert step(0.01, 0.5, 2.0) == (0.1, WHY_DRAWDOWN_THROTTLE)  # half of the 0.2 granted, not half of the 0.01 asked for now
    assert step(0.01, 0.5, 1.0) == (0.1, 0)  # and not half of the half a bar later
    assert step(0.01, 0.5, 0.0) == (0.005, WHY_DRAWDOWN_THROTTLE)  # a new life


def test_nothing_is_added_late_in_a_position_s_life():
    late = {"l94_position_exits": row(Exit, 1, late=[1])}
    assert only(caps(l97_ledger=ledger(position=0.5), **late)) == (0.05, WHY_LATE)
    assert only(caps(l97_ledger=ledger(position=1.5), **late)) == (pytest.approx(0.15), 0)


@pytest.mark.parametrize("mode", MODES)
def test_side_times_size_times_the_throttle(mode):
    assert only(caps(mode=mode)) == (0.1, 0)
    assert only(caps(mode=mode, side=SHORT)) == (-0.1, 0)
    assert only(caps(mode=mode, l91_drawdown_throttle=0.5)) == (0.05, WHY_DRAWDOWN_THROTTLE)


def test_an_unknown_side_holds_the_position():
    held = {"l97_ledger": ledger(position=-2.0)}  # -0.2 of equity
    weight, why = only(caps(side=UNKNOWN_SIDE, **held))
    assert weight == -0.2 and why == WHY_UNKNOWN_INPUT


def test_flat_exit_and_flatten_are_zero():
    held = {"l97_ledger": ledger(position=1.0)}
    assert only(caps(side=FLAT, **held)) == (0.0, WHY_FLAT_PROPOSAL)
    assert only(caps(l94_position_exits=row(Exit, 1, exit=[1], reason=[STOP]), **held)) == (0.0, WHY_STOP)
    assert only(caps(l92_loss_limits=LossLimits(1, 1, -0.05, -0.05), **held)) == (0.0, WHY_LOSS_LIMIT)


@pytest.mark.parametrize(
    "over, bit",
    [
        ({"l3_action_proposal": proposal(1, may_enter=[0], size_fraction=[0.15])}, WHY_NOT_PERMITTED),
        ({"l92_loss_limits": LossLimits(1, 0, -0.03, 0.0)}, WHY_LOSS_LIMIT),
        ({"l94_position_exits": row(Exit, 1, lockout=[LONG])}, WHY_LOCKOUT),
        ({"l94_position_exits": row(Exit, 1, lockout=[2])}, WHY_LOCKOUT),
        ({"l83_volatility_target": SizeCap(np.array([math.nan]))}, WHY_VOLATILITY_TARGET | WHY_UNKNOWN_INPUT),
        ({"l83_volatility_target": SizeCap(np.array([math.inf]))}, WHY_VOLATILITY_TARGET | WHY_UNKNOWN_INPUT),
        ({"l85_instrument_cap": SizeCap(np.array([0.0]))}, WHY_INSTRUMENT_CAP),
        ({"l91_drawdown_throttle": math.nan}, WHY_UNKNOWN_INPUT),
    ],
)
@pytest.mark.parametrize("position", [0.0, 0.5])
def test_no_increase_without_permission_or_with_an_unknown_cap_and_no_close_either(over, bit, position):
    # position 0.05 of equity, 0.1 (0.15) asked for
    weight, why = only(caps(**{"l97_ledger": ledger(position=position)} | over))
    assert weight == position * 0.1 and why == bit


def test_what_may_not_enter_still_leaves_the_other_side():
    assert only(caps(l92_loss_limits=LossLimits(1, 0, -0.03, 0.0), l97_ledger=ledger(position=-1.0)))[0] == 0.0


def test_reductions_ignore_unknown_caps():
    over = {"l83_volatility_target": SizeCap(np.array([math.nan])), "l85_instrument_cap": SizeCap(np.array([0.0]))}
    assert caps(l97_ledger=ledger(position=2.0), l91_drawdown_throttle=0.5, **over).weight[0] == 0.05


def test_known_caps_cut_held_risk_too():
    held = {"l97_ledger": ledger(position=2.0), "size": 0.2}
    assert only(caps(l83_volatility_target=SizeCap(np.array([0.07])), **held)) == (0.07, WHY_VOLATILITY_TARGET)
    assert only(caps(l85_instrument_cap=SizeCap(np.array([0.05])), **held)) == (0.05, WHY_INSTRUMENT_CAP)


def test_a_lockout_ends_when_the_proposal_leaves_the_side():
    carry = carry_of(l86_exposure_cap, 1, {"risk": RISK})

    def step(side, begun=0, lockout=LONG):
        return caps(side=side, carry=carry, l94_position_exits=row(Exit, 1, lockout=[lockout], locked_now=[begun])).weight[0]

    assert step(LONG, LONG) == 0.0 and step(LONG) == 0.0
    assert step(UNKNOWN_SIDE) == 0.0 and step(LONG) == 0.0  # not known to have left
    assert step(FLAT) == 0.0 and step(LONG) == 0.1
    assert step(LONG, LONG) == 0.0 and step(LONG) == 0.0  # stopped again: a new lockout
    assert step(SHORT) == -0.1 and step(LONG) == 0.1
    assert step(LONG, 0, 0) == 0.1 and step(LONG, LONG) == 0.0


def test_new_risk_is_cut_before_held_lowest_rank_first_and_ties_by_column():
    p = proposal(4, side=[1, -1, 1, -1], size_fraction=[0.4] * 4, rank=[1.0, 0.0, 2.0, 2.0])
    free = {"l83_volatility_target": SizeCap(np.full(4, 1.0)), "l85_instrument_cap": SizeCap(np.full(4, 1.0))}
    got = caps(4, l3_action_proposal=p, **free)
    # 0.6 too much: 0.4 of the last and 0.2 of the third; 0.1 more of the third, since no short hedges the longs yet
    np.testing.assert_allclose(got.weight, [0.4, -0.4, 0.1, 0.0])
    assert (got.reasons == [0, 0, WHY_GROSS_CAP | WHY_NET_CAP, WHY_GROSS_CAP]).all()
    held = ledger(4, position=[0.0, 0.0, 4.0, -4.0])  # the two lowest are held in full: the new ones go first
    np.testing.assert_allclose(caps(4, l3_action_proposal=p, l97_ledger=held, **free).weight, [0.0, -0.2, 0.4, -0.4])
    tie = proposal(2, side=[1, -1], size_fraction=[0.6] * 2, rank=[math.nan] * 2)
    free2 = {"l83_volatility_target": SizeCap(np.full(2, 1.0)), "l85_instrument_cap": SizeCap(np.full(2, 1.0))}
    np.testing.assert_allclose(caps(2, l3_action_proposal=tie, risk=RISK._replace(net=1.0), **free2).weight, [0.6, -0.4])


WIDE = {"l83_volatility_target": SizeCap(np.full(2, 9.0)), "l85_instrument_cap": SizeCap(np.full(2, 9.0))}
TIGHT = RISK._replace(net=0.05)


@pytest.mark.parametrize("mode", MODES)
def test_a_hedge_that_has_not_happened_hedges_nothing(mode):
    """0.05 net: a short of 0.2 that is only approved must not let 0.25 long be held."""
    p = proposal(2, side=[1, -1], size_fraction=[0.25, 0.2])
    np.testing.assert_allclose(caps(2, mode, l3_action_proposal=p, risk=TIGHT, **WIDE).weight, [0.05, -0.05])
    half = ledger(2, position=[0.5, -0.5])  # both filled: 0.05 long, 0.05 short; so each side may be 0.05 more
    np.testing.assert_allclose(caps(2, mode, l3_action_proposal=p, l97_ledger=half, risk=TIGHT, **WIDE).weight, [0.1, -0.1])
    short = ledger(2, position=[0.0, -2.0])
    out = caps(2, mode, l3_action_proposal=p, l97_ledger=short, risk=TIGHT, **WIDE)  # 0.2 short alone: it is cut, and only
    np.testing.assert_allclose(out.weight, [0.1, -0.05])  # what stays of it hedges


def test_what_is_being_sold_counts_until_it_is_sold():
    exits = row(Exit, 2, exit=[1, 0], reason=[STOP, 0])
    p = proposal(2, side=[1, 1], size_fraction=[0.3, 0.3])
    held = ledger(2, position=[3.0, 0.0])
    out = caps(2, l3_action_proposal=p, l97_ledger=held, l94_position_exits=exits, **WIDE)
    np.testing.assert_allclose(out.weight, [0.0, 0.2])  # net 0.5: 0.3 is still held
    out = caps(
        2, l3_action_proposal=p, l97_ledger=held, l94_position_exits=exits, risk=RISK._replace(net=1.0, gross=0.4), **WIDE
    )
    np.testing.assert_allclose(out.weight, [0.0, 0.1])


@pytest.mark.parametrize("mode", MODES)
def test_a_venue_without_shorts_gets_none_and_a_long_one_is_closed_for_it(mode):
    spot = unknown_instruments(1)._replace(long_only=np.ones(1, np.int64))
    assert only(caps(mode=mode, side=SHORT, instruments=spot)) == (0.0, WHY_NO_SHORT)
    assert only(caps(mode=mode, side=LONG, instruments=spot)) == (0.1, 0)
    assert only(caps(mode=mode, side=SHORT, instruments=spot, l97_ledger=ledger(position=1.0))) == (0.0, WHY_CLOSE_FIRST)


@pytest.mark.parametrize("mode", MODES)
def test_new_risk_leaves_the_band_of_each_cap_free_and_held_risk_may_drift_into_it(mode):
    band = RISK._replace(cap_band=0.1)
    cap = {"l85_instrument_cap": SizeCap(np.array([0.2])), "risk": band, "size": 0.3, "mode": mode}
    assert only(caps(**cap)) == (pytest.approx(0.18), WHY_INSTRUMENT_CAP)
    assert only(caps(l97_ledger=ledger(position=1.9), **cap)) == (pytest.approx(0.19), WHY_INSTRUMENT_CAP)  # stays, no more
    assert only(caps(l97_ledger=ledger(position=2.1), **cap)) == (pytest.approx(0.2), WHY_INSTRUMENT_CAP)
    p = proposal(2, side=[1, 1], size_fraction=[0.3, 0.3])
    for held, want in (([0.0, 0.0], [0.3, 0.15]), ([3.0, 1.8], [0.3, 0.18]), ([3.0, 2.2], [0.3, 0.2])):
        out = caps(2, mode, l3_action_proposal=p, l97_ledger=ledger(2, position=held), risk=band, **WIDE)  # net 0.5
        np.testing.assert_allclose(out.weight, want)


def test_an_exit_of_one_leg_shrinks_the_other_until_net_holds():
    p = proposal(2, side=[1, -1], size_fraction=[0.7, 0.7])
    free = {"l83_volatility_target": SizeCap(np.full(2, 1.0)), "l85_instrument_cap": SizeCap(np.full(2, 1.0))}
    held = ledger(2, position=[7.0, -7.0])
    wide = RISK._replace(gross=2.0)
    np.testing.assert_allclose(caps(2, l3_action_proposal=p, l97_ledger=held, risk=wide, **free).weight, [0.7, -0.7])
    out = caps(
        2,
        l3_action_proposal=p,
        l97_ledger=held,
        risk=wide,
        l94_position_exits=row(Exit, 2, exit=[1, 0], reason=[STOP, 0]),
        **free,
    )
    np.testing.assert_allclose(out.weight, [0.0, -0.5])
    assert out.reasons[1] == WHY_NET_CAP


def test_what_cannot_be_traded_counts_at_its_position_and_is_flagged():
    p = proposal(2, side=[1, 1], size_fraction=[0.0, 0.3])
    held = ledger(2, position=[4.0, 0.0], age=[2.0, 0.0])
    free = {"l83_volatility_target": SizeCap(np.full(2, 1.0)), "l85_instrument_cap": SizeCap(np.full(2, 1.0))}
    out = caps(2, l3_action_proposal=p, l97_ledger=held, **free)
    assert out.untradeable.tolist() == [1, 0]
    np.testing.assert_allclose(out.weight[1], 0.1)  # net 0.5 less the 0.4 that cannot be left
    stuck = caps(2, l3_action_proposal=proposal(2, side=[2, 1], size_fraction=[0.0, 0.3]), l97_ledger=held, **free)
    np.testing.assert_allclose(stuck.weight, [0.4, 0.1])


def test_while_one_position_s_weight_is_unknown_nobody_s_risk_grows():
    p = proposal(3, side=[1, 1, 1], size_fraction=[0.1, 0.1, 0.15])
    out = caps(3, l3_action_proposal=p, l97_ledger=ledger(3, position=[1.0, 0.0, 1.0], mark=[math.nan, 100.0, 100.0]))
    assert out.weight.tolist() == [0.0, 0.0, 0.1] and out.untradeable.tolist() == [1, 0, 0]


@pytest.mark.parametrize("equity", [0.0, -10.0, math.nan, math.inf])
def test_without_equity_nothing_is_asked_for(equity):
    weight, why = only(caps(l97_ledger=ledger(equity=equity)))
    assert weight == 0.0 and why & WHY_EQUITY


def test_the_throttle_reaches_held_risk_whose_side_is_unknown():
    out = caps(side=UNKNOWN_SIDE, l91_drawdown_throttle=0.0, l97_ledger=ledger(position=1.0))
    assert out.weight[0] == 0.0 and out.reasons[0] & WHY_GROSS_CAP


def test_names_and_bits_of_reasons_agree():
    skipped = {"CONCENTRATION", "OPEN_RISK", "TAIL_BUDGET", "TARGET", "TRAIL", "TIME"}
    for i, name in enumerate(REASONS):
        if name not in skipped:
            assert getattr(types, f"WHY_{name}") == 1 << i
    assert types.WHY_STOP << (types.TIME - types.STOP) == 1 << REASONS.index("TIME")


hostile = st.one_of(st.sampled_from(HOSTILE), st.floats(-3, 3), st.floats(0, 0.5))
N = 3


def arrays(of):
    return st.lists(of, min_size=N, max_size=N).map(lambda x: np.array(x, float))


def codes(low, high):
    return st.lists(st.integers(low, high), min_size=N, max_size=N).map(lambda x: np.array(x, np.int64))


books = st.fixed_dictionaries(
    {
        "side": codes(-1, 2), "may_enter": codes(0, 1), "size": arrays(hostile), "rank": arrays(hostile), "vol": arrays(hostile), "cap": arrays(hostile),
        "factor": hostile, "halt": st.integers(0, 1), "flatten": st.integers(0, 1), "exit": codes(0, 1), "reason": codes(0, 4), "lockout": codes(-1, 2),
        "locked_now": codes(-1, 2), "position": arrays(hostile), "mark": arrays(st.one_of(st.just(100.0), hostile)),
        "equity": st.one_of(st.just(1000.0), st.floats(1e-3, 1e6), hostile), "age": arrays(st.sampled_from([0.0, 0.0, 1.0, math.nan])),
    }
)  # fmt: skip


def book_inputs(b):
    return {
        "l3_action_proposal": proposal(N, side=b["side"], may_enter=b["may_enter"], size_fraction=b["size"], rank=b["rank"]),
        "l83_volatility_target": SizeCap(b["vol"]),
        "l85_instrument_cap": SizeCap(b["cap"]),
        "l91_drawdown_throttle": b["factor"],
        "l92_loss_limits": LossLimits(b["halt"], b["flatten"], 0.0, 0.0),
        "l94_position_exits": row(
            Exit, N, exit=b["exit"], reason=b["reason"], lockout=b["lockout"], locked_now=b["locked_now"]
        ),
        "l97_ledger": ledger(N, b["position"], b["mark"], b["equity"], age=b["age"]),
        "instruments": unknown_instruments(N),
    }


def current_of(b):
    with np.errstate(all="ignore"):
        w = b["position"] * b["mark"] / b["equity"]
        ok = (
            (0 < b["equity"] < math.inf)
            & (b["mark"] > 0)
            & np.isfinite(b["mark"])
            & np.isfinite(b["position"])
            & np.isfinite(w)
        )
    return np.where(b["position"] == 0, 0.0, np.where(ok, w, np.nan))


@settings(max_examples=200, deadline=None)
@given(books)
def test_for_any_input_all_caps_hold_and_compiled_is_plain(b):
    inputs = book_inputs(b)
    out, twin = (caps(N, mode, **inputs) for mode in MODES)
    same(out, twin)
    now = current_of(b)
    w = out.weight
    assert np.isfinite(w).all() and ((out.reasons >= 0) & (out.reasons < 1 << len(REASONS))).all()
    fixed = out.untradeable == 1
    told = ~np.isnan(now)
    assert (fixed | told).all()
    with np.errstate(all="ignore"):
        counted = np.where(fixed, np.where(told, now, 0.0), w)
        if not fixed.any() and np.abs(counted).max() < 1e100:
            assert np.abs(counted).sum() <= RISK.gross * (1 + 1e-9) and abs(counted.sum()) <= RISK.net * (1 + 1e-9)
    for n in range(N):
        if b["exit"][n] or b["flatten"] or b["side"][n] == FLAT:
            assert w[n] == 0.0
        grown = w[n] != 0 and not (told[n] and 0 <= w[n] / now[n] <= 1 if told[n] and now[n] != 0 else False)
        if grown:
            assert (
                b["may_enter"][n] == 1 and not b["halt"] and told.all() and 0 < b["equity"] < math.inf and 0 <= b["factor"] <= 1
            )
            assert (
                abs(w[n]) <= b["vol"][n] < math.inf
                and abs(w[n]) <= b["cap"][n] < math.inf
                and abs(w[n]) <= abs(b["size"][n]) * b["factor"]
            )
            assert np.sign(w[n]) == b["side"][n] and not fixed[n]
        if not fixed[n] and b["vol"][n] >= 0:
            assert abs(w[n]) <= b["vol"][n]
        if not fixed[n] and b["cap"][n] > 0:
            assert abs(w[n]) <= b["cap"][n]


@settings(max_examples=80, deadline=None)
@given(books, st.permutations(range(N)))
def test_permuting_the_symbols_permutes_the_targets(b, perm):
    b = b | {"rank": np.arange(N, dtype=float)}
    perm = list(perm)
    moved = {k: v[perm] if isinstance(v, np.ndarray) else v for k, v in b.items()}
    a, c = caps(N, **book_inputs(b)), caps(N, **book_inputs(moved))
    np.testing.assert_allclose(a.weight[perm], c.weight, atol=1e-12)
    assert (a.untradeable[perm] == c.untradeable).all()
