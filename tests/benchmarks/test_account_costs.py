"""A fill's kind is what it does to the position of its symbol."""

from __future__ import annotations

import pandas as pd

from benchmarks.account_costs import kinds_of


def test_a_fill_opens_adds_trims_or_closes() -> None:
    rows = [
        ("A", "BUY", 1.0),
        ("B", "SELL", 2.0),
        ("A", "BUY", 0.5),
        ("B", "BUY", 0.5),
        ("A", "SELL", 1.5),
        ("B", "BUY", 3.0),
        ("B", "BUY", 1.0),
    ]
    fills = pd.DataFrame(rows, columns=["symbol", "side", "quantity"])
    assert kinds_of(fills) == ["open", "open", "add", "trim", "close", "close", "add"]
