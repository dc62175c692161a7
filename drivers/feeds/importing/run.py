"""Carries out an import: reads, sorts, writes, checks. The folder appears under its name only when it is whole and sound."""

from __future__ import annotations

import glob
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from dataflows.panel import Ints
from drivers.feeds.check import QualityReport, check_dataset
from drivers.feeds.description import SECOND, parse_clock
from drivers.feeds.errors import DataError
from drivers.feeds.importing.merge import BUDGET, Sorter, times, without_repeats
from drivers.feeds.importing.plan import ImportPlan
from drivers.feeds.importing.presets import Kind
from drivers.feeds.importing.ticks import TickGuess
from drivers.text.times import duration, parse_duration

Progress = Callable[[float, str], None]
_GROUP_ROWS: Final = 1 << 17
_FEWEST_OF_A_CLOCK: Final = 20
"""Bars that a file must have before their spacing says how long they are: some markets trade now and then."""
_READ_AND_WRITE: Final = 0.9  # of the progress; the rest is the check
_UNIQUE: Final = frozenset({"bars", "funding", "splits", "dividends", "alpha"})
"""Kinds of one row per time and symbol. Trades and snapshots may share an instant; the reader knows those that repeat."""


@dataclass(frozen=True)
class KindResult:
    """What became of one kind."""

    kind: Kind
    files: int
    read: int
    written: int
    symbols: tuple[str, ...]
    repeated: int  # rows dropped because their time and symbol were there already
    off_clock: int = 0  # bars left out or moved because their time was not on the clock
    empty: int = 0  # rows of funding left out, as they name no rate
    headers: int = 0  # headers left out that came again within a file


@dataclass(frozen=True)
class ImportResult:
    """A finished import: the folder, what is in it, and its check. notes: what is odd between the files."""

    out: Path
    kinds: tuple[KindResult, ...]
    report: QualityReport
    notes: tuple[str, ...]


def run_import(plan: ImportPlan, progress: Progress | None = None, *, budget: int | None = None) -> ImportResult:
    """Writes the folder of a plan. progress: called with the share done and what is being done. budget: bytes held for sorting.

    Raises DataError naming the row at fault; OSError when the disk is full. Whatever stops it, nothing half-written stays and
    what was there before is as it was.
    """
    out = plan.request.out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    _sweep(out)
    work = _Work(plan, _beside(out, "partial"), _beside(out, "runs"), progress or (lambda share, what: None), budget or BUDGET)
    work.folder.mkdir()
    try:
        for path in plan.kept:
            _link(path, work.folder / path.name)
        results = work.write()
        work.progress(_READ_AND_WRITE, "Checking")
        report = work.check()
        notes = [*_strangers(results, report), *_in_contracts(plan, results)]
        if out.exists():
            _exchange(work.folder, out)
        else:
            work.folder.rename(out)
    finally:  # Ctrl-C too: nothing half written stays
        shutil.rmtree(work.folder, ignore_errors=True)
        shutil.rmtree(work.aside, ignore_errors=True)
    work.progress(1.0, "Done")
    return ImportResult(plan.request.out, results, replace(report, path=plan.request.out), tuple(notes))


@dataclass
class _Clock:
    """How the bars of one file are spaced. step: the largest time of which all spacings are multiples."""

    name: str
    symbol: str | None  # None: the file has a column of them
    rows: int = 0
    first: int = np.iinfo(np.int64).max
    last: int = np.iinfo(np.int64).min
    step: int = 0

    def add(self, time: Ints) -> None:
        """More rows, in any order."""
        self.step = int(np.gcd(self.step, np.gcd.reduce(np.abs(time - time[0]))))
        if self.rows:
            self.step = int(np.gcd(self.step, abs(int(time[0]) - self.first)))
        self.rows += len(time)
        self.first, self.last = min(self.first, int(time.min())), max(self.last, int(time.max()))


def _refuse_mixed(clocks: Sequence[_Clock]) -> None:
    """Raises DataError for two files that have bars of one symbol and time, but of another length."""
    seen: dict[str, list[_Clock]] = {}
    for clock in clocks:
        if clock.symbol is None or clock.rows < _FEWEST_OF_A_CLOCK:
            continue
        for other in seen.setdefault(clock.symbol, []):
            if other.step != clock.step and other.first < clock.last and clock.first < other.last:
                raise DataError(
                    f"nothing was written: {other.name} has bars of {clock.symbol} {duration(other.step)} apart, and "
                    f"{clock.name} {duration(clock.step)} apart at the same time; import one of them, e.g. with "
                    f"--only '{clock.name}'"
                )
        seen[clock.symbol].append(clock)


