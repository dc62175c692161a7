"""Trades that a stream has missed, asked for by REST: right or unknown."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import ccxt
import numpy as np
import pytest
from ccxt.base.decimal_to_precision import TICK_SIZE
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.engine.chunk import Chunk
from drivers.exchanges.errors import Patience
from drivers.exchanges.flow import MOST_PAGES, counted, fill_in, trades
from drivers.exchanges.live import observed
from drivers.exchanges.trade_bars import Row

MS, STEP = 1_000_000, 60_000 * 1_000_000
NAN = float("nan")


def trade(number: int, at: int, price: float, size: float, side: str = "buy", **info: Any) -> dict[str, Any]:
    return {"id": str(number), "timestamp": at, "price": price, "amount": size, "side": side, "info": info}


class Venue:
    """Keeps some trades; a page has so many."""

    def __init__(self, kept: list[dict[str, Any]], page: int = 1_000, name: str = "binance") -> None:
        self.kept, self.page, self.asked = kept, page, list[tuple[int, dict[str, Any]]]()
        self.client = SimpleNamespace(id=name, fetch_trades=self._fetch, precisionMode=TICK_SIZE)
        self.patience = Patience("v", lambda seconds: None, tries=2)
        self.ask = self.patience.ask
        self.error: Exception | None = None

    def market(self, symbol: str) -> dict[str, Any]:
        return {"symbol": symbol, "precision": {"price": 0.01, "amount": 0.001}}

    def _fetch(self, symbol: str, since: int, limit: int, extra: dict[str, Any]) -> list[dict[str, Any]]:
        self.asked.append((since, extra))
        if self.error is not None:
            raise self.error
        return [t for t in self.kept if t["timestamp"] >= since and t["timestamp"] <= extra.get("until", 1 << 60)][: self.page]


def chunks(rows: list[Row]) -> list[Chunk]:
    return [
        Chunk(np.array([(i + 1) * STEP]), {"observations": observed((i + 1) * STEP, STEP, [row])}) for i, row in enumerate(rows)
    ]


def flow(chunk: Chunk) -> list[float]:
    seen = chunk.inputs["observations"]
    return [float(getattr(seen, name)[0, 0]) for name in ("vwap", "trade_count", "buy_volume", "buy_count")]


TRADES = [
    trade(1, 1_000, 10.0, 1.0), trade(2, 2_000, 12.0, 1.0, "sell", f=2, l=4), trade(3, 59_999, 11.0, 2.0),
    trade(5, 60_000, 11.0, 3.0, "sell"),
]  # fmt: skip
CANDLE = Row(10.0, 12.0, 10.0, 11.0, 4.0)


def test_a_bar_takes_the_flow_of_its_trades() -> None:
    made = chunks([CANDLE, Row(11.0, 11.0, 11.0, 11.0, 3.0), Row(11.0, 11.0, 11.0, 11.0, 0.0)])
    venue: Any = Venue(TRADES)
    assert fill_in(venue, ["X/USDT"], STEP, made) == 3
    assert flow(made[0]) == [(10.0 + 12.0 + 22.0) / 4.0, 5.0, 3.0, 2.0], "three trades were one order's"
    assert flow(made[1]) == [11.0, 1.0, 0.0, 0.0]
    assert np.isnan(flow(made[2])[0]) and flow(made[2])[1:] == [0.0, 0.0, 0.0], "nothing traded"
    assert venue.asked == [(0, {"until": 179_999}), (60_000, {"until": 179_999})], "until nothing more comes"


@pytest.mark.parametrize("kept", [TRADES[1:], TRADES[:2], [], [*TRADES[:3], trade(9, 30_000, 13.0, 0.5)]])
def test_what_does_not_make_the_candle_is_no_flow(kept: list[dict[str, Any]]) -> None:
    made = chunks([CANDLE])
    venue: Any = Venue(kept)
    assert fill_in(venue, ["X/USDT"], STEP, made) == 0 and all(np.isnan(flow(made[0])))


@pytest.mark.parametrize("error", [ccxt.NetworkError("x"), ccxt.NotSupported("x"), ccxt.BadResponse("x"), KeyError("p")])
def test_an_exchange_that_does_not_answer_leaves_it_unknown(error: Exception) -> None:
    made = chunks([CANDLE])
    venue: Any = Venue(TRADES)
    venue.error = error
    assert fill_in(venue, ["X/USDT"], STEP, made) == 0 and all(np.isnan(flow(made[0])))


def test_bars_that_are_missing_or_know_their_flow_are_not_asked_for() -> None:
    known = CANDLE._replace(trade_count=7.0, buy_volume=1.0, buy_count=1.0, vwap=11.0)
    made = chunks([known, Row(NAN, NAN, NAN, NAN, NAN)])
    venue: Any = Venue(TRADES)
    assert fill_in(venue, ["X/USDT"], STEP, made) == 0 and venue.asked == [] and flow(made[0])[1] == 7.0


@given(st.lists(st.integers(0, 5_000), min_size=1, max_size=60), st.integers(2, 9), st.sampled_from(["binance", "kraken"]))
@settings(max_examples=60, deadline=None)
def test_every_trade_comes_once_and_in_order_however_pages_are_cut(times: list[int], page: int, name: str) -> None:
    kept = [trade(n, at, 1.0, 1.0) for n, at in enumerate(sorted(times), 1)]
    most = max(times.count(at) for at in times)
    venue: Any = Venue(kept, page=max(page, most + 1), name=name)
    found = trades(venue, "X/USDT", 1_000 * MS, 4_000 * MS, pages=200)
    assert [t["id"] for t in found] == [t["id"] for t in kept if 1_000 <= t["timestamp"] < 4_000]


def test_an_outage_that_is_too_long_ends() -> None:
    kept = [trade(n, n, 1.0, 1.0) for n in range(100_000)]
    venue: Any = Venue(kept, page=10, name="kraken")
    trades(venue, "X/USDT", 0, 100_000 * MS)
    assert len(venue.asked) == MOST_PAGES
    assert counted({"info": {"f": 3, "l": 3}}) == counted({"info": None}) == counted({}) == 1.0
