from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.data.types import unknown_instruments
from dataflows.fusion.types import FLAT, LONG, SHORT, UNKNOWN_SIDE
from dataflows.risk.config import RiskConfig
from dataflows.risk.l4_risk_gate import l4_risk_gate
from dataflows.risk.l86_exposure_cap import l86_exposure_cap
from dataflows.risk.types import (
    APPROVED,
    EXIT,
    FLATTEN,
    HALT,
    HOLD,
    REASONS,
    REDUCED,
    REJECTED,
    RUN,
    STOP,
    TIME,
    WHY_CLOSE_FIRST,
    WHY_DRAWDOWN_THROTTLE,
    WHY_EQUITY,
    WHY_FLAT_PROPOSAL,
    WHY_FLATTENED,
    WHY_HALTED,
    WHY_INSTRUMENT_CAP,
    WHY_NET_CAP,
    WHY_NO_SHORT,
    WHY_NO_STOP,
    WHY_NOT_PERMITTED,
    WHY_STOP,
    WHY_UNKNOWN_INPUT,
    Exit,
    KillSwitch,
    SizeCap,
    Stops,
    TargetWeights,
)
from dataflows.risk.weights import by_rank
from dataflows.runtime.compile import python_of
from tests.dataflows.risk.accounts import HOSTILE, MODES, allowed, ledger, row, run, same
from tests.dataflows.risk.test_l86_exposure_cap import N, arrays, book_inputs, books, codes, current_of, hostile, proposal
from tests.support import carry_of, takes

RISK = RiskConfig()._replace(cap_band=0.0)
TAKES, ABOVE = takes(l4_risk_gate), takes(l86_exposure_cap)
LATER = ("l87_concentration_cap", "l93_open_risk_budget", "l95_tail_budget")


def targets(weight, reasons=0, stuck=0) -> TargetWeights:
    """Targets of a cap layer; nothing held."""
    w = np.atleast_1d(np.asarray(weight, float))
    codes = [np.array(np.broadcast_to(np.asarray(x, np.int64), w.shape)) for x in (reasons, stuck)]
    return TargetWeights(w, *codes, np.zeros(len(w)))


def gate(n=1, mode="plain", side=LONG, size=0.1, risk=RISK, **over):
    """L4 behind L86, unless L86's targets are given; the later caps pass what is not given."""
    inputs = allowed(n, side, size) | over
    if "l86_exposure_cap" not in over:
        carry = carry_of(l86_exposure_cap, n, {"risk": risk})
        inputs["l86_exposure_cap"] = run(l86_exposure_cap, mode, **{k: inputs[k] for k in ABOVE}, risk=risk, carry=carry)
    inputs = {k: inputs["l86_exposure_cap"] for k in LATER if k not in over} | inputs
    return run(l4_risk_gate, mode, **{k: inputs[k] for k in TAKES}, risk=risk)


def said(out, n=0):
    return out.target_weight[n], out.verdict[n], out.reasons[n], out.reduce_only[n]


def level(*levels):
    return row(KillSwitch, len(levels), level=levels)


@pytest.mark.parametrize("mode", MODES)
def test_what_nothing_stands_against_is_approved_as_proposed_with_its_bracket(mode):
    out = gate(mode=mode)
    assert said(out) == (0.1, APPROVED, 0, 0)
    assert (out.stop[0], out.take_profit[0], out.trail[0], out.horizon[0], out.urgency[0]) == (0.02, 0.03, 0.02, 60.0, 0.7)
    assert (out.edge_bps[0], out.freshness[0], out.rank[0], out.halt[0]) == (20.0, 1.0, 0.0, 0)
    short = gate(mode=mode, side=SHORT)
    assert said(short) == (-0.1, APPROVED, 0, 0)


@pytest.mark.parametrize("size", [0.1, 0.000075, 0.0])
def test_a_smaller_proposal_on_the_same_side_sells_nothing(size):
    out = gate(size=size, l97_ledger=ledger(position=2.0))
    assert said(out) == (0.2, HOLD, 0, 1) and np.isnan(out.stop[0]) and out.urgency[0] == 0.0


