"""The whole graph trades perpetual swaps at the practice exchange: its ledger is the exchange's account."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from drivers.exchanges.access import client_of
from drivers.exchanges.account_access import with_keys
from drivers.exchanges.client_ids import read
from drivers.exchanges.practice.core import MarketTape
from drivers.exchanges.practice.futures import FuturesAccount
from drivers.exchanges.practice.market import HOUR, PracticeMarket
from drivers.exchanges.practice.server import PracticeExchange
from drivers.exchanges.swaps import prepare
from drivers.run.replay import replay
from drivers.run.stream import run_stream
from drivers.venues.description import VenueRules
from tests.drivers.exchanges.conftest import PRICES
from tests.drivers.exchanges.test_live_orders import CASH, KEYS, World, quiet, request, secrets_in
from tests.drivers.exchanges.test_practice_futures import swap_rules


class SwapWorld(World):
    """The exchange's futures; funding is paid each hour."""

    symbols = ("BTC/USDT:USDT", "ETH/USDT:USDT")

    @staticmethod
    def rules(address: str) -> VenueRules:
        return swap_rules(address)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        market = PracticeMarket(PRICES, funding_every=HOUR)
        self.account = FuturesAccount(
            MarketTape(market), lambda: self.now, key=KEYS.key, secret=KEYS.secret, funding_every=HOUR
        )  # fmt: skip
        self.practice = PracticeExchange(market, now=lambda: self.now, futures=self.account)


@pytest.mark.long
def test_the_graph_trades_swaps_and_its_ledger_is_the_exchange_s_account(tmp_path: Path) -> None:
    world, out = SwapWorld(tmp_path), tmp_path / "out"
    with world.practice.serving() as address:
        feed = world.feed(address, 241)  # the bar after the last payment tells of it
        client = with_keys(client_of("practice", world.rules(address)), KEYS)
        client.milliseconds = lambda: world.now
        prepare(client, "practice", world.rules(address), world.symbols)
        run_stream(request(out), quiet(), connect=world.connect(address, feed), feed=feed)
    account, gateway = world.account, world.gateway
    assert gateway is not None and set(account.leverage.values()) == {2}
    fills, ledger = pd.read_parquet(out / "fills.parquet"), pd.read_parquet(out / "ledger.parquet")
    assert len(fills) == len(account.trades) > 5
    signed = fills.quantity.where(fills.side == "BUY", -fills.quantity)
    for symbol in PRICES:
        traded = sum(t.order.sign * t.quantity for t in account.trades if t.order.symbol == symbol)
        assert signed[fills.symbol == symbol].sum() == pytest.approx(float(traded), abs=1e-9)
        assert ledger[ledger.symbol == symbol].position.iloc[-1] == pytest.approx(float(traded), abs=1e-9)
    assert (ledger.position < 0.0).any(), "it was short at some time"
    assert account.income, "funding was paid"
    assert all(gap == 0 for gap in gateway.reconciler.gaps.values())
    matched = pd.read_parquet(out / "features" / "execution.parquet", columns=["l98_reconciliation.matched"])
    assert (np.asarray(matched) == 1).all(), "our books and the exchange's never differ"
    ours = [o for o in [*account.orders, *account.algos] if not o.client.startswith("reached")]
    assert len({o.client for o in ours}) == len(ours) and all(read(o.client) for o in ours)
    assert all(o.reduces for o in ours if o.open), "stops and targets stay, entries go"
    assert secrets_in(tmp_path) == []
    paid = -float(sum(i.amount for i in account.income))
    assert ledger.funding.iloc[-1] == pytest.approx(paid, abs=1e-9), "what the exchange has paid, not what a rate says"
    spent = float(sum(t.order.sign * t.quantity * t.price + t.fee for t in account.trades))
    assert ledger.cash.iloc[-1] == pytest.approx(CASH - spent - paid, abs=1e-6)
    again = replay(out)
    with np.load(out / "checkpoint.npz") as saved:
        np.testing.assert_array_equal(saved["f8"], again.engine.arena.f8)