@dataclass
class _Work:
    """An import under way. folder: what is to become the market-data folder; aside: runs of rows being sorted."""

    plan: ImportPlan
    folder: Path
    aside: Path
    progress: Progress
    budget: int
    ticks: TickGuess = field(default_factory=TickGuess)
    moved: int = 0  # bars off the clock
    empty: int = 0  # rows of funding that name no rate
    headers: int = 0  # that came again within a file of the kind being read

    def write(self) -> tuple[KindResult, ...]:
        """A Parquet file for each kind; the larger its sources, the larger its part of the progress."""
        sizes = {kind: sum(f.size for f in files) for kind, files in self.plan.files.items()}
        whole, done, results = sum(sizes.values()), 0, []
        for kind, size in sizes.items():
            results.append(self._kind(kind, _READ_AND_WRITE * done / whole, _READ_AND_WRITE * size / whole))
            done += size
        return tuple(results)

    def _kind(self, kind: Kind, begun: float, share: float) -> KindResult:
        """Reads the files of one kind, sorts their rows and writes them. begun, share: of the progress."""
        self.aside.mkdir()
        sorter, symbols = Sorter(self.aside, self.budget), set[str]()
        rows = self._read(kind, sorter, lambda part, what: self.progress(begun + 0.7 * share * part, what))
        written = repeated = 0
        # page indexes and statistics are of no use here; BYTE_STREAM_SPLIT would undo what the dictionary gains on ticks
        out, schema = self.folder / f"{kind}.parquet", self.plan.schemas[kind]
        with pq.ParquetWriter(out, schema, compression="zstd", compression_level=3) as writer:
            for piece in _gathered(sorter.sorted()):
                table, dropped = without_repeats(piece, self.plan.request.duplicates) if kind in _UNIQUE else (piece, 0)
                writer.write_table(table, row_group_size=_GROUP_ROWS)
                symbols.update(pc.unique(table.column("symbol")).to_pylist())
                written, repeated = written + table.num_rows, repeated + dropped
                self.progress(begun + share * (0.7 + 0.3 * (written + repeated) / max(rows, written)), f"Writing {out.name}")
        shutil.rmtree(self.aside)
        return KindResult(
            kind,
            len(self.plan.files[kind]),
            rows,
            written,
            tuple(sorted(symbols)),
            repeated,
            self.moved if kind == "bars" else 0,
            self.empty,
            self.headers,
        )

    def _read(self, kind: Kind, sorter: Sorter, progress: Progress) -> int:
        """Every file's rows to the sorter; returns how many were read."""
        planned, schema, rows, before = self.plan.files[kind], self.plan.schemas[kind], 0, 0
        self.empty = self.headers = 0
        clocks: list[_Clock] = []
        whole = sum(f.size for f in planned)
        for file, size in zip(self.plan.converted(kind), (f.size for f in planned), strict=True):
            clocks.append(_Clock(file.source.name, file.symbol))
            for table in file.tables():
                clocks[-1].add(times(table))
                aligned = self._on_clock(_aligned(table, schema)) if kind == "bars" else _aligned(table, schema)
                if self.plan.request.guess_ticks:
                    self.ticks.add(aligned)
                sorter.add(aligned)
                progress((before + size * file.source.done) / whole, f"Reading {file.source.name}")
            rows, before, self.empty = rows + file.rows, before + size, self.empty + file.empty
            self.headers += file.source.repeats
        if kind == "bars":
            _refuse_mixed(clocks)
        return rows

    def _on_clock(self, bars: pa.Table) -> pa.Table:
        """Bars on the clock: the others left out, or moved, an open to its last multiple and a close to the next."""
        asked = self.plan.request
        if asked.off_clock == "refuse" or asked.clock is None:
            return bars
        time, step = times(bars), parse_clock(asked.clock)
        into = (time - (parse_duration(asked.clock_offset) if asked.clock_offset is not None else 0)) % step
        self.moved += int(np.count_nonzero(into))
        if asked.off_clock == "drop":
            return bars.filter(pa.array(into == 0))
        time = time - into  # a bar that ends within a step of the clock is not known before that step ends
        if self.plan.description["stamp"] == "close":
            time = time + np.where(into > 0, step, 0)
        return bars.set_column(0, "timestamp", pa.array(time).cast(bars.schema.field("timestamp").type))

    def check(self) -> QualityReport:
        """Describes the folder and has it read as a run would. Raises DataError when a run would refuse it."""
        described = dict(self.plan.description) | self.ticks.found()
        _write_description(self.folder, described)
        report = check_dataset(self.folder)
        if not report.ok and not self.plan.request.allow_faults:
            first, others = report.faults[0], len(report.faults) - 1
            more = f"; and {others} other kind{'s' * (others > 1)} of fault" if others else ""
            rows = f" ({first.count} rows in all)" if first.count > 1 else ""
            sentence = re.sub(r"^(bars|book|trades|funding|splits|dividends|alpha)\.parquet, row \d+: ", "", first.sentence)
            raise DataError(
                f"nothing was written: {sentence}{rows}{more}; --allow-faults writes it all the same, to look at it"
            )
        if report.clock and "clock" not in described:
            _write_description(self.folder, {"clock": _clock(report.step // SECOND), **described})
        return report


def _beside(out: Path, what: str) -> Path:
    """A hidden folder of this process, next to the one to be made: on the same disk, so that it can be moved."""
    return out.parent / f".{out.name}.{os.getpid()}.{what}"


def _gathered(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in larger tables, so that a row group is not as small as a piece of the merge."""
    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        if sum(part.num_rows for part in held) >= _GROUP_ROWS:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)


def _aligned(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The columns of the schema; those that the table lacks are not known."""
    columns = []
    for column in schema:
        if column.name in table.column_names:
            columns.append(table.column(column.name).cast(column.type))
        elif pa.types.is_floating(column.type):
            columns.append(pa.chunked_array([np.full(table.num_rows, np.nan)]))
        else:
            columns.append(pa.chunked_array([pa.nulls(table.num_rows, column.type)]))
    return pa.Table.from_arrays(columns, schema=schema)


def _write_description(folder: Path, described: dict[str, Any]) -> None:
    order = ("clock", "calendar", "stamp")
    sorted_keys = {key: described[key] for key in (*order, *described) if key in described}
    (folder / "dataset.yml").write_text(
        yaml.safe_dump(sorted_keys, sort_keys=False, allow_unicode=True, width=120), encoding="utf-8"
    )


def _clock(seconds: int) -> str:
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def _link(path: Path, to: Path) -> None:
    """The same file under another name; a copy where the disk knows no such thing."""
    try:
        os.link(path, to)
    except OSError:
        shutil.copyfile(path, to)


def _exchange(new: Path, old: Path) -> None:
    """Puts a folder in the place of another; where that fails, the other stays."""
    away = _beside(old, "replaced")
    old.rename(away)
    try:
        new.rename(old)
    except BaseException:
        away.rename(old)
        raise
    shutil.rmtree(away)


def _sweep(out: Path) -> None:
    """Removes what an import into this folder left behind that was killed without a last word."""
    for left in out.parent.glob(f".{glob.escape(out.name)}.*"):
        pid, _, what = left.name.removeprefix(f".{out.name}.").partition(".")
        if what in ("partial", "runs") and pid.isdigit() and not _alive(int(pid)):
            shutil.rmtree(left, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _in_contracts(plan: ImportPlan, results: Sequence[KindResult]) -> list[str]:
    """Symbols whose sizes count contracts, as their layout says."""
    found: list[str] = []
    for result in results:
        layouts = {f.preset.contracts for f in plan.files[result.kind] if f.preset is not None and f.preset.contracts}
        found += [name for name in result.symbols if any(re.fullmatch(layout, name) for layout in layouts)]
    if not found:
        return []
    return [f"sizes of {', '.join(found[:5])} are in contracts: say what one is worth with `multiplier` in dataset.yml"]


def _strangers(results: Sequence[KindResult], report: QualityReport) -> list[str]:
    """Symbols that one kind has and a run will not see, since the bars lack them. Raises DataError where that is all it has."""
    known = {s.symbol for s in report.symbols}
    notes = []
    for result in results:
        strange = [name for name in result.symbols if name not in known]
        if not known or not strange:
            continue
        unseen, have = ", ".join(strange[:5]), ", ".join(sorted(known)[:5])
        if len(strange) == len(result.symbols):
            raise DataError(
                f"nothing was written: the {result.kind} are of {unseen}, and the bars of {have}; name them alike with --symbol"
            )
        notes.append(f"{result.kind} of {unseen} will not be seen: the bars are of {have}")
    return notes