def test_a_cap_makes_it_reduced_and_says_which():
    assert said(gate(l85_instrument_cap=SizeCap(np.array([0.06])))) == (0.06, REDUCED, WHY_INSTRUMENT_CAP, 0)
    out = gate(l91_drawdown_throttle=0.5, l97_ledger=ledger(position=1.0))
    assert said(out) == (0.05, REDUCED, WHY_DRAWDOWN_THROTTLE, 1) and out.urgency[0] == 1.0


def test_nothing_asked_is_a_hold():
    held = {"l97_ledger": ledger(position=1.0)}
    assert said(gate(side=UNKNOWN_SIDE, **held)) == (0.1, HOLD, WHY_UNKNOWN_INPUT, 1)
    assert said(gate(**held)) == (0.1, HOLD, 0, 1)
    assert said(gate(side=FLAT)) == (0.0, HOLD, 0, 1)


REFUSALS = [
    ({"l3_action_proposal": proposal(1, may_enter=[0])}, WHY_NOT_PERMITTED),
    ({"l3_action_proposal": proposal(1, edge_bps=[math.nan])}, WHY_UNKNOWN_INPUT),
    ({"l3_action_proposal": proposal(1, freshness=[math.inf])}, WHY_UNKNOWN_INPUT),
    ({"l3_action_proposal": proposal(1, rank=[math.nan])}, WHY_UNKNOWN_INPUT),
    ({"l81_kill_switch": level(HALT)}, WHY_HALTED),
    ({"l84_stop_levels": Stops(*[np.array([math.nan])] * 4)}, WHY_NO_STOP),
    ({"l84_stop_levels": Stops(*[np.array([x]) for x in (0.0, 0.1, 0.1, 60.0)])}, WHY_NO_STOP),
    ({"l84_stop_levels": Stops(*[np.array([x]) for x in (0.1, 0.1, 0.1, math.inf)])}, WHY_NO_STOP),
    ({"l85_instrument_cap": SizeCap(np.array([math.inf])), "l86_exposure_cap": targets(0.1)}, WHY_INSTRUMENT_CAP),
    ({"l86_exposure_cap": targets(0.1, stuck=1)}, WHY_UNKNOWN_INPUT),
]  # fmt: skip


ASKED = targets(0.1)


@pytest.mark.parametrize(
    "over, bit",
    [
        *REFUSALS,
        ({"l97_ledger": ledger(equity=math.nan)}, WHY_EQUITY),
        ({"l97_ledger": ledger(equity=math.inf)}, WHY_EQUITY),
        ({"l97_ledger": ledger(equity=-5.0)}, WHY_EQUITY),
        ({"l97_ledger": ledger(mark=0.0)}, WHY_UNKNOWN_INPUT),
        ({"l97_ledger": ledger(mark=math.inf)}, WHY_UNKNOWN_INPUT),
        ({"l3_action_proposal": proposal(1, size_fraction=[math.nan])}, WHY_UNKNOWN_INPUT),
        ({"l3_action_proposal": proposal(1, side=[UNKNOWN_SIDE])}, WHY_UNKNOWN_INPUT),
        ({"l85_instrument_cap": SizeCap(np.array([math.nan]))}, WHY_INSTRUMENT_CAP),
    ],
)
def test_the_door_itself_refuses_whatever_the_layers_above_let_through(over, bit):
    target, verdict, reasons, reduce_only = said(gate(**{"l86_exposure_cap": ASKED} | over))
    assert (target, reduce_only) == (0.0, 1) and verdict in (REJECTED, HOLD) and reasons & bit


def test_a_weight_on_the_other_side_than_the_proposal_opens_nothing():
    assert said(gate(side=SHORT, l86_exposure_cap=ASKED)) == (0.0, REJECTED, WHY_UNKNOWN_INPUT, 1)


