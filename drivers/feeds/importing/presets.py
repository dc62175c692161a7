"""The column layouts of common dumps, as data. Every layout names the document or the files that it was checked against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from drivers.feeds.errors import DataError, near

Kind = Literal["bars", "book", "trades", "funding"]


@dataclass(frozen=True)
class Preset:
    """One layout. `columns`: our field -> their column, empty where common names do. A book's levels are found by their names.

    order: their columns from left to right, for files without a header; a file may lack those after the `fewest` first.
    """

    name: str
    kind: Kind
    about: str
    columns: Mapping[str, str]
    source: str  # where the layout is written down
    order: tuple[str, ...] = ()
    fewest: int = 0
    stamp: Literal["open", "close"] = "open"
    best_quotes: bool = field(default=False)  # rows are changes of the best bid or the best ask

    def header(self, width: int) -> tuple[str, ...] | None:
        """Names of a headerless file's `width` columns, or None where that is not this layout."""
        return self.order[:width] if self.order and max(self.fewest, 1) <= width <= len(self.order) else None


_OHLCV: Final = {name: name for name in ("open", "high", "low", "close", "volume")}
_KLINES: Final = (
    *("open_time", "open", "high", "low", "close", "volume", "close_time", "quote_volume", "count"),
    *("taker_buy_volume", "taker_buy_quote_volume", "ignore"),
)
_VISION: Final = (
    "github.com/binance/binance-public-data, README.md (titles of the columns); headers as the newer archives carry them"
)
_TARDIS: Final = "docs.tardis.dev/downloadable-csv-files, data types"

