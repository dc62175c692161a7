"""Round trips: what the fills paid and received, nothing lost and nothing counted twice."""

from __future__ import annotations

import shutil
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from drivers.report.contents import RunReport, read_report
from drivers.report.trips import _carried
from drivers.store.contracts import Contracts


def open_profit(report: RunReport) -> float:
    account = report.account
    assert account is not None
    return float(account.unrealised.sum()) + sum(t.gross - t.fees for t in report.book.open)


def test_trips_open_positions_and_funding_add_up_to_what_the_account_gained(traded: RunReport) -> None:
    account = traded.account
    assert account is not None and len(traded.book.trips) > 20
    explained = sum(t.profit for t in traded.book.trips) + open_profit(traded) - account.funding
    assert explained == pytest.approx(account.change, abs=1e-6)


def test_a_trip_pays_the_funding_of_the_bars_that_its_position_was_carried_into(
    reports: dict[str, RunReport], tmp_path: Path
) -> None:
    """Funding is planted in the ledger of a run: every hour, on what the bar before left."""
    report = reports["traded"]
    folder = tmp_path / "funded"
    shutil.copytree(report.run.folder, folder)
    ledger = pd.read_parquet(folder / "ledger.parquet")
    symbols = len(report.symbols)
    held, mark = (ledger[name].to_numpy().reshape(-1, symbols) for name in ("position", "mark"))
    paid = np.zeros_like(held)
    paid[1:] = np.where(held[:-1] != 0.0, held[:-1] * mark[:-1], 0.0) * 1e-4
    paid[np.arange(len(paid)) % 60 != 0] = 0.0
    total = np.cumsum(paid, axis=0)
    ledger["symbol_funding"], ledger["funding"] = total.reshape(-1), np.repeat(total.sum(axis=1), symbols)
    ledger.to_parquet(folder / "ledger.parquet", index=False)
    found = read_report(folder)
    whole = [*found.book.trips, *found.book.open]
    times = found.run.times()
    for trip in whole:
        entered, left = np.searchsorted(times, [trip.entry_time, trip.exit_time or times[-1]])
        assert trip.funding == pytest.approx(paid[entered + 1 : left + 1, trip.symbol].sum(), abs=1e-9)
    assert sum(t.funding for t in whole) == pytest.approx(total[-1].sum(), abs=1e-9)
    assert any(t.funding != 0.0 for t in whole)


def test_positions_after_each_fill_are_the_ledger_s(traded: RunReport) -> None:
    ledger = pd.read_parquet(traded.run.folder / "ledger.parquet", columns=["timestamp", "symbol", "position"])
    wide = ledger.pivot(index="timestamp", columns="symbol", values="position")
    last = {(f.time, f.symbol): f.after for f in traded.book.fills}
    for (time, symbol), after in last.items():
        assert after == pytest.approx(wide.loc[pd.Timestamp(time, tz="UTC"), traded.symbols[symbol]], abs=1e-9)


def test_quantities_and_fees_of_trips_are_those_of_the_fills(traded: RunReport) -> None:
    opened, closed = defaultdict(float), defaultdict(float)
    for trip in [*traded.book.trips, *traded.book.open]:
        opened[trip.symbol] += trip.bought
        closed[trip.symbol] += trip.sold
        assert trip.sold == pytest.approx(trip.bought) or trip in traded.book.open
        assert trip.entry_time <= (trip.exit_time or trip.entry_time)
    fills = traded.book.fills
    for n in range(len(traded.symbols)):
        assert opened[n] + closed[n] == pytest.approx(sum(abs(f.quantity) for f in fills if f.symbol == n))
    whole = [*traded.book.trips, *traded.book.open]
    assert sum(t.fees for t in whole) == pytest.approx(traded.book.fees)
    assert sum(t.slippage for t in whole) == pytest.approx(traded.book.slippage)


def rewritten(report: RunReport, folder: Path, rows: list[tuple[str, float, float]]) -> RunReport:
    """A copy of a run whose fills are these (side, quantity, price) of its first symbol, a minute apart, fee 1 each."""
    shutil.copytree(report.run.folder, folder)
    fills = pq.read_table(folder / "fills.parquet").to_pandas()
    made = fills.iloc[[0] * len(rows)].copy()
    made["symbol"] = pd.Categorical([report.symbols[0]] * len(rows), categories=list(report.symbols))
    made["timestamp"] = [pd.Timestamp(report.clock.first + (100 + i) * report.clock.step, tz="UTC") for i in range(len(rows))]
    made["side"], made["quantity"], made["price"] = (list(column) for column in zip(*rows, strict=True))
    made["fee"], made["reference_price"] = 1.0, np.nan
    made.to_parquet(folder / "fills.parquet", index=False)
    return read_report(folder)


