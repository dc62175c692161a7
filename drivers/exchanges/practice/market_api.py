"""What anybody may ask the practice exchange for: Binance's public REST of spot (api/v3) and of USD-M futures (fapi/v1).

Both say the same of the same market; what a perpetual swap has beside is its mark price and its funding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from aiohttp import web

from drivers.exchanges.practice.account import TYPES as SPOT_TYPES
from drivers.exchanges.practice.core import MarketTape
from drivers.exchanges.practice.futures import TYPES as SWAP_TYPES
from drivers.exchanges.practice.market import LENGTHS, LOT, MINUTE, ORIGIN, TICK, PracticeMarket, funding_rate

MOST_ROWS: Final = 1_000
WINDOW: Final = 3_600_000
"""ms of trades that one answer spans at most."""


class MarketApi:
    """market: what trades. now: the exchange's clock, UTC ms."""

    def __init__(self, market: PracticeMarket, now: Callable[[], int]) -> None:
        self.market, self.now = market, now
        self.tape = MarketTape(market)

    def routes(self, app: web.Application) -> None:
        """Serves it."""
        shared = {"ping": self._ping, "time": self._time, "klines": self._klines, "aggTrades": self._trades}
        for root in ("/api/v3", "/fapi/v1"):
            for name, handler in shared.items():
                app.router.add_get(f"{root}/{name}", handler)
        app.router.add_get("/api/v3/exchangeInfo", self._spot_info)
        app.router.add_get("/fapi/v1/exchangeInfo", self._swap_info)
        app.router.add_get("/api/v3/depth", self._depth)
        app.router.add_get("/fapi/v1/depth", self._depth)
        app.router.add_get("/fapi/v1/premiumIndex", self._premium)
        app.router.add_get("/fapi/v1/fundingRate", self._funding)

    async def _ping(self, request: web.Request) -> web.Response:
        return web.json_response({})

    async def _time(self, request: web.Request) -> web.Response:
        return web.json_response({"serverTime": self.now()})

    async def _spot_info(self, request: web.Request) -> web.Response:
        return self._info([
            {**_about(name), "baseAssetPrecision": 8, "quotePrecision": 8, "quoteAssetPrecision": 8,
             "isSpotTradingAllowed": True, "orderTypes": list(SPOT_TYPES), "permissions": ["SPOT"],
             "filters": [*FILTERS, {"filterType": "NOTIONAL", "minNotional": "5.00000000", "applyMinToMarket": True}]}
            for name in self.market.prices
        ])  # fmt: skip

    async def _swap_info(self, request: web.Request) -> web.Response:
        return self._info([
            {**_about(name), "pair": name, "contractType": "PERPETUAL", "deliveryDate": 4133404800000, "onboardDate": ORIGIN,
             "marginAsset": "USDT", "pricePrecision": 2, "quantityPrecision": 4, "baseAssetPrecision": 8, "quotePrecision": 8,
             "underlyingType": "COIN", "orderTypes": list(SWAP_TYPES), "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
             "filters": [*FILTERS, {**FILTERS[1], "filterType": "MARKET_LOT_SIZE"},
                         {"filterType": "MIN_NOTIONAL", "notional": "5"}]}
            for name in self.market.prices
        ])  # fmt: skip

    def _info(self, symbols: list[dict[str, Any]]) -> web.Response:
        return web.json_response({"timezone": "UTC", "serverTime": self.now(), "rateLimits": [], "symbols": symbols})

    async def _klines(self, request: web.Request) -> web.Response:
        symbol, interval = request.query["symbol"], request.query["interval"]
        if symbol not in self.market.prices:
            return _invalid()
        length, now = LENGTHS[interval] * MINUTE, self.now()
        limit = min(MOST_ROWS, int(request.query.get("limit", 500)))
        start = int(request.query.get("startTime", now - limit * length))
        at = max(-(-start // length) * length, -(-ORIGIN // length) * length)
        end = int(request.query.get("endTime", now))
        rows: list[list[Any]] = []
        while at <= end and len(rows) < limit and (candle := self.market.candle(symbol, at, length, now)) is not None:
            rows.append(_row(candle, length))
            at += length
        return web.json_response(rows)

    async def _trades(self, request: web.Request) -> web.Response:
        """Trades of a span of time, from an id on, or the last."""
        symbol, now = request.query.get("symbol", ""), self.now()
        if symbol not in self.market.prices:
            return _invalid()
        limit, first = min(MOST_ROWS, int(request.query.get("limit", 500))), int(request.query.get("fromId", 0))
        if first:
            minute, until, since = self.market.minute_of(symbol, first), now, ORIGIN
        else:
            until = min(now, int(request.query.get("endTime", now)))
            since = max(ORIGIN, int(request.query.get("startTime", until - WINDOW)))
            minute = (since - ORIGIN) // MINUTE
        rows: list[dict[str, Any]] = []
        last = "startTime" not in request.query and not first
        while ORIGIN + minute * MINUTE <= until and (last or len(rows) < limit):
            made = self.market.trades(symbol, minute)
            rows += [
                {"a": number, "p": f"{price:.8f}", "q": f"{size:.8f}", "f": number, "l": number, "T": at, "m": bool(sold)}
                for number, at, price, size, sold in zip(*(column.tolist() for column in made), strict=True)
                if since <= at <= until and number >= first
            ]
            minute += 1
        return web.json_response(rows[-limit:] if last else rows[:limit])

    async def _depth(self, request: web.Request) -> web.Response:
        symbol, limit = request.query["symbol"], int(request.query.get("limit", 100))
        if symbol not in self.market.prices:
            return _invalid()
        number = self.market.book_number(self.now())
        book = self.market.book(symbol, number)
        sides = {
            key: [[f"{p:.8f}", f"{q:.8f}"] for p, q in list(side.items())[:limit]]
            for key, side in (("bids", book.bids), ("asks", book.asks))
        }
        at = self.market.book_time(number)
        times = {"E": at, "T": at} if request.path.startswith("/fapi/") else {}
        return web.json_response({"lastUpdateId": book.update, **times, **sides})

    async def _premium(self, request: web.Request) -> web.Response:
        wanted = request.query.get("symbol")
        if wanted is not None and wanted not in self.market.prices:
            return _invalid()
        rows = [self.premium(symbol, self.now()) for symbol in self.market.prices if wanted in (None, symbol)]
        return web.json_response(rows if wanted is None else rows[0])

    def premium(self, symbol: str, now: int) -> dict[str, Any]:
        """Mark price and funding of a symbol at a time, ms."""
        every, mark = self.market.funding_every, f"{self.tape.last(symbol, now):.8f}"
        following = (now // every + 1) * every
        return {
            "symbol": symbol, "markPrice": mark, "indexPrice": mark, "estimatedSettlePrice": mark,
            "lastFundingRate": f"{funding_rate(symbol, following):.8f}", "nextFundingTime": following,
            "interestRate": "0.00010000", "time": now,
        }  # fmt: skip

    async def _funding(self, request: web.Request) -> web.Response:
        symbol, every, now = request.query.get("symbol", ""), self.market.funding_every, self.now()
        if symbol not in self.market.prices:
            return _invalid()
        limit, end = min(MOST_ROWS, int(request.query.get("limit", 100))), min(now, int(request.query.get("endTime", now)))
        begin = int(request.query.get("startTime", end - limit * every))
        times = range(-(-max(begin, ORIGIN) // every) * every, end + 1, every)[:limit]
        return web.json_response([
            {"symbol": symbol, "fundingTime": at, "fundingRate": f"{funding_rate(symbol, at):.8f}",
             "markPrice": f"{self.tape.last(symbol, at):.8f}"} for at in times
        ])  # fmt: skip


FILTERS: Final = [
    {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": f"{TICK:.2f}"},
    {"filterType": "LOT_SIZE", "minQty": f"{LOT:.4f}", "maxQty": "9000.0", "stepSize": f"{LOT:.4f}"},
]


def _about(name: str) -> dict[str, Any]:
    return {"symbol": name, "status": "TRADING", "baseAsset": name.removesuffix("USDT"), "quoteAsset": "USDT"}


def _invalid() -> web.Response:
    return web.json_response({"code": -1121, "msg": "Invalid symbol."}, status=400)


def _row(candle: list[float], length: int) -> list[Any]:
    """As Binance writes a candle: numbers in text, times in ms."""
    at, open_, high, low, close, volume, buys, count = candle
    prices = [f"{x:.8f}" for x in (open_, high, low, close, volume)]
    quote = f"{volume * close:.8f}"
    return [int(at), *prices, int(at) + length - 1, quote, int(count), f"{buys:.8f}", f"{buys * close:.8f}", "0"]