def test_no_layer_above_can_grant_more_than_was_proposed():
    assert said(gate(size=0.04, l86_exposure_cap=ASKED)) == (0.04, APPROVED, 0, 0)
    held = ledger(position=0.5)
    assert said(gate(size=0.04, l86_exposure_cap=ASKED, l97_ledger=held)) == (0.05, HOLD, 0, 1)
    assert said(gate(size=0.07, l86_exposure_cap=ASKED, l97_ledger=held)) == (0.07, APPROVED, 0, 0)
    assert said(gate(size=0.04, l86_exposure_cap=ASKED, l85_instrument_cap=SizeCap(np.array([0.03]))))[:2] == (0.03, REDUCED)


def test_a_position_whose_weight_is_unknown_keeps_all_others_from_growing():
    above = targets([0.1, 0.1])
    out = gate(2, l86_exposure_cap=above, l97_ledger=ledger(2, position=[0.0, 1.0], mark=[100.0, math.nan]))
    assert said(out) == (0.0, REJECTED, WHY_UNKNOWN_INPUT, 1) and said(out, 1) == (0.0, HOLD, WHY_UNKNOWN_INPUT, 1)


@pytest.mark.parametrize("over, bit", REFUSALS)
def test_an_increase_that_one_thing_stands_against_is_rejected_and_the_position_stays(over, bit):
    assert said(gate(**over)) == (0.0, REJECTED, bit, 1)
    target, verdict, reasons, reduce_only = said(gate(**{"l97_ledger": ledger(position=0.5)} | over))
    assert (target, verdict, reduce_only) == (0.05, REJECTED, 1) and reasons & bit


@pytest.mark.parametrize("name, over, bit", [
    ("exit", {"l94_position_exits": row(Exit, 1, exit=[1], reason=[STOP])}, WHY_STOP),
    ("time", {"l94_position_exits": row(Exit, 1, exit=[1], reason=[TIME])}, WHY_STOP << 3),
    ("flatten", {"l81_kill_switch": level(FLATTEN)}, WHY_FLATTENED),
    ("flat", {"l3_action_proposal": proposal(1, side=[FLAT], size_fraction=[0.0])}, WHY_FLAT_PROPOSAL),
])  # fmt: skip
@pytest.mark.parametrize("equity", [1000.0, 0.0, -5.0, math.nan])
def test_exits_and_flatten_close_whatever_else_is_unknown(name, over, bit, equity):
    unknown = {"l84_stop_levels": Stops(*[np.array([math.nan])] * 4), "l85_instrument_cap": SizeCap(np.array([math.nan]))}
    out = gate(l97_ledger=ledger(position=3.0, equity=equity, mark=math.nan if equity < 0 else 100.0), **over, **unknown)
    assert said(out) == (0.0, EXIT, bit, 1) and out.urgency[0] == 1.0


def test_a_side_without_a_size_holds_what_is_there_and_opens_nothing():
    """An edge below the cost of entering is no reason to leave: what entering cost is spent."""
    nothing = {"l3_action_proposal": proposal(1, may_enter=[0], size_fraction=[0.0])}
    target, verdict, reasons, reduce_only = said(gate(l97_ledger=ledger(position=1.0), **nothing))
    assert (target > 0.0, verdict, reasons, reduce_only) == (True, HOLD, 0, 1)
    assert said(gate(**nothing)) == (0.0, HOLD, 0, 1)


def test_a_change_of_sign_becomes_a_close_first():
    out = gate(side=SHORT, l97_ledger=ledger(position=1.0))
    assert said(out) == (0.0, EXIT, WHY_CLOSE_FIRST, 1)
    assert said(gate(side=SHORT, l97_ledger=ledger(position=0.0))) == (-0.1, APPROVED, 0, 0)


