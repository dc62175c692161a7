"""The column layouts of common dumps, as data. Every layout names the document or the files that it was checked against."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from drivers.feeds.errors import DataError
from drivers.text.suggestions import did_you_mean

Kind = Literal["bars", "book", "trades", "funding", "splits", "dividends"]


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
    files: str = ""  # regular expression of such files' names, with `symbol`; a file without a header is known by it
    scale: Mapping[str, float] = field(default_factory=dict)  # our field -> what its numbers are multiplied by
    marks: frozenset[str] = frozenset()  # columns that together only this layout has; a file is known by them
    clock_time: str | None = None  # their column of the time of day, where `timestamp` is one of dates
    zone: str | None = None  # of times without one, where the layout fixes it

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
            "databento-bars",
            "bars",
            "Databento's ohlcv csv, raw (whole numbers of 1e-9) or pretty (decimals)",
            {"timestamp": "ts_event", **_OHLCV},
            "databento.com/docs, schemas-and-data-formats, ohlcv: prices are signed integers where every 1 unit is 1e-9",
            scale=dict.fromkeys(("open", "high", "low", "close"), 1e-9),
            marks=frozenset({"ts_event", "rtype", "publisher_id", "instrument_id", "open", "close"}),
        ),
        Preset(
            "histdata-ascii",
            "bars",
            "HistData's generic ASCII minutes: `20240307 190000;open;high;low;close;volume`, New York without summer time",
            {"timestamp": "time", **_OHLCV},
            "histdata.com/f-a-q/data-files-detailed-specification, Generic ASCII, 1 minute bars: EST without daylight savings",
            ("time", "open", "high", "low", "close", "volume"),
            6,
            files=r"DAT_ASCII_(?P<symbol>[A-Z0-9]+)_M1_\d+\.(csv|zip)",
            zone="Etc/GMT+5",
        ),
        Preset(
            "histdata-metatrader",
            "bars",
            "HistData's MetaTrader minutes: `2024.03.07,19:00,open,high,low,close,volume`, New York without summer time",
            {"timestamp": "date", **_OHLCV},
            "histdata.com/f-a-q/data-files-detailed-specification, MetaTrader, 1 minute bars: EST without daylight savings",
            ("date", "time", "open", "high", "low", "close", "volume"),
            7,
            files=r"DAT_MT_(?P<symbol>[A-Z0-9]+)_M1_\d+\.(csv|zip)",
            zone="Etc/GMT+5",
            clock_time="time",
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
        raise DataError(
            f"there is no preset {name}; {did_you_mean(name, sorted(PRESETS))} `stratoquant data presets` lists them all"
        )
    return PRESETS[name]


def symbol_in(preset: Preset | None, name: str) -> str | None:
    """The symbol in a file's name, where the layout says how its files are called."""
    match = re.fullmatch(preset.files, name) if preset is not None and preset.files else None
    return match["symbol"] if match is not None else None


def preset_of_file(name: str, width: int) -> Preset | None:
    """The layout that a headerless file's name and its number of columns tell; None where none or several do."""
    fits = [p for p in PRESETS.values() if p.files and re.fullmatch(p.files, name) and p.header(width) is not None]
    return fits[0] if len(fits) == 1 else None


def preset_of_header(columns: Sequence[str]) -> Preset | None:
    """The layout that a header tells beyond doubt."""
    return next((p for p in PRESETS.values() if p.marks and p.marks <= set(columns)), None)


def described() -> Sequence[tuple[str, str, str]]:
    """(name, kind, what it is) of every preset, in order."""
    return [(p.name, p.kind, p.about) for p in PRESETS.values()]
