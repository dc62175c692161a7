"""`data check`: everything that is wrong or odd with a market-data folder, listed rather than refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Group
from rich.table import Table as Grid
from rich.text import Text

from dataflows.panel import Floats
from drivers.feeds.advice import funding_notes, slip_notes, split_notes
from drivers.feeds.dataset import Dataset, open_dataset, read_folder
from drivers.feeds.description import read_description
from drivers.feeds.errors import DataError, Fault
from drivers.feeds.outliers import outliers
from drivers.feeds.partitioned import is_partitioned
from drivers.feeds.source import Source
from drivers.feeds.suitability import suitability_notes
from drivers.feeds.trading_time import RHYTHM, proposed
from drivers.project.configs import load_configs
from drivers.project.locate import defaults
from drivers.text.times import duration, utc

DRAWN_BYTES: Final = 2 << 30
"""Larger partitioned data sets are checked one symbol at a time, and not drawn."""


@dataclass(frozen=True)
class SymbolQuality:
    """What one symbol's bars look like."""

    symbol: str
    bars: int  # observed
    first: str  # close of its first bar, UTC
    last: str
    missing: int  # bars that are not there while it is listed
    gaps: int
    longest_gap: str  # length, "" for none
    longest_gap_at: str  # close of its first missing bar
    zero_volume: int
    duplicates: int
    outliers: int
    outlier_at: str  # the largest
    largest_return: float  # |log return| from close to close, nan where there is none
    longest_gap_ns: int = 0


@dataclass(frozen=True)
class QualityReport:
    """The outcome of `check_dataset`. `ok`: a run would take the data. Printable with rich."""

    path: Source
    ok: bool
    rows: int
    start: str
    end: str
    clock: str
    symbols: tuple[SymbolQuality, ...]
    faults: tuple[Fault, ...]  # impossible values and structures, one entry a kind
    snapshots: int = 0
    crossed: int = 0
    one_sided: int = 0
    empty: int = 0
    source: str = ""
    licence: str = ""
    hash: str = ""
    step: int = 0  # ns of the clock
    notes: tuple[str, ...] = field(default=())

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        made = asdict(self) | {"path": str(self.path)}
        for symbol in made["symbols"]:
            if np.isnan(symbol["largest_return"]):
                symbol["largest_return"] = None
        return made

    def __rich__(self) -> Group:
        grid = Grid(title=f"{self.path.name}: {self.rows} rows, {self.clock} bars, {self.start} to {self.end}")
        grid.add_column("symbol", no_wrap=True)
        for name in ("bars", "missing", "gaps", "zero volume", "repeated", "outliers", "largest return"):
            grid.add_column(name, justify="right")
        for s in self.symbols:
            largest = "" if np.isnan(s.largest_return) else f"{s.largest_return:.2%}"
            counts = (s.bars, s.missing, s.gaps, s.zero_volume, s.duplicates, s.outliers)
            grid.add_row(s.symbol, *map(str, counts), largest)
        parts: list[Any] = [grid] if self.symbols else []
        gaps = sorted((s for s in self.symbols if s.gaps), key=lambda s: -s.longest_gap_ns)
        parts.extend(Text(f"{s.symbol}: the longest gap is {s.longest_gap} from {s.longest_gap_at}") for s in gaps[:8])
        if len(gaps) > 8:
            parts.append(Text(f"{len(gaps) - 8} more symbols have gaps, none longer"))
        if self.snapshots:
            parts.append(
                Text(
                    f"book: {self.snapshots} snapshots, {self.crossed} crossed, {self.one_sided} one-sided, {self.empty} empty"
                )
            )
        parts.extend(Text(note) for note in self.notes)
        for fault in self.faults:
            more = f" ({fault.count} rows)" if fault.count > 1 else ""
            parts.append(Text(f"{fault.kind}: {fault.sentence}{more}", style="red"))
        verdict = "usable" if self.ok else "not usable until what is red is put right"
        parts.append(Text(f"{self.path.name} is {verdict}", style="green" if self.ok else "bold red"))
        return Group(*parts)


