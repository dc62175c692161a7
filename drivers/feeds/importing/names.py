"""Which of a file's columns is which of ours: by preset, by option, or by the names that such columns commonly have.

A guess is made only where one column fits. What a guess needs and what it drops is shown before anything is written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, get_args

from drivers.feeds.errors import DataError
from drivers.feeds.importing.presets import Kind, Preset
from drivers.feeds.ticks import BOOK_SIDES
from drivers.text.suggestions import did_you_mean

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
_NEEDED: Final[dict[Kind, tuple[str, ...]]] = {
    "bars": ("timestamp", "open", "high", "low", "close", "volume"),
    "book": ("timestamp",),
    "trades": ("timestamp", "price", "size", "side"),
    "funding": ("timestamp", "funding_rate"),
    "splits": ("timestamp", "ratio"),
    "dividends": ("timestamp", "dividend"),
    "alpha": ("timestamp", "value"),
}
_OPTIONAL: Final[dict[Kind, tuple[str, ...]]] = {
    "bars": ("symbol", "vwap", "trade_count", "buy_volume", "buy_count", "adjustment"),
    "book": ("symbol",),
    "trades": ("symbol", "buyer_is_maker", "trade_id"),
    "funding": ("symbol",),
    "splits": ("symbol",),
    "dividends": ("symbol",),
    "alpha": ("symbol",),
}
_MAY_BE_UNKNOWN: Final = frozenset({"volume", "side"})
"""A price without its volume, or a trade without its side, is still worth having: `--column volume=none` says so."""

_TIME: Final = (
    *("timestamp", "ts", "time", "date", "datetime", "opentime", "starttime", "unix", "unixtime", "unixtimestamp", "epoch"),
    *("timeperiodstart", "transacttime", "tradetime", "exchangetime", "eventtime", "fundingtime", "calctime", "createdtime"),
    *("candlebegintime", "gmttime", "localtime", "timeutc", "tsevent", "windowstart", "start", "t", "datum", "data"),
)
_EPOCHS: Final = frozenset({"unix", "unixtime", "unixtimestamp", "epoch"})
"""Names of instants. Where a date for the eye stands beside one, the instant is taken."""
_COMMON: Final[dict[str, tuple[str, ...]]] = {
    "timestamp": _TIME,
    "symbol": (
        "symbol",
        "ticker",
        "tic",
        "instrument",
        "pair",
        "market",
        "productid",
        "instid",
        "instrumentname",
        "instrumentid",
    ),
    "open": ("open", "o", "openprice", "priceopen", "eroffnung", "eroffnungskurs", "erster", "otwarcie"),
    "high": ("high", "h", "highprice", "pricehigh", "hoch", "tageshoch", "najwyzszy"),
    "low": ("low", "l", "lowprice", "pricelow", "tief", "tagestief", "najnizszy"),
    "close": ("close", "c", "closeprice", "priceclose", "schluss", "schlusskurs", "last", "zamkniecie"),
    "volume": ("volume", "v", "vol", "basevolume", "volumebase", "volumetraded", "volumen", "stuck", "wolumen"),
    "vwap": ("vwap", "vw"),
    "trade_count": ("tradecount", "count", "trades", "numberoftrades", "numtrades", "tradescount", "transactions", "n"),
    "buy_volume": ("buyvolume", "takerbuyvolume", "takerbuybasevolume", "takerbuybaseassetvolume"),
    "buy_count": ("buycount",),
    "price": ("price", "px", "p", "tradeprice"),
    "size": ("size", "amount", "qty", "quantity", "q", "sz", "volume", "basequantity"),
    "side": ("side", "takerside", "aggressor", "aggressorside"),
    "buyer_is_maker": ("buyerismaker", "isbuyermaker", "m"),
    "trade_id": ("tradeid", "id", "tid", "aggtradeid", "trdmatchid"),
    "funding_rate": ("fundingrate", "funding", "lastfundingrate"),
    "adjustment": ("adjustment", "adjustmentfactor", "adjfactor"),
    "ratio": ("ratio", "splitratio", "splitfactor"),
    "dividend": ("dividend", "dividends", "dividendamount"),
    "value": ("value", "alpha"),
}
_LEVEL: Final = re.compile(
    r"(?:best)?(?P<side>bids?|asks?|[ab](?=[a-z]*\d))(?P<before>\d*)"
    r"(?P<what>price|px|prc|p|size|sz|s|quantity|qty|q|amount|volume|vol|v)?(?P<after>\d*)"
)
_PRICES: Final = frozenset({"price", "px", "prc", "p", None})
_ORDER_EVENTS: Final = frozenset({"orderid", "action"})
_LEVEL_ROWS: Final = frozenset({"issnapshot", "level"})


@dataclass(frozen=True)
class Matching:
    """What is what in one file. columns: our field -> their column, None where it is imported as not known."""

    kind: Kind
    columns: Mapping[str, str | None]
    dropped: tuple[str, ...]
    best_quotes: bool = False
    clock_time: str | None = None  # their column of the time of day, where `timestamp` is a column of dates
    keep: tuple[str, str] | None = None  # their column, and the value that a row of this kind has in it

    @property
    def used(self) -> list[str]:
        """Their columns that are read, each once."""
        others = (self.clock_time, self.keep[0] if self.keep else None)
        return list(dict.fromkeys(theirs for theirs in (*self.columns.values(), *others) if theirs is not None))

    @property
    def depth(self) -> int:
        """Levels of the book; 0 for the other kinds."""
        return 1 if self.best_quotes else sum(1 for name in self.columns if name.startswith("bid_px_"))


def match_columns(
    file: str, columns: Sequence[str], *, kind: Kind | None, preset: Preset | None, chosen: Mapping[str, str]
) -> Matching:
    """What is what in a file with these columns.

    chosen: our field -> their column, or "none"; of those only what the file's kind has counts, so that one choice serves files
    of several kinds. Raises DataError, one sentence that names the option to give, for a column that is missing or that more
    than one column could be.
    """
    _check_fields(chosen)
    wanted: dict[str, str | None] = {ours: theirs for ours, theirs in chosen.items() if theirs in columns}
    if "+" in (theirs := chosen.get("timestamp", "")) and theirs not in columns:
        wanted["timestamp"] = _joined(file, theirs, columns)[0]
    wanted |= {ours: None for ours, theirs in chosen.items() if theirs == "none"}
    if preset is not None:
        _check_preset(file, columns, preset, kind, chosen)
        wanted = {**preset.columns, **wanted}
    kind = preset.kind if preset is not None else kind or _kind_of(file, columns, wanted)
    best_quotes = preset is not None and preset.best_quotes
    needed = ("timestamp", "side", "price", "size") if best_quotes else _NEEDED[kind]
    fields = [*needed, *_OPTIONAL[kind]]
    for ours, theirs in chosen.items():
        if ours in fields and theirs not in (*columns, "none"):
            if ours == "timestamp" and "+" in theirs:
                continue
            hint = did_you_mean(theirs, list(columns))
            raise DataError(f"{file}: --column {ours}={theirs}: the file has no column {theirs}; {hint}")

    folded = {name: _fold(name) for name in columns}
    found: dict[str, str | None] = {}
    if kind == "book" and not best_quotes:
        found |= _levels(file, columns, wanted)
        if not found:
            raise DataError(_no_levels(file, folded))
    guess = preset is None or not preset.columns
    clock_time = preset.clock_time if preset is not None and "timestamp" not in chosen else None
    for field in fields:
        if field in wanted:
            found[field] = wanted[field]
        elif field == "timestamp" and (joined := _date_and_time(folded)) is not None:
            found[field], clock_time = joined
        elif guess or field == "symbol":
            guessed = _guess(file, field, folded, taken={*found.values(), *wanted.values()})
            if guessed is not None:
                found[field] = guessed
    if "buyer_is_maker" in found:  # either says which side took; the side does so in plain words, unless it is unknown
        found.pop("side" if found.get("side") is None else "buyer_is_maker", None)
    for field in needed:
        if field not in found and not (field == "side" and "buyer_is_maker" in found):
            raise DataError(_missing(file, kind, field, folded))
    if "+" in (theirs := chosen.get("timestamp", "")) and theirs not in columns:
        found["timestamp"], clock_time = _joined(file, theirs, columns)
    dropped = tuple(name for name in columns if name not in (*found.values(), clock_time))
    keep = preset.keep if preset is not None and preset.keep is not None and preset.keep[0] in columns else None
    return Matching(kind, found, dropped, best_quotes, clock_time, keep)


def _date_and_time(folded: Mapping[str, str]) -> tuple[str, str] | None:
    """A column of dates and one of times of day, where the file has both and no column of instants."""
    at = {plain: name for name, plain in folded.items()}
    others = (set(_TIME) - {"date", "time"}) & set(at)
    return (at["date"], at["time"]) if {"date", "time"} <= set(at) and not others else None


def _joined(file: str, theirs: str, columns: Sequence[str]) -> tuple[str, str]:
    """The two columns of `--column timestamp=DATE+TIME`."""
    date, _, clock = theirs.partition("+")
    for name in (date, clock):
        if name not in columns:
            raise DataError(
                f"{file}: --column timestamp={theirs}: the file has no column {name}; {did_you_mean(name, list(columns))}"
            )
    return date, clock


def _check_fields(chosen: Mapping[str, str]) -> None:
    for ours, theirs in chosen.items():
        if ours not in _COMMON and not re.fullmatch(r"(?:bid|ask)_(?:px|sz)_\d+", ours):
            raise DataError(f"--column {ours}={theirs}: {ours} is none of our columns; {did_you_mean(ours, list(_COMMON))}")
        if theirs == "none" and ours not in _MAY_BE_UNKNOWN:
            raise DataError(f"--column {ours}=none: only {' and '.join(sorted(_MAY_BE_UNKNOWN))} may be unknown")


def _check_preset(file: str, columns: Sequence[str], preset: Preset, kind: Kind | None, chosen: Mapping[str, str]) -> None:
    if kind is not None and kind != preset.kind:
        of = f"the preset {preset.name} is of {preset.kind}, and --kind says {kind}"
        raise DataError(f"{file}: {of}; leave one of them out")
    for ours, theirs in preset.columns.items():
        if theirs is not None and theirs not in columns and ours not in chosen:
            raise DataError(
                f"{file}: the preset {preset.name} expects a column {theirs}, and the file has {_list(columns)}; choose "
                f"another preset, leave it out, or name the column with --column {ours}=..."
            )


def _kind_of(file: str, columns: Sequence[str], wanted: Mapping[str, str | None]) -> Kind:
    """The one kind whose columns are there."""
    folded = {_fold(name) for name in columns}

    def has(*fields: str) -> bool:
        return all(field in wanted or folded & set(_COMMON[field]) for field in fields)

    if folded >= _ORDER_EVENTS or folded & _LEVEL_ROWS:
        raise DataError(_no_levels(file, {name: _fold(name) for name in columns}))
    fits: list[Kind] = []
    if _levels(file, columns, wanted):
        fits.append("book")
    if has("open", "high", "low", "close"):
        fits.append("bars")
    if has("price", "size"):
        fits.append("trades")
    if has("funding_rate"):
        fits.append("funding")
    if not fits:
        fits += ["splits"] if has("ratio") else []
        fits += ["dividends"] if has("dividend") else []
        fits += ["alpha"] if has("value") else []
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise DataError(f"{file}: could hold {' or '.join(fits)}; say which with --kind, e.g. --kind {fits[0]}")
    raise DataError(
        f"{file}: columns {_list(columns)} are not recognised as bars, book, trades, funding, splits, dividends or alpha; "
        "name them, e.g. --kind bars "
        "--column timestamp=... --column open=..., or choose a --preset"
    )


def _levels(file: str, columns: Sequence[str], wanted: Mapping[str, str | None]) -> dict[str, str | None]:
    """Columns of the book levels, best first: bid_px_0, bids[0].price, b0p, best_bid ... Empty where there are none."""
    at: dict[tuple[str, int], str] = {}
    for name in columns:
        match = _LEVEL.fullmatch(_fold(name))
        if match is None or (match["before"] and match["after"]):
            continue
        side = "bid" if match["side"][0] == "b" else "ask"
        what = "px" if match["what"] in _PRICES else "sz"
        number = match["before"] or match["after"]
        key = f"{side}_{what}", int(number) if number else 0
        if key in at:
            which = f"{side} {'price' if what == 'px' else 'size'} of level {key[1]}"
            raise DataError(f"{file}: {at[key]} and {name} could both be the {which}; rename one of them")
        at[key] = name
    if not any(side == "bid_px" for side, _ in at) or not any(side == "ask_px" for side, _ in at):
        return {f: t for f, t in wanted.items() if f[:7] in ("bid_px_", "bid_sz_", "ask_px_", "ask_sz_")}
    levels = [level for _, level in at]
    first = min(levels)
    found: dict[str, str | None] = {}
    for level in range(first, max(levels) + 1):
        for side in BOOK_SIDES:
            ours = f"{side}_{level - first}"
            theirs = wanted.get(ours) or at.get((side, level))
            if theirs is None:
                what = side.replace("_px", " price").replace("_sz", " size")
                raise DataError(f"{file}: level {level} of the book has no {what}; name its column with --column {ours}=...")
            found[ours] = theirs
    return found


def _guess(file: str, field: str, folded: Mapping[str, str], taken: set[str | None]) -> str | None:
    """The one column that commonly bears this field's name."""
    if field in folded:
        return field
    fits = [name for name, plain in folded.items() if plain in _COMMON[field] and name not in taken]
    instants = [name for name in fits if folded[name] in _EPOCHS]
    if len(fits) > 1 and len(instants) == 1:
        return instants[0]
    if len(fits) > 1:
        raise DataError(f"{file}: {' and '.join(fits)} could all be the {field}; say which with --column {field}={fits[0]}")
    return fits[0] if fits else None


