"""The trip's profit is the cash that its fills moved, and the ladder is the recorded weights."""

from __future__ import annotations

import pandas as pd
import pytest

from drivers.explain.trip import trip_of

ROWS = [  # order, side, quantity, price, fee
    ("A-4", "BUY", 2.0, 100.0, 1.0),
    ("A-8", "BUY", 1.0, 103.0, 0.5),
    ("A-5", "SELL", 3.0, 110.0, 1.5),  # flat: 330 - 200 - 103 - 3 = 24
    ("A-12", "SELL", 1.0, 110.0, 0.5),
    ("A-16", "BUY", 3.0, 108.0, 1.5),  # closes 1 and opens 2: 110 - 108 - 0.5 - 0.5 = 1
    ("A-20", "SELL", 1.0, 109.0, 0.5),
]


def fills() -> pd.DataFrame:
    made = pd.DataFrame(ROWS, columns=["order_id", "side", "quantity", "price", "fee"])
    made["symbol"] = "A"
    made["timestamp"] = pd.date_range("2026-01-05", periods=len(ROWS), freq="min", tz="UTC")
    return made


@pytest.mark.parametrize(
    "order, ids, profit",
    [
        ("A-4", ["A-4", "A-8", "A-5"], 24.0),
        ("A-5", ["A-4", "A-8", "A-5"], 24.0),
        ("A-12", ["A-12", "A-16"], 1.0),
        ("A-20", ["A-16", "A-20"], None),
    ],
)
def test_every_fill_of_the_position_and_what_it_earned(order: str, ids: list[str], profit: float | None) -> None:
    trip = trip_of(fills(), {"order_id": order, "symbol": "A"})
    assert trip is not None and trip.fills["order_id"].tolist() == ids
    assert trip.profit == (None if profit is None else pytest.approx(profit))
    assert len(trip.lines()) == 1 + len(ids) and ("still open" in trip.sentence()) == (profit is None)
    if profit is not None:
        assert f"earned {profit:,.2f} after fees" in trip.sentence()


def test_an_order_that_has_not_filled_has_no_trip() -> None:
    assert trip_of(fills(), {"order_id": "A-99", "symbol": "A"}) is None