def test_net_is_kept_when_a_leg_closes_first():
    free = {"l83_volatility_target": SizeCap(np.ones(3)), "l85_instrument_cap": SizeCap(np.ones(3))}
    p = proposal(3, side=[1, 1, -1], size_fraction=[0.3, 0.4, 0.3], rank=[0.0, 1.0, 2.0])
    held = ledger(3, position=[0.0, 4.0, 3.0])  # the third turns from long to short: it closes first, and 0.7 net is left
    out = gate(3, l3_action_proposal=p, l97_ledger=held, **free)
    np.testing.assert_allclose(out.target_weight, [0.0, 0.4, 0.0])  # and until it has closed there is no room for the first
    assert out.verdict.tolist() == [REJECTED, HOLD, EXIT] and out.reasons.tolist() == [WHY_NET_CAP, 0, WHY_CLOSE_FIRST]
    closed = gate(3, l3_action_proposal=p, l97_ledger=ledger(3, position=[0.0, 4.0, 0.0]), **free)
    np.testing.assert_allclose(closed.target_weight, [0.1, 0.4, -0.3])


def test_the_door_itself_lets_no_short_through_at_a_venue_without_shorts():
    spot = unknown_instruments(1)._replace(long_only=np.ones(1, np.int64))
    assert said(gate(side=SHORT, instruments=spot, l86_exposure_cap=targets(-0.1))) == (0.0, REJECTED, WHY_NO_SHORT, 1)
    assert said(gate(side=SHORT, instruments=spot)) == (0.0, REJECTED, WHY_NO_SHORT, 1)


@pytest.mark.parametrize("equity", [math.nan, math.inf, 0.0, -3.0])
def test_without_equity_a_position_that_nothing_closes_is_held(equity):
    target, verdict, reasons, reduce_only = said(gate(l97_ledger=ledger(position=1.0, equity=equity)))
    assert (target, verdict, reduce_only) == (0.0, HOLD, 1) and reasons & WHY_EQUITY
    target, verdict, reasons, reduce_only = said(gate(l97_ledger=ledger(equity=equity)))
    assert (target, verdict, reduce_only) == (0.0, REJECTED, 1) and reasons & WHY_EQUITY


def test_it_hands_on_the_active_stop_and_the_halt():
    out = gate(2, l94_position_exits=row(Exit, 2, active_stop=[95.0, math.nan]), l81_kill_switch=level(RUN, HALT))
    assert out.active_stop[0] == 95.0 and np.isnan(out.active_stop[1]) and out.halt.tolist() == [0, 1]


def test_every_reason_of_the_layers_above_is_kept_and_no_other_bit_is():
    strange = targets(0.05, -1)
    out = gate(l86_exposure_cap=strange)
    assert said(out) == (0.05, REDUCED, (1 << len(REASONS)) - 1, 0)


doors = st.fixed_dictionaries(
    {
        "level": codes(-1, 3), "stop": arrays(st.one_of(st.just(0.02), hostile)), "profit": arrays(st.one_of(st.just(0.03), hostile)),
        "trail": arrays(st.one_of(st.just(0.02), hostile)), "time": arrays(st.one_of(st.just(60.0), hostile)),
        "edge": arrays(st.one_of(st.just(20.0), hostile)), "fresh": arrays(st.one_of(st.just(1.0), hostile)), "confidence": arrays(hostile),
        "weight": arrays(hostile), "later": st.lists(st.one_of(st.none(), arrays(hostile)), min_size=3, max_size=3), "why": codes(-(2**40), 2**40), "stuck": codes(0, 1), "given": st.booleans(), "net": st.sampled_from([0.5, 1e-9, 3.0]),
    }
)  # fmt: skip
# half of the books are sane, so that increases are common
sane = st.fixed_dictionaries(
    {
        "side": codes(-1, 2), "may_enter": st.just(np.ones(N, np.int64)), "size": arrays(st.floats(0, 0.6)), "rank": st.just(np.arange(N, dtype=float)),
        "vol": arrays(st.floats(0.01, 2)), "cap": arrays(st.floats(0.01, 1)), "factor": st.sampled_from([1.0, 0.7, 0.1]), "halt": st.just(0), "flatten": st.just(0),
        "exit": codes(0, 1), "reason": codes(0, 4), "lockout": st.just(np.zeros(N, np.int64)), "locked_now": st.just(np.zeros(N, np.int64)),
        "position": arrays(st.sampled_from([0.0, 0.0, 1.0, -2.0, 4.0])), "mark": st.just(np.full(N, 100.0)), "equity": st.just(1000.0), "age": st.just(np.zeros(N)),
    }
)  # fmt: skip
sane_doors = doors.map(
    lambda d: (
        d
        | {
            "level": np.clip(d["level"], 0, 1) * 0,
            "stop": np.full(N, 0.02),
            "profit": np.full(N, 0.03),
            "trail": np.full(N, 0.02),
            "time": np.full(N, 60.0),
        }
        | {"edge": np.full(N, 20.0), "fresh": np.ones(N), "given": False, "net": 0.5, "later": [None] * 3}
    )
)


