"""The same orders through backtesting.py and through L90, L96 and L97: where the conventions coincide, the same money to the cent.

Development dependency (AGPL-3.0), imported here and nowhere else. Both fill a market order at the next open, a stop at the worse of
its price and the open, from the bar of the entry on, and charge a fee on the notional of each side. Where they differ
(docs/explanation/time.md), the script avoids it: limits and targets (touched there, traded through here), an exit at the market in
the bar in which the stop is reached (the stop first there, the open first here), fractions of a unit, no slippage.
"""

from __future__ import annotations

import itertools
import math
import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest

from dataflows.execution.l90_fills import l90_fills__sim
from dataflows.execution.l96_order_lifecycle import l96_order_lifecycle
from dataflows.execution.l97_ledger import l97_ledger__sim
from dataflows.execution.types import MARKET, PLACE
from dataflows.kinematics.types import Returns
from dataflows.microstructure.types import SpreadDepth
from tests.dataflows.execution.loop import COMPILED
from tests.dataflows.execution.support import CONFIG, NAN, carry, clock, entries_of, instruments, intents, market, trimmed
from tests.support import filled

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    backtesting = pytest.importorskip("backtesting", reason="a development dependency that is not installed")

BARS, CASH, FEE_BPS = 600, 1_000_000.0, 4.0
UID = 7 << 32


class Order(NamedTuple):
    """Decided at the close of a bar. size: signed units that open; 0 closes. stop: price, NaN none."""

    bar: int
    size: int
    stop: float = math.nan


def prices(seed: int) -> pd.DataFrame:
    """A day that gaps, in cents."""
    rng = np.random.default_rng(seed)
    close = np.round(100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.004, BARS))), 2)
    open_ = np.round(np.concatenate([[100.0], close[:-1]]) * np.exp(rng.normal(0.0, 0.003, BARS)), 2)
    high = np.round(np.maximum(open_, close) * np.exp(np.abs(rng.normal(0.0, 0.002, BARS))), 2)
    low = np.round(np.minimum(open_, close) * np.exp(-np.abs(rng.normal(0.0, 0.002, BARS))), 2)
    index = pd.date_range("2026-01-01", periods=BARS, freq="min")
    return pd.DataFrame({"Open": open_, "High": high, "Low": low, "Close": close, "Volume": 1e9}, index=index)


def closed_at_the_market(seed: int) -> list[Order]:
    """Round trips one after the other, long and short, each closed at the market."""
    rng = np.random.default_rng(100 + seed)
    orders, bar = [], 5
    while bar < BARS - 40:
        orders.append(Order(bar, int(rng.integers(1, 500) * rng.choice([-1, 1]))))
        bar += int(rng.integers(1, 20))
        orders.append(Order(bar, 0))
        bar += int(rng.integers(1, 10))
    return orders


def closed_by_stops(seed: int, data: pd.DataFrame) -> list[Order]:
    """Round trips that only their stop ends; the next begins when the last has been stopped for certain."""
    rng = np.random.default_rng(200 + seed)
    orders, bar = [], 5
    while bar < BARS - 60:
        side = int(rng.choice([-1, 1]))
        stop = round(float(data["Close"].iloc[bar]) * (1.0 - side * float(rng.uniform(0.001, 0.008))), 2)
        later = data.iloc[bar + 1 :]
        hit = (later["Low"] <= stop) if side > 0 else (later["High"] >= stop)
        if not hit.any():
            break
        orders.append(Order(bar, side * int(rng.integers(1, 500)), stop))
        bar += int(np.argmax(hit.to_numpy())) + 1 + int(rng.integers(1, 8))
    return orders


class Done(NamedTuple):
    """A closed round trip."""

    size: float
    entry: float
    exit: float
    profit: float  # after fees


