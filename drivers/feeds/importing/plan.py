"""What an import would do, found out from the headers and first rows before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from drivers.feeds.description import Description, parse_clock, read_description
from drivers.feeds.errors import DataError
from drivers.feeds.importing.convert import TIME, Converted
from drivers.feeds.importing.merge import Policy
from drivers.feeds.importing.names import KINDS, Matching, match_columns
from drivers.feeds.importing.numbers import Numbers
from drivers.feeds.importing.presets import Kind, Preset, find_preset, preset_of_file, preset_of_header, symbol_in
from drivers.feeds.importing.source import Source
from drivers.feeds.importing.sources import FORMATS, files_in, open_source
from drivers.feeds.importing.symbols import symbol_of
from drivers.feeds.importing.times import UNITS, Times, check_zone
from drivers.feeds.tables import SUFFIXES
from drivers.feeds.ticks import BOOK_SIDES
from drivers.feeds.trading_time import check_calendar
from drivers.text.inert import MOST_CHARACTERS, name_fault


@dataclass(frozen=True)
class ImportRequest:
    """What to import, and how. sources: files, or folders of them; out: the market-data folder to make.

    columns: our field -> their column, or "none". symbol: a name, or a pattern of the file names with {symbol} in it; None
    takes the column, else the part of the name in capitals. time_unit: s, ms, us, ns; None goes by magnitude. timezone: of
    times without one. time_format: how they are written, for strptime. skip_lines: before the table of a text; None finds them.
    decimal: the decimal mark; None is a point, or a comma where the numbers leave no doubt. scale: our field -> factor.
    off_clock: what becomes of bars whose time is not on the clock: refused, left out, or moved to the clock before.
    funding_interval: between two payments, where rows of funding are quotes of the rate. add: into an existing folder that
    lacks these kinds. allow_faults: write what a run would refuse.
    """

    sources: tuple[Path, ...]
    out: Path
    preset: str | None = None
    kind: Kind | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    header: tuple[str, ...] = ()
    symbol: str | None = None
    stamp: Literal["open", "close"] | None = None
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
    duplicates: Policy = "refuse"
    funding_interval: str | None = None
    venue: str | None = None
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

    @property
    def size(self) -> int:
        """Bytes on disk, by which progress is told."""
        return self.source.path.stat().st_size


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
        return [Converted(f.source, f.matching, f.symbol, f.times, f.numbers, ids) for f in self.files[kind]]


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
    preset = find_preset(request.preset) if request.preset is not None else None
    paths, base = _paths(request)
    files: dict[Kind, list[FilePlan]] = {}
    about: dict[str, list[str]] = {}
    for path in paths:
        plan = _file(path, request, preset)
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
    described = _describe(request, base, paths, about, preset)
    return ImportPlan(request, files, {kind: _schema(kind, plans) for kind, plans in files.items()}, described, kept)


def _paths(request: ImportRequest) -> tuple[list[Path], dict[str, Any]]:
    """The files to read, and what a market-data folder among the sources says about itself."""
    paths: list[Path] = []
    base: dict[str, Any] = {}
    for source in request.sources:
        if source.is_dir():
            found = files_in(source)
            if not found:
                raise DataError(f"{source}: holds no file of a known format ({', '.join(FORMATS)})")
            paths += found
            base |= _own(source)
        else:
            paths.append(source)
    if not paths:
        raise DataError("nothing was named to import; give files, or a folder of them")
    twice = [p for i, p in enumerate(paths) if p.resolve() in [q.resolve() for q in paths[:i]]]
    if twice:
        raise DataError(f"{twice[0]} is named twice; name it once")
    return paths, base


def _own(folder: Path) -> dict[str, Any]:
    return read_description(folder).model_dump(exclude_unset=True, exclude={"timezone"})


def _file(path: Path, request: ImportRequest, preset: Preset | None) -> FilePlan:
    source = open_source(path, preset=preset, header=request.header, skip=request.skip_lines, encoding=request.encoding)
    if preset is None and request.kind is None:
        preset = preset_of_header(source.columns) or preset_of_file(path.name, len(source.columns))
        if preset is not None and not set(preset.columns.values()) <= set(source.columns):
            preset = None
    matching = match_columns(path.name, source.columns, kind=request.kind, preset=preset, chosen=request.columns)
    named = "symbol" in matching.columns and request.symbol is None
    if request.symbol is not None and "symbol" in matching.columns:
        columns = {ours: theirs for ours, theirs in matching.columns.items() if ours != "symbol"}
        dropped = (*matching.dropped, str(matching.columns["symbol"]))
        matching = replace(matching, columns=columns, dropped=dropped)
    own = source.symbol or symbol_in(preset, path.name) if request.symbol is None else None
    symbol = None if named else own or symbol_of(path, request.symbol)
    if symbol is not None and (fault := name_fault(symbol)) is not None:
        raise DataError(f"{path.name}: its symbol {symbol[:MOST_CHARACTERS]!r} {fault}, or give --symbol NAME")
    zone = request.timezone or (preset.zone if preset is not None else None)
    times = Times(source.row, request.time_unit, zone, request.time_format)
    whole = {ours for ours, name in matching.columns.items() if name and pa.types.is_integer(source.types[name])}
    fixed = {ours: factor for ours, factor in preset.scale.items() if ours in whole} if preset is not None else {}
    scale = {**fixed, **request.scale}
    return FilePlan(source, matching, symbol, times, Numbers(source.row, scale, request.decimal))


def _schema(kind: Kind, files: Sequence[FilePlan]) -> pa.Schema:
    """Our columns over all files of a kind; what a file lacks is not known there."""
    parts = [Converted(f.source, f.matching, f.symbol, f.times, f.numbers) for f in files]
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
    paths: Sequence[Path],
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
    made.setdefault("stamp", preset.stamp if preset is not None else "open")
    shown = ", ".join(p.name for p in paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
    origins = list(dict.fromkeys(about.get("source", ())))
    origin = "; ".join(origins[:4] + ["..."] * (len(origins) > 4)) or f"imported from {shown}"
    if preset is not None and not origins:
        origin += f" ({preset.name})"
    source = request.source_text or (f"{made['source']}; {origin}" if request.add and "source" in made else origin)
    made["source"] = source if request.source_text or request.add or "source" not in base else base["source"]
    licences = "; ".join(dict.fromkeys(about.get("licence", ())))
    if licences:
        made.setdefault("licence", licences)
    Description(**made)  # refuses what no reader would take
    return made