@st.composite
def spoilings(draw):
    """All is well and L86 grants what L3 asks; then one thing of one symbol is not."""
    b, d = draw(sane), draw(sane_doors)
    d = d | {
        "given": True,
        "weight": b["side"] % 2 * b["size"] * np.where(b["side"] == -1, -1, 1),
        "stuck": np.zeros(N, np.int64),
        "why": np.zeros(N, np.int64),
    }
    b, d, n = dict(b), dict(d), draw(st.integers(0, N - 1))
    bad, what = draw(st.sampled_from(HOSTILE)), draw(st.sampled_from(["none", "size", "cap", "rank", "position", "mark", "equity", "stop", "profit", "trail", "time", "edge", "fresh", "weight", "may_enter", "level", "stuck"]))  # fmt: skip
    home = b if what in b else d
    if what == "equity":
        b["equity"] = bad
    elif what != "none":
        home[what] = home[what].copy()
        home[what][n] = {"may_enter": 0, "level": 1, "stuck": 1}.get(what, bad)
    return b, d


spoilt = spoilings()


@settings(max_examples=250, deadline=None)
@given(st.one_of(st.tuples(books, doors), st.tuples(sane, sane_doors), st.tuples(sane, doors), spoilt))
def test_no_input_whatsoever_gets_past_the_caps_and_compiled_is_plain(case):
    b, d = case
    inputs = book_inputs(b)
    inputs["l3_action_proposal"] = inputs["l3_action_proposal"]._replace(
        edge_bps=d["edge"], freshness=d["fresh"], confidence=d["confidence"]
    )
    inputs["l84_stop_levels"] = Stops(d["stop"], d["profit"], d["trail"], d["time"])
    inputs["l81_kill_switch"] = level(*d["level"])
    risk = RISK._replace(net=d["net"])
    if d["given"]:
        above = targets(d["weight"], d["why"], d["stuck"])
    else:
        above = run(
            l86_exposure_cap,
            "compiled",
            **{k: inputs[k] for k in ABOVE},
            risk=RISK,
            carry=carry_of(l86_exposure_cap, N, {"risk": RISK}),
        )
    caps = [above if w is None else targets(w, d["why"], d["stuck"]) for w in d["later"]]
    inputs |= dict(zip(LATER, caps, strict=True)) | {"l86_exposure_cap": above}
    out, twin = (gate(N, mode, risk=risk, **inputs) for mode in MODES)
    same(out, twin)

    now = current_of(b)
    told = ~np.isnan(now)
    w, verdict = out.target_weight, out.verdict
    assert np.isfinite(w).all() and np.isfinite(out.rank).all() and ((out.urgency >= 0) & (out.urgency <= 1)).all()
    assert ((out.reasons >= 0) & (out.reasons < 1 << len(REASONS))).all()
    increase = np.zeros(N, bool)
    for n in range(N):
        asked = (
            0.0
            if b["side"][n] == FLAT
            else b["side"][n] * b["size"][n]
            if b["side"][n] in (1, -1) and 0 <= b["size"][n] < math.inf
            else None
        )
        between = w[n] == 0 or (told[n] and now[n] != 0 and 0 <= w[n] / now[n] <= 1)
        increase[n] = not between
        if not between:
            assert (
                asked is not None
                and abs(w[n]) <= abs(asked)
                and all(abs(w[n]) <= abs(cap.weight[n]) for cap in (above, *caps))
                and abs(w[n]) <= b["cap"][n] < math.inf
            )
            assert all(np.sign(w[n]) == b["side"][n] == np.sign(cap.weight[n]) for cap in (above, *caps))
            assert (
                told.all()
                and 0 < b["equity"] < math.inf
                and 0 < b["mark"][n] < math.inf
                and b["may_enter"][n] == 1
                and d["level"][n] == RUN
            )
            assert 0 < d["stop"][n] < 1 and 0 < d["profit"][n] < 1 and 0 < d["trail"][n] < 1 and 0 < d["time"][n] < math.inf
            assert np.isfinite([d["edge"][n], d["fresh"][n], b["rank"][n]]).all() and not above.untradeable[n]
            assert now[n] * w[n] >= 0
        assert out.reduce_only[n] == (0 if increase[n] else 1)
        assert (
            np.isnan(out.stop[n])
            == np.isnan(out.horizon[n])
            == np.isnan(out.take_profit[n])
            == np.isnan(out.trail[n])
            == (not increase[n])
        )
        if b["exit"][n] or d["level"][n] >= FLATTEN:
            assert verdict[n] == EXIT
        if verdict[n] == EXIT:
            assert w[n] == 0 and out.reasons[n] != 0 and out.urgency[n] == 1
        elif verdict[n] == HOLD:
            assert (w[n] == now[n] if told[n] else w[n] == 0) and (asked is None or not told[n] or not increase[n])
        elif verdict[n] == REJECTED:
            assert w[n] == now[n] and out.reasons[n] != 0 and asked is not None
        elif verdict[n] == APPROVED:
            assert w[n] == asked and increase[n] and out.reasons[n] == 0
        else:
            assert verdict[n] == REDUCED and w[n] != now[n] and out.reasons[n] != 0
        if told[n] and b["position"][n] != 0 and w[n] == 0:
            assert verdict[n] == EXIT
        assert out.halt[n] == (d["level"][n] != RUN)
    with np.errstate(all="ignore"):
        fixed = (above.untradeable == 1) | ~told
        counted = np.where(fixed, np.where(told, now, 0.0), w)
        if not fixed.any() and np.abs(counted).max() < 1e100:
            assert abs(counted.sum()) <= risk.net * (1 + 1e-9) + 1e-12


