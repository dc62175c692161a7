from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.data.types import Bars, Book, Clock, Flow, HigherBars, Market, Quality, Session, unknown_instruments
from dataflows.execution.l100_decision_audit import SUMS, AuditCarry, l100_decision_audit, label_changes, placed, profits
from dataflows.execution.types import AUDIT_EVENTS, CANCEL, PLACE, Audit, Ledger, Orders, Reconciliation
from dataflows.fusion.types import FLAT, LONG, NO_SIGNAL, PARTS, SHORT, UNKNOWN_SIDE, Proposal
from dataflows.regime.types import Regime
from dataflows.risk.types import HALT, REJECTED, Approval, KillSwitch
from dataflows.runtime.compile import python_of
from tests.dataflows.execution.support import NAN, intents, same_bits
from tests.support import carry_of, filled

SHAPE = (6, 2)
NOTHING = np.zeros((*SHAPE, PARTS))


def panel(*columns: Any, dtype: Any = float) -> Any:
    return np.array(columns, dtype=dtype).T.copy()


def orders(**over: Any) -> Orders:
    bars, symbols = SHAPE
    table = np.zeros((bars, 1, symbols))
    ids = table.astype(np.int64)
    rest = {"id": ids, "status": ids, "type": ids, "reduce_only": ids, "quantity": table, "filled": table, "limit_price": table}
    return filled(Orders, SHAPE, 0.0, fresh=np.zeros(0, np.int64), **rest, **over)


def market(**quality: Any) -> Market:
    level = np.full((*SHAPE, 1), NAN)
    higher = filled(HigherBars, SHAPE)
    blank = np.zeros(SHAPE)
    return Market(
        np.arange(SHAPE[0]),
        filled(Session, SHAPE),
        filled(Bars, SHAPE),
        higher,
        higher,
        higher,
        Book(level, level, level, level, blank, blank.astype(np.int64), level),
        filled(Flow, SHAPE),
        blank,
        filled(Quality, SHAPE, 0.0, **{"listed": np.ones(SHAPE, np.int64), **quality}),
    )


def audit(
    fills: Orders | None = None,
    *,
    feed: Market | None = None,
    state: Any = None,
    label: Any = None,
    ledger: dict[str, Any] | None = None,
    said: Any = NOTHING,
    told: Any = (),
    level: Any = None,
    matched: Any = 1,
    is_bar: Any = 1,
    **decision: Any,
) -> Audit:
    regime = filled(Regime, SHAPE, 0.0, **({"label": label} if label is not None else {}))
    side = decision.get("side", np.zeros(SHAPE, np.int64))
    no_edge = {"refusal": np.where(np.asarray(side) == FLAT, NO_SIGNAL, 0)}
    proposal = filled(
        Proposal, SHAPE, 0.0, parts_bps=said, **no_edge | {k: v for k, v in decision.items() if k in Proposal._fields}
    )
    given_ = filled(Approval, SHAPE, 0.0, **{k: v for k, v in decision.items() if k in Approval._fields})
    state = state or carry_of(l100_decision_audit, SHAPE[1], {})
    return l100_decision_audit(
        feed or market(),
        regime,
        proposal,
        given_,
        intents(*told),
        filled(KillSwitch, SHAPE, 0.0, **({"level": level} if level is not None else {})),
        fills or orders(),
        filled(Ledger, SHAPE, 0.0, **(ledger or {})),
        filled(Reconciliation, SHAPE, 0.0, matched=np.full(SHAPE[0], matched)),
        unknown_instruments(SHAPE[1]),
        filled(Clock, SHAPE, 0.0, ts=np.arange(SHAPE[0]), is_bar=np.full(SHAPE[0], is_bar)),
        state,
    )


