"""What an import would do, found out from the headers and first rows before anything is written."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

import pyarrow as pa

from drivers.feeds.bars import LONG_BAR
from drivers.feeds.description import describe, parse_clock, read_description
from drivers.feeds.errors import DataError
from drivers.feeds.importing.convert import TIME, Converted
from drivers.feeds.importing.merge import Policy
from drivers.feeds.importing.names import KINDS, Matching, match_columns
from drivers.feeds.importing.numbers import Numbers
from drivers.feeds.importing.packed import Origin
from drivers.feeds.importing.presets import Kind, Preset, find_preset, recognised
from drivers.feeds.importing.source import Source
from drivers.feeds.importing.sources import open_source, origins_in
from drivers.feeds.importing.symbols import symbol_of
from drivers.feeds.importing.times import UNITS, Times, check_zone
from drivers.feeds.tables import SUFFIXES
from drivers.feeds.ticks import BOOK_SIDES
from drivers.feeds.trading_time import check_calendar
from drivers.text.inert import MOST_CHARACTERS, name_fault
from drivers.text.times import parse_duration

_BILLIONTHS: Final = frozenset({"rtype", "publisher_id", "instrument_id"})
"""Columns that only files of Databento have: their prices are decimals with a point, or whole numbers of 1e-9."""
_PRICES: Final = frozenset({"open", "high", "low", "close", "price", "bid_px", "ask_px"})


@dataclass(frozen=True)
class ImportRequest:
    """What to import, and how. sources: files, or folders of them; out: the market-data folder to make.

    columns: our field -> their column, or "none". symbol: a name, or a pattern of the file names with {symbol} in it; None
    takes the column, else the part of the name in capitals. only: a pattern of the names
    of files in folders and archives. time_unit: s, ms, us, ns; None goes by magnitude. timezone: of times without one.
    time_format: how they are written, for strptime. skip_lines: before the table of a text; None finds them.
    decimal: the decimal mark; None is a point, or a comma where the numbers leave no doubt. scale: our field -> factor.
    off_clock: what becomes of bars whose time is not on the clock: refused, left out, or moved: an open to the clock before,
    a close to the one after. clock_offset: where its bars begin after midnight UTC, a time shorter than it.
    funding_interval: between two payments, where rows of funding are quotes of the rate. add: into an existing folder that
    lacks these kinds. facts: further keys of dataset.yml, such as multiplier and settle_currency. allow_faults: write what a
    run would refuse.
    """

    sources: tuple[Path, ...]
    out: Path
    preset: str | None = None
    kind: Kind | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    header: tuple[str, ...] = ()
    symbol: str | None = None
    stamp: Literal["open", "close"] | None = None
    only: str | None = None
    clock: str | None = None
    calendar: str | None = None
    time_unit: str | None = None
    timezone: str | None = None
    time_format: str | None = None
    skip_lines: int | None = None
    encoding: str | None = None
    decimal: Literal[".", ","] | None = None
    scale: Mapping[str, float] = field(default_factory=dict)
    off_clock: Literal["refuse", "drop", "snap"] = "refuse"
    clock_offset: str | None = None
    duplicates: Policy = "refuse"
    funding_interval: str | None = None
    venue: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    licence: str | None = None
    source_text: str | None = None
    guess_ticks: bool = False
    overwrite: bool = False
    add: bool = False
    allow_faults: bool = False


@dataclass(frozen=True)
class FilePlan:
    """One file: what is what in it, and whose rows they are."""

    source: Source
    matching: Matching
    symbol: str | None  # None: from its column
    times: Times
    numbers: Numbers
    preset: Preset | None = None  # the layout, asked for or recognised

    @property
    def size(self) -> int:
        """Bytes on disk, by which progress is told."""
        return self.source.origin.size

    def converted(self, ids: Any = None) -> Converted:
        """The file, ready to be read. ids: the type of trade ids."""
        words = self.preset.words if self.preset is not None else None
        return Converted(self.source, self.matching, self.symbol, self.times, self.numbers, ids, words=words)


@dataclass(frozen=True)
class ImportPlan:
    """The files in the order in which they are read, by kind; the columns of each kind; and what dataset.yml will say."""

    request: ImportRequest
    files: Mapping[Kind, Sequence[FilePlan]]
    schemas: Mapping[Kind, pa.Schema]
    description: Mapping[str, Any]
    kept: tuple[Path, ...]  # files of the folder that stay, when adding

    def converted(self, kind: Kind) -> list[Converted]:
        """The files of a kind, ready to be read."""
        schema = self.schemas[kind]
        ids = schema.field("trade_id").type if "trade_id" in schema.names else None
        return [f.converted(ids) for f in self.files[kind]]


def plan_import(request: ImportRequest) -> ImportPlan:
    """Reads headers and decides. Raises DataError, one sentence that names the file and the option to give."""
    if request.clock is not None:
        parse_clock(request.clock)
    if request.time_unit is not None and request.time_unit not in UNITS:
        raise DataError(f"--time-unit {request.time_unit}: write one of {', '.join(UNITS)}")
    check_zone(request.timezone)
    if request.calendar is not None:
        check_calendar(request.calendar)
    if request.off_clock != "refuse" and request.clock is None:
        raise DataError(f"--off-clock {request.off_clock} needs the length of a bar: give --clock, e.g. --clock 1m")
    if request.clock_offset is not None:
        parse_duration(request.clock_offset)
        if request.off_clock == "refuse" or request.clock is None:
            raise DataError("--clock-offset says which bars are on the clock: it needs --clock and --off-clock drop or snap")
        if parse_clock(request.clock) < LONG_BAR:
            raise DataError(f"--clock-offset is for bars of an hour or more, and --clock says {request.clock}")
    preset = find_preset(request.preset) if request.preset is not None else None
    origins, base = _origins(request)
    files: dict[Kind, list[FilePlan]] = {}
    about: dict[str, list[str]] = {}
    for origin in origins:
        try:
            plan = _file(origin, request, preset)
        except DataError as error:
            others = len(origins) > len(request.sources) and request.only is None
            raise DataError(f"{error}{'; --only GLOB takes other files alone' if others else ''}") from None
        files.setdefault(plan.matching.kind, []).append(plan)
        for key, value in plan.source.about.items():
            about.setdefault(key, []).append(value)
    files = {kind: files[kind] for kind in KINDS if kind in files}
    kept = _check_folder(request, files)
    if kept:
        base = _own(request.out)
    held = {path.name.split(".")[0] for path in kept}
    if not {"bars", "trades"} & ({*files} | held):
        only = " and ".join(files)
        raise DataError(
            f"only {only} would be in {request.out.name}, and a run needs bars or trades; import these too, or add to a folder "
            "that has them with --add"
        )
    described = _describe(request, base, origins, about, preset)
    return ImportPlan(request, files, {kind: _schema(kind, plans) for kind, plans in files.items()}, described, kept)


def _origins(request: ImportRequest) -> tuple[list[Origin], dict[str, Any]]:
    """The tables to read, and what a market-data folder among the sources says about itself."""
    found: list[Origin] = []
    base: dict[str, Any] = {}
    for source in request.sources:
        found += origins_in(source, request.only)
        if source.is_dir():
            base |= _own(source)
    if not found:
        raise DataError("nothing was named to import; give files, or a folder of them")
    seen: set[Origin] = set()
    for origin in found:
        key = replace(origin, path=origin.path.resolve())
        if key in seen:
            raise DataError(f"{origin.path} is named twice; name it once")
        seen.add(key)
    return found, base


def _own(folder: Path) -> dict[str, Any]:
    return read_description(folder).model_dump(exclude_unset=True, exclude={"timezone"})


def _file(origin: Origin, request: ImportRequest, preset: Preset | None) -> FilePlan:
    source = open_source(origin, preset=preset, header=request.header, skip=request.skip_lines, encoding=request.encoding)
    if preset is None:
        preset = source.layout or _known(origin, source, request)
    matching = match_columns(origin.name, source.columns, kind=request.kind, preset=preset, chosen=request.columns)
    named = "symbol" in matching.columns and request.symbol is None
    if request.symbol is not None and "symbol" in matching.columns:
        columns = {ours: theirs for ours, theirs in matching.columns.items() if ours != "symbol"}
        dropped = (*matching.dropped, str(matching.columns["symbol"]))
        matching = replace(matching, columns=columns, dropped=dropped)
    told = preset.named(origin.names) if preset is not None else None
    own = source.symbol or (told["symbol"].upper() if told else None) if request.symbol is None else None
    symbol = None if named else own or symbol_of(origin.name, request.symbol)
    if symbol is not None and (fault := name_fault(symbol)) is not None:
        raise DataError(f"{origin.name}: its symbol {symbol[:MOST_CHARACTERS]!r} {fault}, or give --symbol NAME")
    zone = request.timezone or (preset.zone if preset is not None else None)
    if zone is None and re.search(r"\b(gmt|utc)\b", str(matching.columns["timestamp"]).lower().replace("_", " ")):
        zone = "UTC"
    day = told.groupdict().get("day") if told else None
    times = Times(source.row, request.time_unit, zone, request.time_format, day, ends=request.stamp == "close")
    if preset is not None and "?P<day>" in preset.files and day is None:
        raise DataError(f"{origin.name}: the day is in the names of such files, like 20240307_spy_minute_trade.csv; keep them")
    scale = _scale(source, matching, preset.scale if preset is not None else {}, request.scale)
    return FilePlan(source, matching, symbol, times, Numbers(source.row, scale, request.decimal), preset)


def _known(origin: Origin, source: Source, request: ImportRequest) -> Preset | None:
    """The layout of a file with a header of its own, where that is known and nothing else was said."""
    preset = None if request.header else recognised(origin.names, source.columns)
    return preset if preset is not None and request.kind in (None, preset.kind) else None


def _scale(source: Source, matching: Matching, fixed: Mapping[str, float], asked: Mapping[str, float]) -> dict[str, float]:
    """Our field -> factor. fixed: of the columns that a layout writes as whole numbers; asked: of any column.

    Raises DataError for whole numbers as prices in a file that can only be Databento's: they are billionths.
    """
    made: dict[str, float] = {}
    for ours, theirs in matching.columns.items():
        whole = theirs is not None and pa.types.is_integer(source.types[theirs])
        level = ours[:6]  # bid_px_0 has the factor of bid_px
        factor = asked.get(ours) or asked.get(level) or (fixed.get(ours) or fixed.get(level) if whole else None)
        if factor is not None:
            made[ours] = factor
        elif whole and _BILLIONTHS <= set(source.columns) and (ours in _PRICES or level in _PRICES):
            raise DataError(
                f"{source.name}: {theirs} holds whole numbers, which are prices of 1e-9 in such a file; give --scale price=1e-9"
                ", or leave the layout to be recognised, without --kind and --preset"
            )
    return made


def _schema(kind: Kind, files: Sequence[FilePlan]) -> pa.Schema:
    """Our columns over all files of a kind; what a file lacks is not known there."""
    parts = [f.converted() for f in files]
    if kind == "book":
        names = [f"{side}_{level}" for level in range(max(f.matching.depth for f in files)) for side in BOOK_SIDES]
    else:
        names = list(dict.fromkeys(name for part in parts for name in part.fields()))
    types: dict[str, Any] = {"timestamp": TIME, "symbol": pa.string()}
    for name in names:
        types[name] = pa.string() if name == "side" else _id_type(files) if name == "trade_id" else pa.float64()
    return pa.schema(types)


def _id_type(files: Sequence[FilePlan]) -> Any:
    """Whole numbers where all files have such ids, else text."""
    theirs = (f.source.types[str(f.matching.columns["trade_id"])] for f in files if "trade_id" in f.matching.columns)
    return pa.int64() if all(pa.types.is_integer(kind) for kind in theirs) else pa.string()


def _check_folder(request: ImportRequest, files: Mapping[Kind, Any]) -> tuple[Path, ...]:
    """The files of an existing folder that stay. Raises DataError where it may not be touched."""
    out = request.out
    if not out.exists():
        return ()
    if not out.is_dir():
        raise DataError(f"{out}: is a file; name a folder to make")
    entries = sorted(p for p in out.iterdir() if not p.name.startswith("."))
    own = {"dataset.yml", *(f"{kind}{suffix}" for kind in KINDS for suffix in SUFFIXES)}
    strange = [p for p in entries if p.name not in own]
    if (request.overwrite or request.add) and strange:
        raise DataError(f"{out}: holds {strange[0].name}, which is no market data; name another folder")
    if request.overwrite or not entries:
        return ()
    if not request.add:
        raise DataError(f"{out}: exists already; name another folder, replace it with --overwrite, or add to it with --add")
    for kind in files:
        there = [p.name for p in entries if p.name.split(".")[0] == kind]
        if there:
            raise DataError(
                f"{out}: holds {there[0]} already; import all {kind} at once, or replace the folder with --overwrite"
            )
    return tuple(p for p in entries if p.name != "dataset.yml")


def _describe(
    request: ImportRequest,
    base: Mapping[str, Any],
    origins: Sequence[Origin],
    about: Mapping[str, Sequence[str]],
    preset: Preset | None,
) -> dict[str, Any]:
    """The keys of dataset.yml: what was asked for, before what the sources say of themselves."""
    made = dict(base)
    asked = {key: getattr(request, key) for key in ("clock", "calendar", "stamp", "funding_interval", "venue", "licence")}
    for key, value in asked.items():
        if value is not None:
            if request.add and key in ("clock", "stamp") and made.get(key, value) != value:
                raise DataError(f"{request.out.name}/dataset.yml says {key}: {made[key]}, and --{key} {value}; they must agree")
            made[key] = value
    made |= request.facts
    made.setdefault("stamp", "open")
    shown = ", ".join(o.name for o in origins[:3]) + (f" and {len(origins) - 3} more" if len(origins) > 3 else "")
    told = list(dict.fromkeys(about.get("source", ())))
    origin = "; ".join(told[:4] + ["..."] * (len(told) > 4)) or f"imported from {shown}"
    if preset is not None and not told:
        origin += f" ({preset.name})"
    source = request.source_text or (f"{made['source']}; {origin}" if request.add and "source" in made else origin)
    made["source"] = source if request.source_text or request.add or "source" not in base else base["source"]
    licences = "; ".join(dict.fromkeys(about.get("licence", ())))
    if licences:
        made.setdefault("licence", licences)
    describe(made)  # refuses what no reader would take
    return made