def test_a_fill_that_turns_the_position_over_closes_one_trip_and_opens_the_next(
    reports: dict[str, RunReport], tmp_path: Path
) -> None:
    rows = [("BUY", 2.0, 100.0), ("SELL", 5.0, 110.0), ("BUY", 1.0, 100.0), ("BUY", 2.0, 90.0)]
    book = rewritten(reports["traded"], tmp_path / "run", rows).book
    long, short = book.trips
    assert (long.side, long.bought, long.sold, long.fees) == (1, 2.0, 2.0, pytest.approx(1.4))
    assert long.profit == pytest.approx(20.0 - 1.4)
    assert (short.side, short.bought, short.entry_price) == (-1, 3.0, 110.0)
    assert short.profit == pytest.approx(330.0 - 100.0 - 180.0 - 0.6 - 2.0)
    assert short.bps == pytest.approx(short.profit / 330.0 * 1e4)
    assert [f.after for f in book.fills] == [2.0, -3.0, -2.0, 0.0] and not book.open


def test_what_is_left_open_is_no_round_trip(reports: dict[str, RunReport], tmp_path: Path) -> None:
    book = rewritten(reports["traded"], tmp_path / "run", [("BUY", 2.0, 100.0), ("SELL", 0.5, 104.0)]).book
    assert not book.trips and [(t.bought, t.sold, t.gross) for t in book.open] == [(2.0, 0.5, 2.0)]


def test_an_idle_run_has_none(reports: dict[str, RunReport]) -> None:
    book = reports["idle"].book
    assert not book.fills and not book.trips and not book.open and not book.orders and book.fees == 0.0


def test_a_position_from_before_the_run_is_carried_in_at_its_average_cost(
    reports: dict[str, RunReport], tmp_path: Path
) -> None:
    """As in the results of a stream that was gone on with."""
    report = reports["traded"]
    folder = tmp_path / "run"
    shutil.copytree(report.run.folder, folder)
    ledger = pd.read_parquet(folder / "ledger.parquet", columns=["timestamp", "symbol", "position"])
    wide = ledger.pivot(index="timestamp", columns="symbol", values="position")
    size = wide.abs()
    kept = (wide != 0.0) & (wide == wide.shift(1))
    only_less = size[::-1].cummax()[::-1] == size  # from here on nothing adds: what does is in the test below
    still = (wide == wide.shift(1)) & (only_less | (wide == 0.0))  # what the first bar closes has no average left to read
    settled = kept.any(axis=1) & still.all(axis=1)
    cut = wide.index[settled][0] - pd.Timedelta(report.clock.step, unit="ns")
    for path in (*folder.glob("*.parquet"), *(folder / "features").glob("*.parquet")):
        table = pd.read_parquet(path)
        table[table.timestamp > cut].to_parquet(path, index=False)
    later = read_report(folder)
    account = later.account
    assert account is not None and (account.first_position != 0.0).any()
    trips = [*later.book.trips, *later.book.open]
    carried = [t for t in trips if not t.decided and t.entry_time == later.clock.first - later.clock.step]
    assert len(carried) == len({t.symbol for t in carried}) >= 1
    mine = {t.symbol: t.entry_price for t in carried}
    ledger = report.run.frame("ledger", ["average_price"], start=int(cut.value) - 1, end=int(cut.value))
    for symbol, price in mine.items():
        assert price == pytest.approx(float(ledger.average_price.iloc[symbol]))


@pytest.mark.parametrize(
    ("inverse", "average", "before"),
    [(0, 110.0, 100.0), (1, 3.0 / (2.0 / 100.0 + 1.0 / 130.0), 100.0)],  # 2 at 100 and 1 at 130, by hand
)
def test_a_fill_of_the_first_bar_is_undone_in_the_average_that_is_carried_in(
    inverse: int, average: float, before: float
) -> None:
    clock = SimpleNamespace(first=120, step=60)
    account = SimpleNamespace(first_position=np.array([3.0]), first_average=np.array([average]), clock=clock)
    contracts = Contracts([1.0], [inverse])
    added = SimpleNamespace(symbol=0, quantity=1.0, price=130.0)
    carried, position = _carried(contracts, account, [added])
    assert position == [2.0]
    assert carried[0].entry_price == pytest.approx(before, rel=1e-12)
    reduced = SimpleNamespace(symbol=0, quantity=-1.0, price=130.0)
    carried, position = _carried(contracts, account, [reduced])
    assert (position, carried[0].entry_price) == ([4.0], pytest.approx(average))