def test_the_parts_of_the_shortfall_add_up_and_are_of_the_filled_notional() -> None:
    zero = [0.0] * 6
    fills = orders(
        filled_notional=panel([0, 2000, 0, 500, 0, 0], zero),
        delay_cost=panel([0, 2.0, 0, -1.0, 0, 0], zero),
        spread_cost=panel([0, 0.4, 0, 0.5, 0, 0], zero),
        impact_cost=panel([0, 0.6, 0, 0.0, 0, 0], zero),
        fee_cost=panel([0, 1.0, 0, 0.25, 0, 0], zero),
    )
    got = audit(fills)
    assert got.shortfall_bps[1, 0] == pytest.approx(20.0)
    parts = (got.delay_bps[1, 0], got.spread_bps[1, 0], got.impact_bps[1, 0], got.fee_bps[1, 0])
    assert parts == pytest.approx((10.0, 2.0, 3.0, 5.0))
    assert got.shortfall_bps[3, 0] == pytest.approx(-5.0)
    known = got.filled_notional > 0.0
    assert np.isnan(got.shortfall_bps[~known]).all()
    assert (got.shortfall_bps[known] == (got.delay_bps + got.spread_bps + got.impact_bps + got.fee_bps)[known]).all()


def test_against_vwap_counts_every_fill_of_the_bar_and_its_fee() -> None:
    """Bought 10 at 101 and sold 4 at 102 in a bar whose VWAP is 100: 10 + 8 better and worse, and a fee of 2."""
    zero = [0.0] * 6
    fills = orders(
        filled_notional=panel([0, 10 * 101.0 + 4 * 102.0, 0, 0, 0, 0], zero),
        filled_quantity=panel([0, 6.0, 0, 0, 0, 0], zero),
        filled_value=panel([0, 10 * 101.0 - 4 * 102.0, 0, 0, 0, 0], zero),
        fee_cost=panel([0, 2.0, 0, 0, 0, 0], zero),
    )
    feed = market()
    feed.bars.vwap[:] = 100.0
    got = audit(fills, feed=feed)
    assert got.vwap_bps[1, 0] == pytest.approx((10 * 1.0 - 4 * 2.0 + 2.0) / 1418.0 * 1e4)
    assert np.isnan(got.vwap_bps[0]).all()


def test_a_positions_profit_is_that_of_the_sources_at_the_close_before_it_was_filled() -> None:
    said = np.zeros((*SHAPE, PARTS))
    said[0, 0, :2] = 0.3, 0.1  # this close decides
    said[1:, 0, 2] = -0.5  # what is said later is of the next position
    position = panel([0, 5, 5, 0, -5, 0], [0] * 6)
    unrealised = panel([0, 8.0, 4.0, 0, 2.0, 0], [0] * 6)
    realised = panel([0, 0, 0, 6.0, 6.0, 11.0], [0] * 6)
    fees = panel([0, 1.0, 1.0, 2.0, 3.0, 4.0], [0] * 6)
    funding = panel([0, 0, 0.5, 0.5, 0.5, 0.5], [0] * 6)
    account = {
        "position": position,
        "unrealised": unrealised,
        "symbol_realised": realised,
        "symbol_fees": fees,
        "symbol_funding": funding,
    }
    got = audit(ledger=account, said=said)
    assert got.profit[:, 0] == pytest.approx([0.0, 7.0, -4.5, 1.0, 1.0, 2.0])
    assert got.by_source[1:4, 0, :2] == pytest.approx(np.outer([7.0, -4.5, 1.0], [0.75, 0.25]))
    assert got.by_source[4:, 0, 2] == pytest.approx([1.0, 2.0])
    assert got.by_source.sum(axis=2) == pytest.approx(got.profit)
    assert not got.by_source[:, 1].any()


def test_every_order_is_counted_at_the_close_that_placed_it() -> None:
    told = [
        {"kind": CANCEL, "id": 4, "decision_time": 1},
        {"kind": PLACE, "id": 8, "decision_time": 1},
        {"kind": PLACE, "id": 12, "decision_time": 1},
        {"kind": PLACE, "id": 16, "symbol": 1, "decision_time": 4},
    ]
    got = audit(told=told)
    assert got.orders.tolist() == [[0, 0], [2, 0], [0, 0], [0, 0], [0, 1], [0, 0]]
    assert got.order_id.tolist() == [[0, 0], [8, 0], [0, 0], [0, 0], [0, 16], [0, 0]]


