"""Frames that exchanges once sent, through ccxt's handlers and our translation, against values computed here from the frames.

Of 2021 are the recordings of Bybit, Kraken and Coinbase, in protocols that these exchanges have since ended and ccxt does not
read any more; frames of their protocols of today stand in for them.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ccxt.pro
import numpy as np
import pyarrow as pa
import pytest

from drivers.exchanges.desk import Desk

RAW = Path(__file__).parents[4] / "shared" / "data" / "raw_exchange"
MINUTE = 60_000_000_000
MS = 1_000_000


def lines(name: str) -> list[str]:
    path = RAW / name
    if not path.is_file():
        pytest.skip("no recorded frames: ../shared/data/raw_exchange is absent")
    with pa.CompressedInputStream(pa.OSFile(str(path)), "zstd") as stream:
        return stream.read().decode(errors="replace").splitlines()


def recorded(name: str) -> Iterator[tuple[int, Any]]:
    """(receipt UTC ns, message) of the frames of a recording by cryptofeed."""
    for line in lines(f"cryptofeed/{name}"):
        at, _, text = line.partition(": ")
        if text.startswith("{") and at.replace(".", "").isdigit():
            yield int(float(at) * 1e9), json.loads(text)


def fixture(venue: str, name: str) -> Any:
    for line in lines("nautilus_adapter_fixtures.jsonl.zst"):
        found = json.loads(line)
        if found.get("venue") == venue and str(found.get("file")).endswith(f"/{name}"):
            return found["body"]
    raise AssertionError(name)


def market(id_: str, symbol: str, kind: str = "spot", **more: Any) -> dict[str, Any]:
    base, _, rest = symbol.partition("/")
    quote, _, settle = rest.partition(":")
    about = {
        "id": id_, "lowercaseId": id_.lower(), "symbol": symbol, "base": base, "quote": quote, "baseId": base, "quoteId": quote,
        "settle": settle.partition("-")[0] or None, "type": kind, kind: True, "contract": kind != "spot",
        "linear": settle == quote if settle else None, "active": True,
    }  # fmt: skip
    return about | {"precision": {"price": 1e-8, "amount": 1e-8}, "limits": {"amount": {}, "price": {}, "cost": {}}} | more


class Reader:
    """A desk whose frames are handed to it. Use it within a running loop."""

    def __init__(self, exchange: str, markets: list[dict[str, Any]], url: str, depth: int = 10) -> None:
        self.client = getattr(ccxt.pro, exchange)({"options": {"defaultType": markets[0]["type"], "tradesLimit": 20_000}})
        self.client.set_markets([self.client.safe_market_structure(m) for m in markets])
        self.out: list[str] = []
        symbols = tuple(m["symbol"] for m in markets)
        self.desk = Desk(self.client, symbols, "1m", MINUTE, depth, [0.0] * len(symbols), self.out.append)
        self.socket = self.client.client(url)

    def take(self, message: Any, received: int = 0) -> None:
        self.client.handle_message(self.socket, message)
        self.desk.took(message, received)

    def trades(self, symbol: str) -> list[tuple[Any, ...]]:
        return [(t["id"], t["timestamp"], t["price"], t["amount"], t["side"]) for t in self.client.trades.get(symbol, [])]

    def top(self, symbol: str) -> tuple[float, float, float, float]:
        book = self.client.orderbooks[symbol]
        return (*book["bids"][0][:2], *book["asks"][0][:2])


@pytest.mark.parametrize(
    ("name", "exchange", "url", "suffix"),
    [
        ("BINANCE", "binance", "wss://stream.binance.com:9443/ws/0", ""),
        ("BINANCE_FUTURES", "binanceusdm", "wss://fstream.binance.com/public/ws/0", ":USDT"),
    ],
)
def test_books_of_binance_are_at_every_update_what_its_ticker_says(name: str, exchange: str, url: str, suffix: str) -> None:
    snapshots = {}
    for line in lines(f"cryptofeed/{name}.http.0.0.zst"):
        if "depth?symbol=" in line:
            head, _, text = line.partition(": {")
            snapshots[head.partition("symbol=")[2].partition("&")[0]] = (
                int(float(head.rpartition(" ")[2]) * 1e9), json.loads("{" + text),
            )  # fmt: skip
    names = {"NKNUSDT": "NKN/USDT", "BLZETH": "BLZ/ETH", "LRCBTC": "LRC/BTC", "RUNEEUR": "RUNE/EUR", "SUSHIUSDT": "SUSHI/USDT",
             "AKROUSDT": "AKRO/USDT", "KEEPUSDT": "KEEP/USDT", "CTKUSDT": "CTK/USDT"}  # fmt: skip
    kind = "swap" if suffix else "spot"
    markets = [market(id_, names[id_] + suffix, kind) for id_ in sorted(snapshots)]

    async def run() -> tuple[int, int, Reader]:
        reader = Reader(exchange, markets, url)

        async def depth(asked: dict[str, Any]) -> Any:
            return snapshots[asked["symbol"]][1]

        reader.client.publicGetDepth = reader.client.fapiPublicGetDepth = depth
        for each in markets:
            reader.client.orderbooks[each["symbol"]] = reader.client.order_book({}, 1000)
        waiting = {id_: at for id_, (at, _) in snapshots.items()}
        compared, updates, tickers = 0, 0, {}
        for at, message in recorded(f"{name}.ws.1.0.zst"):
            for id_ in [id_ for id_, due in waiting.items() if due <= at]:
                del waiting[id_]
                about = {"symbol": names[id_] + suffix, "limit": 1000, "type": "linear" if suffix else "spot", "params": {}}
                await reader.client.fetch_order_book_snapshot(reader.socket, {}, about)
            data = message.get("data", {})
            if message.get("stream", "").endswith("bookTicker"):
                tickers[data["s"], data["u"]] = tuple(float(data[key]) for key in "bBaA")
            reader.take(data, at)
            if data.get("e") == "depthUpdate" and data["s"] not in waiting:
                updates += 1
                symbol = names[data["s"]] + suffix
                if (data["s"], data["u"]) in tickers and reader.client.orderbooks[symbol]["nonce"] == data["u"]:
                    assert reader.top(symbol) == tickers[data["s"], data["u"]]
                    compared += 1
        await reader.client.close()
        return compared, updates, reader

    compared, updates, reader = asyncio.run(run())
    assert updates > 40 and compared > 5, (updates, compared)
    assert reader.out == [] and all(book.whole and book.crossed == 0 for book in reader.desk.books)


def test_trades_of_binance_futures_make_the_candles_that_it_sends() -> None:
    names = {"SUSHIUSDT": "SUSHI/USDT:USDT", "CTKUSDT": "CTK/USDT:USDT"}
    trades: dict[str, list[Any]] = {id_: [] for id_ in names}

    async def run() -> Reader:
        reader = Reader(
            "binanceusdm", [market(id_, s, "swap") for id_, s in names.items()], "wss://fstream.binance.com/market/ws/0", 0
        )
        for at, message in recorded("BINANCE_FUTURES.ws.1.0.zst"):
            data = message.get("data", {})
            if data.get("e") == "aggTrade" and data["s"] in names:
                trades[data["s"]].append(
                    (str(data["a"]), data["T"], float(data["p"]), float(data["q"]), "sell" if data["m"] else "buy")
                )
            if data.get("e") in ("aggTrade", "kline") and data.get("s") in names:
                reader.take(data, at)
        await reader.client.close()
        return reader

    reader = asyncio.run(run())
    assert sum(map(len, trades.values())) > 50
    for id_, symbol in names.items():
        assert reader.trades(symbol) == trades[id_]


def test_books_of_okx_have_the_checksums_that_it_sends() -> None:
    raw = next(line for line in lines("cryptofeed/OKX.0.zst") if "instType=SPOT" in line)
    described = {m["instId"]: m for m in json.loads(raw[raw.index(": {") + 2 :])["data"]}
    spot = described["BTC-USDT"]

    async def run() -> tuple[int, int, list[Any], Reader]:
        reader = Reader("okx", [market("BTC-USDT", "BTC/USDT")], "wss://ws.okx.com:8443/ws/v5/public", 25)
        parsed = reader.client.parse_market(spot)
        assert parsed["symbol"] == "BTC/USDT" and parsed["precision"]["price"] == float(spot["tickSz"])
        right, books, trades = 0, 0, []
        texts: dict[tuple[str, float], list[str]] = {}
        for at, message in recorded("OKX.ws.1.0.zst"):
            about = message.get("arg", {})
            if about.get("instId") != "BTC-USDT" or "data" not in message:
                continue
            if about["channel"] == "trades":
                trades += [(t["tradeId"], int(t["ts"]), float(t["px"]), float(t["sz"]), t["side"]) for t in message["data"]]
            if about["channel"] in ("trades", "books"):
                reader.take(message, at)
            if about["channel"] == "books":
                books += 1
                for side in ("asks", "bids"):
                    texts |= {(side, float(row[0])): row[:2] for row in message["data"][0][side]}
                book = reader.client.orderbooks["BTC/USDT"]
                told = []
                for k in range(25):
                    for side in ("bids", "asks"):
                        if k < len(book[side]):
                            text = texts[side, book[side][k][0]]
                            assert float(text[1]) == book[side][k][1]
                            told += text
                sum_ = zlib.crc32(":".join(told).encode())
                right += (sum_ - 2**32 if sum_ >= 2**31 else sum_) == message["data"][0]["checksum"]
        await reader.client.close()
        return right, books, trades, reader

    right, books, trades, reader = asyncio.run(run())
    assert books > 50 and right == books
    assert len(trades) > 10 and reader.trades("BTC/USDT") == trades
    assert reader.desk.books[0].whole and reader.desk.book_counts.wrong == 0


def test_books_of_deribit_follow_their_changes() -> None:
    options = {"BTC-24SEP21-8000-P": "BTC/USD:BTC-210924-8000-P", "ETH-23JUL21-2300-C": "ETH/USD:ETH-210723-2300-C"}
    ours: dict[str, dict[str, dict[float, float]]] = {id_: {"bids": {}, "asks": {}} for id_ in options}

    async def run() -> int:
        markets = [market(id_, s, "option", option=True, inverse=True) for id_, s in options.items()]
        reader = Reader("deribit", markets, "wss://www.deribit.com/ws/api/v2")
        seen = 0
        for at, message in recorded("DERIBIT.ws.1.0.zst"):
            data = message.get("params", {}).get("data", {})
            if not message.get("params", {}).get("channel", "").startswith("book.") or data["instrument_name"] not in options:
                continue
            for side, book in ours[data["instrument_name"]].items():
                for action, price, size in data[side]:
                    book.pop(price, None)
                    if action != "delete":
                        book[price] = size
            reader.take(message, at)
            seen += 1
            book = reader.client.orderbooks[options[data["instrument_name"]]]
            mine = ours[data["instrument_name"]]
            assert [tuple(row[:2]) for row in book["asks"]] == sorted(mine["asks"].items())
            assert [tuple(row[:2]) for row in book["bids"]] == sorted(mine["bids"].items(), reverse=True)
        assert reader.desk.book_counts.gaps == 0
        broken = {"params": {"data": {"instrument_name": "BTC-24SEP21-8000-P", "prev_change_id": 1, "change_id": 2}}}
        assert reader.desk.continuity.gaps(broken) == ["BTC-24SEP21-8000-P"]
        await reader.client.close()
        return seen

    assert asyncio.run(run()) > 3


def test_trades_of_bitstamp() -> None:
    wanted = []

    async def run() -> Reader:
        reader = Reader("bitstamp", [market("ethusd", "ETH/USD")], "wss://ws.bitstamp.net/", 0)
        for at, message in recorded("BITSTAMP.ws.1.0.zst"):
            if message.get("event") == "trade" and message["channel"] == "live_trades_ethusd":
                data = message["data"]
                side = "sell" if data["type"] else "buy"
                ms = int(data["microtimestamp"]) // 1000
                wanted.append((str(data["id"]), ms, float(data["price_str"]), float(data["amount_str"]), side))
                reader.socket.subscriptions["live_trades_ethusd"] = True
                reader.take(message, at)
        await reader.client.close()
        return reader

    reader = asyncio.run(run())
    assert len(wanted) > 5 and reader.trades("ETH/USD") == wanted


def test_frames_of_bybit_of_today() -> None:
    async def run() -> Reader:
        reader = Reader("bybit", [market("BTCUSDT", "BTC/USDT:USDT", "swap")], "wss://stream.bybit.com/v5/public/linear")
        for name in ("ws_orderbook_snapshot.json", "ws_orderbook_delta.json"):
            reader.take(fixture("bybit", name), 1_709_891_680_000 * MS)
        trade = fixture("bybit", "ws_public_trade.json")
        reader.take({**trade, "topic": "publicTrade.BTCUSDT"}, 1_709_891_680_000 * MS)
        await reader.client.close()
        return reader

    reader = asyncio.run(run())
    symbol = "BTC/USDT:USDT"
    assert reader.top(symbol) == (27450.0, 0.4, 27451.5, 0.9) and reader.desk.books[0].whole
    assert reader.trades(symbol) == [("9dc75fca-4bdd-4773-9f78-6f5d7ab2a110", 1709891679000, 27451.0, 0.01, "buy")]
    late = fixture("bybit", "ws_orderbook_delta.json")
    late["data"]["u"] += 5
    reader.desk.took(late, 0)
    assert not reader.desk.books[0].whole and reader.out == [symbol], "an update was missed"


def test_frames_of_kraken_of_today() -> None:
    async def run() -> Reader:
        reader = Reader("kraken", [market("XXBTZUSD", "BTC/USD", info={"wsname": "BTC/USD"})], "wss://ws.kraken.com/v2")
        for name in ("ws_book_snapshot.json", "ws_book_update.json", "ws_trade_update.json"):
            reader.take(fixture("kraken", name), 1)
        await reader.client.close()
        return reader

    reader = asyncio.run(run())
    assert reader.top("BTC/USD")[:2] == (105944.2, 0.25) and reader.top("BTC/USD")[2] == 105944.3
    first = fixture("kraken", "ws_trade_update.json")["data"][0]
    assert reader.trades("BTC/USD")[0][2:] == (first["price"], first["qty"], first["side"])


def test_frames_of_coinbase_of_today() -> None:
    async def run() -> Reader:
        reader = Reader("coinbase", [market("BTC-USD", "BTC/USD")], "wss://advanced-trade-ws.coinbase.com", 0)
        reader.take(fixture("coinbase", "ws_market_trades.json"), 1)
        await reader.client.close()
        return reader

    wanted = fixture("coinbase", "ws_market_trades.json")["events"][0]["trades"]
    found = asyncio.run(run()).trades("BTC/USD")
    assert sorted(row[0] for row in found) == sorted(t["trade_id"] for t in wanted)
    by_id = {row[0]: row for row in found}
    for t in wanted:
        assert by_id[t["trade_id"]][2:] == (float(t["price"]), float(t["size"]), t["side"].lower())


@pytest.mark.parametrize(
    ("name", "exchange", "id_", "symbol"),
    [("binance_spot_btcusdt_20240808_09", "binance", "BTCUSDT", "BTC/USDT"),
     ("binance_usdm_btcusdt_20240808", "binanceusdm", "BTCUSDT", "BTC/USDT:USDT")],
)  # fmt: skip
def test_minutes_of_binance_are_made_of_every_trade(name: str, exchange: str, id_: str, symbol: str) -> None:
    kind = "swap" if ":" in symbol else "spot"
    closes: dict[int, list[Any]] = {}

    async def run() -> Reader:
        url = "wss://fstream.binance.com/public/ws/0" if kind == "swap" else "wss://stream.binance.com:9443/ws/0"
        reader = Reader(exchange, [market(id_, symbol, kind)], url, 0)
        reader.desk.begin("trades", 1_723_161_200 * 10**9)
        for line in lines(f"{name}.jsonl.zst"):
            at, _, text = line.partition(" ")
            if "@trade" in text[:40]:
                data = json.loads(text)["data"]
                close = data["T"] * MS // MINUTE * MINUTE + MINUTE
                if data.get("X", "MARKET") == "MARKET" and float(data["p"]) > 0:
                    closes.setdefault(close, []).append(data)
                reader.take(data, int(at))
        await reader.client.close()
        return reader

    reader = asyncio.run(run())
    whole = sorted(closes)[1:-1]
    assert len(whole) >= 4
    for close in whole:
        row = reader.desk.bars[0].row(close, due=True)
        assert row is not None
        prices, sizes = (np.array([float(t[key]) for t in closes[close]]) for key in ("p", "q"))
        bought = np.array([not t["m"] for t in closes[close]])
        assert row[:4] == (prices[0], prices.max(), prices.min(), prices[-1]) and row.trade_count == len(prices)
        assert row.volume == pytest.approx(sizes.sum(), rel=1e-12) and row.buy_volume == pytest.approx(
            sizes[bought].sum(), rel=1e-12
        )
        assert row.vwap == pytest.approx((prices * sizes).sum() / sizes.sum(), rel=1e-12)
