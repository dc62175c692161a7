"""Carries out an import: reads, sorts, writes, checks. The folder appears under its name only when it is whole and sound."""

from __future__ import annotations

import glob
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from drivers.feeds.check import QualityReport, check_dataset
from drivers.feeds.description import SECOND
from drivers.feeds.errors import DataError
from drivers.feeds.importing.merge import Sorter, without_repeats
from drivers.feeds.importing.plan import ImportPlan
from drivers.feeds.importing.presets import Kind
from drivers.feeds.importing.ticks import TickGuess

Progress = Callable[[float, str], None]
_GROUP_ROWS: Final = 1 << 17
_UNIQUE: Final = frozenset({"bars", "funding"})
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


@dataclass(frozen=True)
class ImportResult:
    """A finished import: the folder, what is in it, and its check. notes: what is odd between the files."""

    out: Path
    kinds: tuple[KindResult, ...]
    report: QualityReport
    notes: tuple[str, ...]


def run_import(plan: ImportPlan, progress: Progress | None = None, *, budget: int | None = None) -> ImportResult:
    """Writes the folder of a plan. progress: told the share done and what is being done. budget: bytes held for sorting.

    Raises DataError naming the row at fault; OSError when the disk is full. Whatever stops it, nothing half-written stays and
    what was there before is as it was.
    """
    request, out = plan.request, plan.request.out
    told: Progress = progress or (lambda share, what: None)
    out.parent.mkdir(parents=True, exist_ok=True)
    _sweep(out)
    beside = out.parent / f".{out.name}.{os.getpid()}.partial"
    beside.mkdir()
    aside = out.parent / f".{out.name}.{os.getpid()}.runs"
    try:
        for path in plan.kept:
            _link(path, beside / path.name)
        results, ticks = [], TickGuess() if request.guess_ticks else None
        sizes = {kind: sum(f.size for f in files) for kind, files in plan.files.items()}
        done = 0.0
        for kind in plan.files:
            share = 0.9 * sizes[kind] / sum(sizes.values())
            results.append(_write_kind(plan, kind, beside, aside, ticks, done, share, told, budget))
            done += share
        told(0.9, "Checking")
        report = _checked(plan, beside, ticks)
        if out.exists():
            _exchange(beside, out)
        else:
            beside.rename(out)
    finally:  # Ctrl-C too: nothing half written stays
        shutil.rmtree(beside, ignore_errors=True)
        shutil.rmtree(aside, ignore_errors=True)
    told(1.0, "Done")
    return ImportResult(out, tuple(results), replace(report, path=out), tuple(_strangers(results, report)))


def _write_kind(
    plan: ImportPlan,
    kind: Kind,
    folder: Path,
    aside: Path,
    ticks: TickGuess | None,
    done: float,
    share: float,
    told: Progress,
    budget: int | None,
) -> KindResult:
    """Reads the files of one kind, and writes them as one Parquet file in order."""
    aside.mkdir()
    schema, files = plan.schemas[kind], plan.converted(kind)
    sorter = Sorter(aside, budget) if budget is not None else Sorter(aside)
    whole = sum(f.size for f in plan.files[kind])
    before = 0
    for file, planned in zip(files, plan.files[kind], strict=True):
        for table in file.tables():
            aligned = _aligned(table, schema)
            if ticks is not None:
                ticks.add(aligned)
            sorter.add(aligned)
            told(done + 0.7 * share * (before + planned.size * file.source.done) / whole, f"Reading {file.source.name}")
        before += planned.size
    rows = sum(file.rows for file in files)
    written = repeated = 0
    symbols: set[str] = set()
    # page indexes and statistics are of no use here; BYTE_STREAM_SPLIT would undo what the dictionary gains on ticks
    with pq.ParquetWriter(folder / f"{kind}.parquet", schema, compression="zstd", compression_level=3) as writer:
        for table in _gathered(sorter.sorted()):
            if kind in _UNIQUE:
                table, dropped = without_repeats(table, plan.request.duplicates)
                repeated += dropped
            writer.write_table(table, row_group_size=_GROUP_ROWS)
            written += table.num_rows
            symbols.update(pc.unique(table.column("symbol")).to_pylist())
            told(done + share * (0.7 + 0.3 * written / max(rows, written)), f"Writing {kind}.parquet")
    shutil.rmtree(aside)
    return KindResult(kind, len(files), rows, written, tuple(sorted(symbols)), repeated)


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
    for field in schema:
        if field.name in table.column_names:
            columns.append(table.column(field.name).cast(field.type))
        elif pa.types.is_floating(field.type):
            columns.append(pa.chunked_array([np.full(table.num_rows, np.nan)]))
        else:
            columns.append(pa.chunked_array([pa.nulls(table.num_rows, field.type)]))
    return pa.Table.from_arrays(columns, schema=schema)


def _checked(plan: ImportPlan, folder: Path, ticks: TickGuess | None) -> QualityReport:
    """Describes the folder and has it read as a run would. Raises DataError when a run would refuse it."""
    described = dict(plan.description)
    if ticks is not None:
        described |= ticks.found()
    _write_description(folder, described)
    report = check_dataset(folder)
    if not report.ok and not plan.request.allow_faults:
        others = len(report.faults) - 1
        more = f"; and {others} other kind{'s' * (others > 1)} of fault" if others else ""
        first = report.faults[0]
        rows = f" ({first.count} rows in all)" if first.count > 1 else ""
        sentence = re.sub(r"^(bars|book|trades|funding)\.parquet, row \d+: ", "", first.sentence)
        raise DataError(f"nothing was written: {sentence}{rows}{more}; --allow-faults writes it all the same, to look at it")
    if report.clock and "clock" not in described:
        seconds = report.step // SECOND
        described = {"clock": _clock(seconds), **described}
        _write_description(folder, described)
    return report


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
    away = old.parent / f".{old.name}.{os.getpid()}.replaced"
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


def _strangers(results: list[KindResult], report: QualityReport) -> list[str]:
    """Symbols that one kind has and the run will not see, since the bars lack them."""
    known = {s.symbol for s in report.symbols}
    notes = []
    for result in results:
        strange = [name for name in result.symbols if known and name not in known]
        if strange:
            have, not_seen = ", ".join(sorted(known)[:5]), ", ".join(strange[:5])
            notes.append(f"{result.kind} of {not_seen} will not be seen: the bars are of {have}; name them alike with --symbol")
    return notes