def check_dataset(path: Source, *, symbols: Sequence[str] | None = None, now: int | None = None) -> QualityReport:
    """Reads a market-data folder and lists its faults; impossible rows count as missing in the figures.

    Never raises for faults of the data: what stops the reading is the last of `faults`. now: as for `open_dataset`.
    """
    return inspect_dataset(path, symbols=symbols, now=now)[0]


def inspect_dataset(
    path: Source, *, symbols: Sequence[str] | None = None, now: int | None = None
) -> tuple[QualityReport, Dataset | None]:
    """As `check_dataset`, with the data as they were read: rows at fault are missing in them. None where reading stopped."""
    if is_partitioned(path):
        return _inspect_parts(path, symbols)
    assert isinstance(path, Path)  # a URL is of a partitioned data set
    noted: dict[str, Fault] = {}

    def note(fault: Fault) -> None:
        before = noted.get(fault.kind)
        noted[fault.kind] = fault if before is None else Fault(fault.kind, before.sentence, before.count + fault.count)

    try:
        data = read_folder(path, symbols=symbols, now=now, sink=note)
    except DataError as error:
        note(Fault("unreadable", str(error)))
        return QualityReport(Path(path), False, 0, "", "", "", (), tuple(noted.values())), None
    close, volume = data.rows(0, len(data)).close, data.rows(0, len(data)).volume
    duplicates = data.rows(0, len(data)).duplicates.sum(axis=0)
    figures = tuple(_symbol(data, n, close[:, n], volume[:, n], int(duplicates[n])) for n in range(len(data.symbols)))
    return _report(data, figures, tuple(noted.values()), _notes(data, figures)), data


def _inspect_parts(place: Source, symbols: Sequence[str] | None) -> tuple[QualityReport, Dataset | None]:
    """Of a partitioned data set: every file against its hash, and the bars of one symbol after the other."""
    figures: list[SymbolQuality] = []
    faults: list[Fault] = []
    try:
        data = open_dataset(place, symbols=symbols)
    except DataError as error:
        return QualityReport(place, False, 0, "", "", "", (), (Fault("unreadable", str(error)),)), None
    for symbol in data.symbols:
        try:
            alone = open_dataset(place, symbols=[symbol])
            rows = alone.rows(0, len(alone))
        except DataError as error:
            faults.append(Fault(f"unreadable {symbol}", str(error)))
            continue
        figures.append(_symbol(alone, 0, rows.close[:, 0], rows.volume[:, 0], int(rows.duplicates.sum())))
    size = 8 * len(data) * len(data.symbols) * len(data.held) * (data.depth if "bid_price" in data.held else 1)
    notes = data.notes()
    if size > DRAWN_BYTES:
        notes.append("the picture of the bars is left out, since all of them do not fit into memory; name some with --symbols")
    drawn = size <= DRAWN_BYTES and not faults
    return _report(data, tuple(figures), tuple(faults), notes), data if drawn else None


def _report(
    data: Dataset, figures: tuple[SymbolQuality, ...], faults: tuple[Fault, ...], notes: Sequence[str]
) -> QualityReport:
    return QualityReport(
        path=data.path,
        ok=not faults,
        rows=data.quality.rows,
        start=utc(int(data.time[0])),
        end=utc(int(data.time[-1])),
        clock=duration(data.step),
        symbols=figures,
        faults=faults,
        snapshots=data.quality.snapshots,
        crossed=data.quality.crossed,
        one_sided=data.quality.one_sided,
        empty=data.quality.empty,
        source=data.source,
        licence=data.licence,
        hash=data.digest,
        step=data.step,
        notes=tuple(notes),
    )