@pytest.mark.long
@settings(max_examples=4000, deadline=None)
@given(st.one_of(st.tuples(books, doors), st.tuples(sane, sane_doors), st.tuples(sane, doors), spoilt))
def test_no_input_whatsoever_gets_past_the_caps_in_thousands_of_cases(case):
    test_no_input_whatsoever_gets_past_the_caps_and_compiled_is_plain.hypothesis.inner_test(case)


@settings(max_examples=60, deadline=None)
@given(sane, st.sampled_from(HOSTILE), st.integers(0, N - 1))
def test_what_is_unknown_of_one_symbol_never_raises_another_s_risk(b, bad, n):
    free = b | {"side": np.ones(N, np.int64), "exit": np.zeros(N, np.int64), "position": np.zeros(N)}
    small = free | {"size": np.minimum(free["size"], 0.1)}  # below gross and net: nobody makes room for another
    inputs = book_inputs(small)
    clean = gate(N, **inputs)
    spoilt = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in small.items()}
    spoilt["size"][n] = spoilt["cap"][n] = spoilt["vol"][n] = bad
    out = gate(N, **book_inputs(spoilt))
    others = [i for i in range(N) if i != n]
    assert (np.abs(out.target_weight[others]) <= np.abs(clean.target_weight[others])).all()


@given(st.lists(st.sampled_from([0.0, -0.0, 1.0, 2.0, 2.5, math.nan, math.inf, -math.inf, 7.0]), max_size=40))
def test_ranks_are_sorted_stably_and_the_unknown_is_the_worst(ranks: list[float]) -> None:
    x = np.array(ranks, float)
    wanted = np.argsort(np.where(np.isfinite(x), x, math.inf), kind="stable")
    np.testing.assert_array_equal(by_rank(x), wanted)
    np.testing.assert_array_equal(python_of(by_rank)(x), wanted)
