from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.data.types import Bars, Book, Flow, HigherBars, Market, Quality, Session
from dataflows.execution.l100_decision_audit import l100_decision_audit, label_changes
from dataflows.execution.types import Audit, Orders
from dataflows.fusion.types import FLAT, LONG, SHORT, UNKNOWN_SIDE, Proposal
from dataflows.kernels.compile import plain
from dataflows.regime.types import Regime
from dataflows.risk.types import Approval
from tests.dataflows.execution.support import NAN, same_bits
from tests.support import carry_of, filled

SHAPE = (6, 2)


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
    fills: Orders | None = None, *, feed: Market | None = None, state: Any = None, label: Any = None, **decision: Any
) -> Audit:
    regime = filled(Regime, SHAPE, 0.0, **({"label": label} if label is not None else {}))
    proposal = filled(Proposal, SHAPE, 0.0, **{k: v for k, v in decision.items() if k in Proposal._fields})
    given_ = filled(Approval, SHAPE, 0.0, **{k: v for k, v in decision.items() if k in Approval._fields})
    state = state or carry_of(l100_decision_audit, SHAPE[1], {})
    return l100_decision_audit(feed or market(), regime, proposal, given_, fills or orders(), state)


def test_the_parts_of_the_shortfall_add_up_and_are_of_the_filled_notional() -> None:
    zero = [0.0] * 6
    fills = orders(
        filled_notional=panel([0, 2000, 0, 500, 0, 0], zero),
        delay_cost=panel([0, 2.0, 0, -1.0, 0, 0], zero),
        slippage_cost=panel([0, 1.0, 0, 0.5, 0, 0], zero),
        fee_cost=panel([0, 1.0, 0, 0.25, 0, 0], zero),
    )
    got = audit(fills)
    assert got.shortfall_bps[1, 0] == pytest.approx(20.0)
    assert (got.delay_bps[1, 0], got.slippage_bps[1, 0], got.fee_bps[1, 0]) == pytest.approx((10.0, 5.0, 5.0))
    assert got.shortfall_bps[3, 0] == pytest.approx(-5.0)
    known = got.filled_notional > 0.0
    assert np.isnan(got.shortfall_bps[~known]).all()
    assert (got.shortfall_bps[known] == (got.delay_bps + got.slippage_bps + got.fee_bps)[known]).all()


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
    assert same_bits(plain(label_changes)(label, same), expected)
    assert same_bits(parts, whole)