def _symbol(data: Dataset, n: int, close: Floats, volume: Floats, duplicates: int) -> SymbolQuality:
    seen = np.flatnonzero(~np.isnan(close))
    name = data.symbols[n]
    if not len(seen):
        return SymbolQuality(name, 0, "", "", 0, 0, "", "", 0, duplicates, 0, "", float("nan"))
    steps = np.diff(seen)
    gaps = steps > 1
    longest = int(np.argmax(steps)) if gaps.any() else -1
    returns = np.diff(np.log(close[seen]))
    odd = outliers(returns, data.time[seen[1:]], data.step)
    largest = int(np.argmax(np.abs(returns))) if len(returns) else -1
    worst = int(np.argmax(np.where(odd, np.abs(returns), -1.0))) if odd.any() else -1
    return SymbolQuality(
        symbol=name,
        bars=len(seen),
        first=utc(int(data.time[seen[0]])),
        last=utc(int(data.time[seen[-1]])),
        missing=int(data.listed[1, n] - data.listed[0, n] + 1 - len(seen)),
        gaps=int(np.count_nonzero(gaps)),
        longest_gap=duration(int(steps[longest] - 1) * data.step) if longest >= 0 else "",
        longest_gap_at=utc(int(data.time[seen[longest] + 1])) if longest >= 0 else "",
        zero_volume=int(np.count_nonzero(volume == 0.0)),
        duplicates=duplicates,
        outliers=int(np.count_nonzero(odd)),
        outlier_at=utc(int(data.time[seen[worst + 1]])) if worst >= 0 else "",
        largest_return=float(abs(returns[largest])) if largest >= 0 else float("nan"),
        longest_gap_ns=int(steps[longest] - 1) * data.step if longest >= 0 else 0,
    )


def _notes(data: Dataset, figures: Sequence[SymbolQuality]) -> list[str]:
    notes = []
    if not data.instruments.tick_size.all():
        notes.append("tick_size is not given for every symbol in dataset.yml: prices are not rounded there")
    if not data.instruments.lot_size.all():
        notes.append("lot_size is not given for every symbol in dataset.yml: quantities are not rounded there")
    rows = data.rows(0, len(data))
    mute = [s for n, s in enumerate(data.symbols) if figures[n].bars and not np.isfinite(rows.volume[:, n]).any()]
    if mute:
        named = ", ".join(mute[:8]) + (" and more" if len(mute) > 8 else "")
        notes.append(
            f"no bar of {named} has a volume (none, or 0 on every bar): layers of prices work, and no position is opened "
            "there, as neither fills nor impact can be estimated; import a source with volume to trade"
        )
    notes.extend(data.notes())
    notes.extend(suitability_notes(data, load_configs(defaults(), clock=data.clock)))
    assert isinstance(data.path, Path)  # a folder: see `inspect_dataset`
    notes.extend([*split_notes(data), *slip_notes(data), *funding_notes(data, read_description(data.path).funding_interval)])
    if data.quality.unlisted:
        notes.append(
            f"{data.quality.unlisted} bars lie before the `listing_time` or after the `delivery_time` that dataset.yml gives "
            "their symbol, and are left out"
        )
    if data.quality.while_closed:
        notes.append(
            f"{data.quality.while_closed} bars lie outside of the sessions of {data.calendar} and are left out; without "
            "`calendar` in dataset.yml they are used"
        )
    if data.calendar == RHYTHM:
        fits = proposed(data.time[np.isfinite(rows.close).any(axis=1)], data.step)
        better = f"the exchange calendar {fits} fits and knows early closes too: write `calendar: {fits}`"
        notes.append(
            "the market closes every week, as its bars show, and what is closed is no gap; "
            + (better if fits else "name an exchange calendar, or `calendar: 24/7` if it never closes,")
            + " in dataset.yml"
        )
    sparse = {s.symbol: s.missing / (s.bars + s.missing) for s in figures if s.bars and s.missing > 0.2 * (s.bars + s.missing)}
    if sparse:
        most = sorted(sparse.items(), key=lambda item: -item[1])
        shown = ", ".join(f"{name} {share:.0%}" for name, share in most[:8]) + (" and more" if len(most) > 8 else "")
        notes.append(
            f"many bars are missing of {shown}: a market that closes for the night has such gaps; else a longer clock may suit "
            "the data better"
        )
    return notes