def test_each_kind_of_event_has_its_bit() -> None:
    none = np.zeros(SHAPE, np.int64)
    one, two = none.copy(), none.copy()
    one[2, 1], two[3, 0] = 1, HALT
    verdict = none.copy()
    verdict[4, 0] = REJECTED
    side, size = one * LONG, one * 0.1
    matched = np.array([1, 1, 1, 1, 1, 0])
    got = audit(
        orders(rejects=one.astype(float), filled_notional=one * 50.0),
        feed=market(outlier=one),
        side=side,
        size_fraction=size,
        verdict=verdict,
        level=two,
        matched=matched,
        told=[{"kind": PLACE, "id": 8, "symbol": 1, "decision_time": 2}],
    )
    names = {
        (t, n): [name for bit, name in enumerate(AUDIT_EVENTS) if got.events[t, n] >> bit & 1]
        for t, n in np.argwhere(got.events)
    }
    assert names == {
        (2, 1): ["DATA_ANOMALY", "REFUSAL", "ORDER", "FILL", "REJECT"],
        (3, 0): ["HALT"],
        (4, 0): ["DECISION"],
        (5, 0): ["MISMATCH"],
        (5, 1): ["MISMATCH"],
    }


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(*[st.sampled_from([-2.0, 0.0, 0.0, 1.5, NAN])] * 6), min_size=2, max_size=25),
    st.sets(st.integers(1, 24)),
)
def test_profits_are_the_same_compiled_plain_and_however_the_bars_are_cut(rows: list[Any], cuts: set[int]) -> None:
    x = np.array(rows)
    position, *money = (np.ascontiguousarray(np.nan_to_num(x[:, k : k + 1])) for k in range(5))
    said = np.ascontiguousarray(np.repeat(x[:, 5:6, None], 3, axis=2) * np.array([1.0, -0.5, 0.0]))

    def state() -> AuditCarry:
        shares = np.zeros((3, 1)), np.zeros((3, 1))
        none = np.zeros(1, np.int64)
        return AuditCarry(none.copy(), np.zeros(1), none.copy(), *shares, np.zeros((SUMS, 1)), none.copy())

    parts, one, other = state(), state(), state()
    given_ = (position, *money, said, np.ones(len(rows), np.int64))
    whole = profits(*given_, one)
    assert same_bits(whole, python_of(profits)(*given_, other))
    assert same_bits(one, other)
    at = sorted(c for c in cuts if c < len(rows))
    pieces = zip(*(np.split(a, at) for a in given_), strict=True)
    got = [profits(*map(np.ascontiguousarray, p), parts) for p in pieces]
    assert same_bits(tuple(np.concatenate(g) for g in zip(*got, strict=True)), whole)
    total = money[0] + money[1] - money[2] - money[3]
    assert whole[0].sum() == pytest.approx(total[-1, 0])
    time = np.arange(len(rows))
    log = (np.full(3, PLACE), np.zeros(3, np.int64), np.arange(4, 16, 4), np.array([0, 0, len(rows) - 1]))
    assert same_bits(placed(*log, time, 1), python_of(placed)(*log, time, 1))


def test_refused_is_what_was_proposed_and_not_approved() -> None:
    side = panel([LONG, LONG, SHORT, SHORT, FLAT, UNKNOWN_SIDE], [LONG] * 6, dtype=np.int64)
    size = panel([0.2] * 6, [NAN] * 6)
    target = panel([0.2, 0.05, -0.05, 0.1, 0.0, 0.1], [0.1] * 6)
    got = audit(side=side, size_fraction=size, target_weight=target)
    assert got.refused[:, 0] == pytest.approx([0.0, 0.15, 0.15, 0.2, 0.0, 0.0])
    assert (got.refused[:, 1] == 0.0).all()