PRESETS: Final = {
    preset.name: preset
    for preset in (
        Preset(
            "binance-klines",
            "bars",
            "data.binance.vision klines, spot and USD-M futures (zip or csv, with and without header, ms and us)",
            {"timestamp": "open_time", **_OHLCV, "trade_count": "count", "buy_volume": "taker_buy_volume"},
            _VISION,
            _KLINES,
            6,
        ),
        Preset(
            "binance-coinm-klines",
            "bars",
            "data.binance.vision klines of COIN-M futures, whose volume is in contracts: the base asset's volume is taken",
            {
                "timestamp": "open_time",
                **_OHLCV,
                "volume": "quote_volume",
                "trade_count": "count",
                "buy_volume": "taker_buy_quote_volume",
            },
            _VISION,
            _KLINES,
            11,
        ),
        Preset(
            "binance-aggtrades",
            "trades",
            "data.binance.vision aggTrades, spot and USD-M futures (zip or csv, with and without header, ms and us)",
            {
                "timestamp": "transact_time",
                "price": "price",
                "size": "quantity",
                "buyer_is_maker": "is_buyer_maker",
                "trade_id": "agg_trade_id",
            },
            _VISION,
            (
                *("agg_trade_id", "price", "quantity", "first_trade_id", "last_trade_id", "transact_time", "is_buyer_maker"),
                "is_best_match",
            ),
            7,
        ),
        Preset(
            "binance-trades",
            "trades",
            "data.binance.vision trades, spot and USD-M futures (zip or csv, with and without header, ms and us)",
            {"timestamp": "time", "price": "price", "size": "qty", "buyer_is_maker": "is_buyer_maker", "trade_id": "id"},
            _VISION,
            ("id", "price", "qty", "quote_qty", "time", "is_buyer_maker", "is_best_match"),
            6,
        ),
        Preset(
            "binance-funding",
            "funding",
            "data.binance.vision fundingRate of futures",
            {"timestamp": "calc_time", "funding_rate": "last_funding_rate"},
            "header of the archives' files, as quoted by several public readers of them",
            ("calc_time", "funding_interval_hours", "last_funding_rate"),
            3,
        ),
        Preset(
            "bybit-trades",
            "trades",
            "public.bybit.com/trading csv.gz of linear perpetuals (size in base units; seconds with a fraction)",
            {
                "timestamp": "timestamp",
                "symbol": "symbol",
                "price": "price",
                "size": "size",
                "side": "side",
                "trade_id": "trdMatchID",
            },
            "header of the archive's files, as quoted by several public readers of them",
        ),
        Preset(
            "kraken-ohlcvt",
            "bars",
            "Kraken's downloadable OHLCVT csv (no header; only intervals in which something traded)",
            {"timestamp": "time", **_OHLCV, "trade_count": "trades"},
            "support.kraken.com, article 360047124832: Open, High, Low, Close, Volume, Trades",
            ("time", "open", "high", "low", "close", "volume", "trades"),
            7,
        ),
        Preset(
            "coinbase-candles",
            "bars",
            "answers of Coinbase Exchange's product candles, json or csv: time, low, high, open, close, volume",
            {"timestamp": "time", **_OHLCV},
            "docs.cdp.coinbase.com, exchange-api, get product candles: [timestamp, price_low, price_high, price_open, "
            "price_close]; volume last, as docs.rs/coinbase-api Candle has it",
            ("time", "low", "high", "open", "close", "volume"),
            6,
        ),
        Preset(
            "ccxt-ohlcv",
            "bars",
            "what ccxt's fetchOHLCV returns, json or csv: timestamp, open, high, low, close, volume",
            {"timestamp": "timestamp", **_OHLCV},
            "docs.ccxt.com, OHLCV structure; freqtrade's old json files are the same",
            ("timestamp", "open", "high", "low", "close", "volume"),
            6,
        ),
        Preset(
            "freqtrade",
            "bars",
            "freqtrade's feather and parquet files of candles",
            {"timestamp": "date", **_OHLCV},
            "freqtrade/constants.py, DEFAULT_DATAFRAME_COLUMNS",
            ("date", "open", "high", "low", "close", "volume"),
            6,
        ),
        Preset(
            "freqtrade-trades",
            "trades",
            "freqtrade's feather and parquet files of trades (ccxt: side of the taker)",
            {"timestamp": "timestamp", "price": "price", "size": "amount", "side": "side", "trade_id": "id"},
            "freqtrade/constants.py, DEFAULT_TRADES_COLUMNS",
            ("timestamp", "id", "type", "side", "price", "amount", "cost"),
            7,
        ),
        Preset(
            "freqtrade-funding",
            "funding",
            "freqtrade's feather files of funding rates, which stand in the column open",
            {"timestamp": "date", "funding_rate": "open"},
            "the note on the sets of funding rates that were taken from such files",
        ),
        Preset(
            "tardis-book",
            "book",
            "tardis.dev book_snapshot_5 and book_snapshot_25 csv.gz",
            {"timestamp": "timestamp", "symbol": "symbol"},
            _TARDIS,
        ),
        Preset(
            "tardis-trades",
            "trades",
            "tardis.dev trades csv.gz (side of the taker)",
            {
                "timestamp": "timestamp",
                "symbol": "symbol",
                "price": "price",
                "size": "amount",
                "side": "side",
                "trade_id": "id",
            },
            _TARDIS,
        ),
        Preset(
            "best-quotes",
            "book",
            "rows (time, side bid or ask, price, size), each a new best bid or best ask; a snapshot of one level per instant",
            {},
            "the recorded best bids and offers of a venue that reports one side at a time",
            best_quotes=True,
        ),
    )
}


def find_preset(name: str) -> Preset:
    """The layout of that name. Raises DataError with the nearest one."""
    if name not in PRESETS:
        raise DataError(f"there is no preset {name}; {near(name, sorted(PRESETS))} `stratoquant data presets` lists them all")
    return PRESETS[name]


def described() -> Sequence[tuple[str, str, str]]:
    """(name, kind, what it is) of every preset, in order."""
    return [(p.name, p.kind, p.about) for p in PRESETS.values()]
