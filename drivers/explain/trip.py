"""The position that an order belongs to: all of its fills, and what it has earned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from drivers.text.counts import plural

DUST: Final = 1e-9
"""Of the largest position of the trip: less is flat."""


@dataclass(frozen=True)
class OrderTrip:
    """From flat to flat, or to the end of the run. profit: in the account's currency, after fees and before funding; None:
    still open."""

    fills: pd.DataFrame
    profit: float | None

    def sentence(self) -> str:
        """What became of the position."""
        fills = plural(len(self.fills), "fill")
        if self.profit is None:
            return f"Its position ({fills}) is still open."
        done = "earned" if self.profit >= 0.0 else "lost"
        return f"Its position ({fills}) {done} {abs(self.profit):,.2f} after fees, before funding."

    def lines(self) -> list[str]:
        """Every fill of the position."""
        rows = [
            f"  {'+' if row['side'] == 'BUY' else '-'}{row['quantity']:.10g} at {row['price']:.10g} "
            f"({row['timestamp'].strftime('%Y-%m-%dT%H:%M:%SZ')}), {row['order_id']}, fee {row['fee']:.6g}"
            for _, row in self.fills.iterrows()
        ]
        return ["Fills of its position:", *rows]


def trip_of(fills: pd.DataFrame, order: dict[str, Any], booked: Callable[[float], float] = float) -> OrderTrip | None:
    """The trip of an order that has filled; None where nothing of it has. fills: rows of fills.parquet, in their order.

    A fill that turns the position over ends one trip and begins the next: it is shown with both, and `profit` counts of it what
    it closed. booked: what a unit of the symbol is booked at, by its price. A position from before the run counts from its
    first fill in it."""
    mine = fills[fills["symbol"] == order["symbol"]].reset_index(drop=True)
    own = mine.index[mine["order_id"] == order["order_id"]]
    if not len(own):
        return None
    signed = mine["quantity"].where(mine["side"] == "BUY", -mine["quantity"])
    base = mine["fee_base"] if "fee_base" in mine else signed * 0.0
    position, cash, largest, start = 0.0, 0.0, 0.0, 0
    for i in range(len(mine)):
        before, quantity, price = position, float(signed[i] - base[i]), booked(float(mine["price"][i]))
        fee = float(mine["fee"][i]) + abs(float(base[i]) * price)
        position = before + quantity
        turned = before * position < 0.0 and abs(position) > DUST * largest
        closing = -before if turned else quantity
        share = closing / quantity if quantity else 1.0
        cash -= closing * price + fee * share
        largest = max(largest, abs(before), abs(position))
        if turned or abs(position) <= DUST * largest:
            if start <= own[0] <= i:
                return OrderTrip(mine.iloc[start : i + 1], cash)
            start, cash, largest = (i, 0.0, abs(position)) if turned else (i + 1, 0.0, 0.0)
            if turned:
                cash = -(position * price + fee * (1.0 - share))
            else:
                position = 0.0
    return OrderTrip(mine.iloc[start:], None)