def theirs(data: pd.DataFrame, orders: list[Order]) -> tuple[list[Done], list[float]]:
    """Round trips and the equity of each close, as backtesting.py has them."""
    at = {o.bar: o for o in orders}

    class Script(backtesting.Strategy):  # type: ignore[misc, name-defined]
        def init(self) -> None:
            pass

        def next(self) -> None:
            order = at.get(len(self.data) - 1)
            if order is None:
                return
            if order.size == 0:
                self.position.close()
            else:
                stop = None if math.isnan(order.stop) else order.stop
                (self.buy if order.size > 0 else self.sell)(size=abs(order.size), sl=stop)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = backtesting.Backtest(data, Script, cash=CASH, commission=FEE_BPS / 1e4).run()
    trades = found["_trades"].sort_values("EntryBar")
    done = [Done(*map(float, row)) for row in trades[["Size", "EntryPrice", "ExitPrice", "PnL"]].to_numpy()]
    return done, found["_equity_curve"]["Equity"].tolist()


def ours(data: pd.DataFrame, orders: list[Order]) -> tuple[list[Done], list[float]]:
    """The same orders through the layers."""
    config = CONFIG._replace(start_cash=CASH, slippage_impact=0.0, slippage_default_bps=0.0)
    facts = instruments(1, taker_fee_bps=[FEE_BPS])
    layers = (l90_fills__sim, l96_order_lifecycle, l97_ledger__sim)
    venue, table, books = (carry(f, 1, config) for f in layers)
    fill, order_table, account = (COMPILED[f.__module__.rpartition(".")[2]] for f in layers)
    spread = filled(SpreadDepth, (1,), NAN, mid=np.array([100.0]), spread_bps=np.array([0.0]))
    returns = filled(Returns, (1,), NAN, sigma=np.array([0.0]))
    at = {o.bar: o for o in orders}
    number = itertools.count(4, 4)
    told, done, equity = intents(), [], []
    made, opened = 0.0, (0.0, 0.0)
    for t, (open_, high, low, close, volume) in enumerate(data.to_numpy()):
        row = market(t + 1, [(open_, high, low, close, volume)])
        reports = fill(row, returns, spread, facts, clock(t + 1), told, config, venue)
        lifecycle = order_table(reports, told, facts, config, table)
        ledger = account(row, reports, lifecycle, facts, clock(t + 1), config, books)
        for e in entries_of(trimmed(reports)):
            if e["fill_id"] and opened[0] == 0.0:
                opened = (e["quantity"], e["price"])
            elif e["fill_id"]:
                total = float(ledger.symbol_realised[0] - ledger.symbol_fees[0])
                done.append(Done(*opened, e["price"], total - made))
                made, opened = total, (0.0, 0.0)
        equity.append(ledger.equity)
        order = at.get(t)
        told = intents()
        if order is not None:
            size = order.size or -float(ledger.position[0])
            entry = {"bracket_stop": order.stop} if order.size else {"reduce_only": 1}
            told = intents(
                {"kind": PLACE, "id": UID + next(number), "quantity": size, "type": MARKET, "decision_price": close, **entry}
            )
    return done, equity


def same_to_the_cent(data: pd.DataFrame, orders: list[Order]) -> list[Done]:
    a, equity = ours(data, orders)
    b, other = theirs(data, orders)
    assert len(a) == len(b) > 10
    for x, y in zip(a, b, strict=True):
        assert (x.size, x.entry, x.exit) == (y.size, y.entry, y.exit)
        assert x.profit == pytest.approx(y.profit, abs=0.005)
    assert sum(x.profit for x in a) == pytest.approx(sum(y.profit for y in b), abs=0.005)
    assert equity == pytest.approx(other, abs=0.005)
    return a


@pytest.mark.parametrize("seed", range(5))
def test_round_trips_that_are_closed_at_the_market(seed: int) -> None:
    trips = same_to_the_cent(prices(seed), closed_at_the_market(seed))
    assert {math.copysign(1.0, x.size) for x in trips} == {1.0, -1.0}


@pytest.mark.parametrize("seed", range(5))
def test_round_trips_that_stops_close_at_their_price_or_at_a_worse_open(seed: int) -> None:
    data = prices(seed)
    orders = closed_by_stops(seed, data)
    trips = same_to_the_cent(data, orders)
    gapped = [math.copysign(1.0, x.size) * (o.stop - x.exit) for x, o in zip(trips, orders, strict=True)]
    assert min(gapped) == 0.0 < max(gapped), "some at the stop, some at a worse open"
