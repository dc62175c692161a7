"""The whole graph trades at the practice exchange, with keys: its results are what the exchange did, and no file names a key."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from drivers.exchanges.access import Exchange, client_of
from drivers.exchanges.account_access import Keys, market_of, with_keys
from drivers.exchanges.client_ids import read
from drivers.exchanges.fetch import FetchRequest, fetch
from drivers.exchanges.gateway import Gateway
from drivers.exchanges.last_gate import LastGate
from drivers.exchanges.live import LiveFeed
from drivers.exchanges.practice.account import PracticeAccount
from drivers.exchanges.practice.core import MarketTape
from drivers.exchanges.practice.market import MINUTE, PracticeMarket
from drivers.exchanges.practice.server import PracticeExchange
from drivers.exchanges.state import State
from drivers.exchanges.wire import AtOnce, CcxtWire
from drivers.feeds.dataset import open_dataset
from drivers.report.html import write_report
from drivers.run.replay import replay
from drivers.run.request import RunRequest
from drivers.run.stream import run_stream
from drivers.venues.description import OrderLimits, VenueRules
from tests.drivers.exchanges.conftest import NOW, PRICES, rules_for
from tests.drivers.report.conftest import EARLY

MS = 1_000_000
STEP = MINUTE * MS
SYMBOLS = ("BTC/USDT", "ETH/USDT")
KEYS = Keys("key-that-nobody-may-see", "secret-that-nobody-may-see", "")
WIDE = LastGate(OrderLimits(notional_per_order=1e6, notional_per_minute=1e7, price_band_bps=1_000.0))
CASH = 100_000.0


class Killed(BaseException):
    """The process ends here."""


class World:
    """The exchange, in virtual time, and the connections to it."""

    symbols: tuple[str, ...] = SYMBOLS
    account: Any

    @staticmethod
    def rules(address: str) -> VenueRules:
        return rules_for(address)

    def __init__(self, folder: Path) -> None:
        self.now, self.folder = NOW, folder
        market = PracticeMarket(PRICES)
        self.account = PracticeAccount(MarketTape(market), lambda: self.now, key=KEYS.key, secret=KEYS.secret)
        self.practice = PracticeExchange(market, now=lambda: self.now, account=self.account)
        self.kill_at, self.on_stop = 0, "keep"
        self.pause_at, self.pause = 0, 0  # ms
        self.orders = 0
        self.gateway: Gateway | None = None

    def wait(self, seconds: float) -> None:
        self.now += max(1, int(seconds * 1_000))
        if self.pause_at and self.now >= self.pause_at:
            self.now, self.pause_at = self.now + self.pause, 0

    def feed(self, address: str, minutes: int) -> LiveFeed:
        exchange = Exchange("practice", self.rules(address), sleep=self.wait)
        exchange.client.enableRateLimit = False
        history = self.folder / "history"
        fetch(exchange, FetchRequest(self.symbols, NOW * MS - 900 * STEP, NOW * MS, STEP, history))
        end = NOW // MINUTE * STEP + minutes * STEP
        return LiveFeed(
            exchange, self.symbols, open_dataset(history), NOW * MS, end, time_ns=lambda: self.now * MS,
            wait=lambda seconds: self.wait(max(seconds, 5.0)),
        )  # fmt: skip

    def connect(self, address: str, feed: LiveFeed) -> Callable[[Any], Gateway]:
        def connected(session: Any) -> Gateway:
            client = with_keys(client_of("practice", self.rules(address)), KEYS)
            client.enableRateLimit = False
            client.milliseconds = lambda: self.now
            client.set_markets(feed.exchange.client.markets, feed.exchange.client.currencies)
            create = client.create_order

            def counted(*given: Any) -> Any:
                made = create(*given)
                self.orders += 1
                if self.orders == self.kill_at:
                    raise Killed
                return made

            client.create_order = counted
            markets = tuple(market_of(feed.exchange.market(symbol)) for symbol in feed.wanted)
            self.gateway = Gateway(
                AtOnce(CcxtWire(client, KEYS.all)), markets, WIDE, lambda: self.now * MS, STEP, NOW * MS, CASH, State("nonce"),
                wait=self.wait, on_stop=self.on_stop,
            )  # fmt: skip
            return self.gateway

        return connected


def quiet() -> Console:
    return Console(file=StringIO())


def agree(world: World, out: Path, least: int = 6) -> pd.DataFrame:
    """The results and the exchange say the same, of so many fills or more. Returns the fills."""
    fills, ledger = pd.read_parquet(out / "fills.parquet"), pd.read_parquet(out / "ledger.parquet")
    traded = world.account.trades
    assert fills.order_id.notna().sum() == len(traded) >= least
    fills["signed"] = fills.quantity.where(fills.side == "BUY", -fills.quantity)
    for symbol in PRICES:
        mine = [t for t in traded if t.order.symbol == symbol]
        bought = sum((t.quantity if t.order.side == "BUY" else -t.quantity for t in mine), Decimal(0))
        fees = sum((t.fee for t in mine if t.fee_asset == symbol.removesuffix("USDT")), Decimal(0))
        dust = fills[(fills.symbol == symbol) & fills.order_id.isna()].signed.sum()
        held = fills[fills.symbol == symbol].signed.sum() - fills[fills.symbol == symbol].fee_base.sum()
        if world.on_stop == "keep":
            assert ledger[ledger.symbol == symbol].position.iloc[-1] == pytest.approx(held, abs=1e-9)
        assert held == pytest.approx(float(bought - fees) + dust, abs=1e-9)
    assert world.gateway is not None
    assert all(gap == 0 for gap in world.gateway.reconciler.gaps.values())
    assert len({o.client for o in world.account.orders}) == len(world.account.orders)
    books = {o.client: read(o.client) for o in world.account.orders}
    assert all(said is not None and said.nonce == "nonce" for said in books.values())
    matched = pd.read_parquet(out / "features" / "execution.parquet", columns=["l98_reconciliation.matched"])
    assert (np.asarray(matched) == 1).all(), "our books and the exchange's never differ"
    return fills


def secrets_in(folder: Path) -> list[str]:
    """Files in which a key or a secret stands."""
    return [
        str(path) for path in folder.rglob("*")
        if path.is_file() and any(part.encode() in path.read_bytes() for part in KEYS.all)
    ]  # fmt: skip


def request(out: Path, **more: Any) -> RunRequest:
    return RunRequest(out=out, venue="practice", mode="testnet", live_from=NOW * MS, overrides=EARLY, report=False, **more)


def test_the_graph_trades_at_the_exchange_and_its_journal_gives_the_same_bits(tmp_path: Path) -> None:
    world = World(tmp_path)
    with world.practice.serving() as address:
        feed = world.feed(address, 90)
        out = tmp_path / "out"
        run_stream(request(out), quiet(), connect=world.connect(address, feed), feed=feed)
    fills = agree(world, out)
    assert (fills.timestamp > pd.Timestamp(NOW, unit="ms", tz="UTC")).all()
    assert secrets_in(tmp_path) == []
    again = replay(out)
    with np.load(out / "checkpoint.npz") as saved:
        np.testing.assert_array_equal(saved["f8"], again.engine.arena.f8)
    left = [o for o in world.account.orders if o.open]
    assert all(o.type in ("STOP_LOSS", "LIMIT_MAKER") and o.side == "SELL" for o in left), "stops stay, entries go"


@pytest.mark.long
def test_a_stream_that_did_not_run_for_minutes_catches_up_and_trades_on(tmp_path: Path) -> None:
    """SIGSTOP and SIGCONT, a machine that slept, code that had to be compiled first: orders of bars that are over are dropped,
    and nothing is taken for a difference of the account."""
    world = World(tmp_path)
    world.pause_at, world.pause = NOW + 23 * MINUTE, 7 * MINUTE  # it enters at 24 and 25 past
    with world.practice.serving() as address:
        feed = world.feed(address, 90)
        out = tmp_path / "out"
        run_stream(request(out), quiet(), connect=world.connect(address, feed), feed=feed)
    fills = agree(world, out, least=4)
    back = pd.Timestamp(NOW + 30 * MINUTE, unit="ms", tz="UTC")
    assert (fills.timestamp > back).any(), "it trades on"
    stale = [r for r in events(out, "reject") if r["reason"] == "STALE"]
    assert [r["time"] for r in stale] == ["2026-01-03T00:24:59Z", "2026-01-03T00:25:59Z"], "told before the next bar"
    assert not [e for e in events(out, "kill_switch") if "RECONCILIATION" in e["reasons"]]


def events(out: Path, name: str) -> list[dict[str, Any]]:
    lines = (json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line["event"] == name]


def test_a_stream_that_is_killed_with_an_order_under_way_goes_on_and_closes_its_positions_at_the_end(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.on_stop = "flatten"
    out = tmp_path / "out"
    with world.practice.serving() as address:
        feed = world.feed(address, 90)
        world.kill_at = 3
        with pytest.raises(Killed):
            run_stream(request(out), quiet(), connect=world.connect(address, feed), feed=feed)
        assert world.account.orders and not (out / "run.json").exists()
        world.now += 20_000
        feed = world.feed(address, 90)
        run_stream(RunRequest(out=out, resume=True), quiet(), connect=world.connect(address, feed), feed=feed)
    fills = agree(world, out)
    assert secrets_in(tmp_path) == []
    assert fills.timestamp.iloc[-1] > pd.read_parquet(out / "ledger.parquet").timestamp.iloc[-1], "closed after the last bar"
    assert write_report(out, "closed after the last bar").is_file()
    assert not [o for o in world.account.orders if o.open] and world.account.free["BTC"] < Decimal("0.0001")