@pytest.mark.parametrize("field", ["outlier", "crossed", "missing", "duplicates", "late"])
def test_each_oddity_of_the_data_is_an_anomaly(field: str) -> None:
    flags = panel([0, 1, 0, 2, 0, 0], [0] * 6, dtype=np.int64)
    assert audit(feed=market(**{field: flags})).anomaly[:, 0].tolist() == [0, 1, 0, 1, 0, 0]


def test_a_gap_of_an_unlisted_symbol_is_no_anomaly() -> None:
    ones = np.ones(SHAPE, np.int64)
    assert not audit(feed=market(missing=ones, listed=0 * ones)).anomaly.any()


def test_a_regime_change_is_from_the_last_known_label() -> None:
    label = panel([-1, 0, -1, 0, 2, 2], [3, 3, -1, 1, -1, 1], dtype=np.int64)
    assert audit(label=label).regime_changed.T.tolist() == [[0, 0, 0, 0, 1, 0], [0, 0, 0, 1, 0, 0]]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-1, 3), min_size=2, max_size=30), st.sets(st.integers(1, 29)))
def test_changes_are_the_same_however_the_bars_are_cut(labels: list[int], cuts: set[int]) -> None:
    label = np.array(labels, np.int64)[:, None]
    whole, parts, same = np.full(1, -1, np.int64), np.full(1, -1, np.int64), np.full(1, -1, np.int64)
    expected = label_changes(label, whole)
    got = [label_changes(np.ascontiguousarray(x), parts) for x in np.split(label, sorted(c for c in cuts if c < len(labels)))]
    assert same_bits(np.concatenate(got), expected)
    assert same_bits(python_of(label_changes)(label, same), expected)
    assert same_bits(parts, whole)


def test_a_fill_between_two_bars_is_in_the_row_of_the_next_bar() -> None:
    """Rows 1 and 2 are instants between the closes of rows 0 and 3: what was filled there is in row 3, priced at its VWAP."""
    zero = [0.0] * 6
    fills = orders(
        filled_notional=panel([0, 200.0, 100.0, 300.0, 0, 0], zero),
        fee_cost=panel([0, 1.0, 0.5, 1.5, 0, 0], zero),
        filled_quantity=panel([0, 2.0, 1.0, -3.0, 0, 0], zero),
        filled_value=panel([0, 200.0, 100.0, -303.0, 0, 0], zero),
        rejects=panel([0, 1.0, 0, 0, 0, 0], zero),
    )
    feed = market()
    feed.bars.vwap[:] = 101.0
    ledger = {
        "position": panel([0, 2.0, 3.0, 0, 0, 0], zero),
        "symbol_realised": panel([0, 0, 0, 3.0, 3.0, 3.0], zero),
        "symbol_fees": panel([0, 1.0, 1.5, 3.0, 3.0, 3.0], zero),
    }
    is_bar = np.array([1, 0, 0, 1, 1, 1])
    got = audit(fills, feed=feed, is_bar=is_bar, ledger=ledger, level=np.ones(SHAPE, np.int64) * HALT)
    assert got.filled_notional[:, 0].tolist() == [0.0, 200.0, 300.0, 600.0, 0.0, 0.0]
    assert got.fee_bps[3, 0] == pytest.approx(3.0 / 600.0 * 1e4)
    assert got.vwap_bps[3, 0] == pytest.approx((-3.0 - 101.0 * 0.0 + 3.0) / 600.0 * 1e4)
    assert got.profit[:, 0].tolist() == [0.0, -1.0, -1.5, 0.0, 0.0, 0.0]
    reject, fill = (1 << AUDIT_EVENTS.index(name) for name in ("REJECT", "FILL"))
    assert [bool(e & reject) for e in got.events[:, 0]] == [False, True, True, True, False, False]
    assert [bool(e & fill) for e in got.events[:, 0]] == [False, True, True, True, False, False]


def test_a_fault_of_the_data_is_of_its_bar_and_not_of_the_instants_after_it() -> None:
    got = audit(feed=market(outlier=np.ones(SHAPE, np.int64)), is_bar=np.array([1, 0, 1, 0, 0, 1]))
    assert got.anomaly[:, 0].tolist() == [1, 0, 1, 0, 0, 1]