def _missing(file: str, kind: Kind, field: str, folded: Mapping[str, str]) -> str:
    have = f"{file}: no column is recognised as the {field} of {kind}; the file has {_list(list(folded))}"
    alike = [name for name, plain in folded.items() if plain.startswith(field)]
    if alike:
        return f"{have}; {' and '.join(alike)} may be: say which with --column {field}={_quoted(alike[0])}"
    unknown = f", or import it as unknown with --column {field}=none" if field in _MAY_BE_UNKNOWN else ""
    close = next((name for name, plain in folded.items() if plain == "closetime"), None)
    if field == "timestamp" and close is not None:
        return f"{have}; if its time is that of the close, say --column timestamp={_quoted(close)} --stamp close"
    return f"{have}; name it with --column {field}=...{unknown}"


def _quoted(name: str) -> str:
    return f"'{name}'" if " " in name else name


def _no_levels(file: str, folded: Mapping[str, str]) -> str:
    plain = set(folded.values())
    if plain >= _ORDER_EVENTS:
        return (
            f"{file}: holds changes of single orders, and without a first snapshot no book follows from them; import the "
            "venue's snapshots instead"
        )
    if plain & _LEVEL_ROWS:
        return (
            f"{file}: holds one row per level; a book is imported from snapshots only, one row each (bid_px_0, bid_sz_0, "
            "ask_px_0, ...): export those instead"
        )
    return f"{file}: no bid and ask levels are recognised; they are called like bid_px_0, bid_sz_0, ask_px_0, ask_sz_0"


def _fold(name: str) -> str:
    """A name in lower case without accents and what is neither letter nor digit."""
    return re.sub(r"[^a-z0-9]", "", unicodedata.normalize("NFKD", name.lower()))


def _list(columns: Sequence[str]) -> str:
    shown = ", ".join(columns[:12])
    return f"{shown} and {len(columns) - 12} more" if len(columns) > 12 else shown
