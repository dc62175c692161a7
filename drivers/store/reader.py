"""A finished run, read back from its folder: tables as they were written, and layers' outputs as the panels they were.

run = open_run(Path("runs/2026-03-01T120000Z"))
fills = run.frame("fills", symbols=["BTCUSDT"])
slope = run.value("kinematics", "l12_regression_slope_short", Slope)   # panels (T, N), the bits of the run
"""

from __future__ import annotations

import functools
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dataflows.panel import Ints, Kind, fields_of, is_log, is_record, kind_of
from drivers.graph.columns import wide_columns
from drivers.project.locate import WIRING, Project
from drivers.store.kept import instead, kept_of
from drivers.store.parquet import files_of
from drivers.text.suggestions import did_you_mean
from drivers.text.times import stamp

if TYPE_CHECKING:
    import pandas as pd

TABLES: Final = ("orders", "fills", "ledger", "decisions")
"""The tables of every run beside `features/<domain>`."""


class RecordedError(ValueError):
    """A folder or a part of it is not what was asked for. One sentence: which, and what there is instead."""


class Command(NamedTuple):
    """An operator command that acted. time: as `stamp` writes it. said: as the operator writes it. by: who sent it. refused:
    why it did nothing; empty where it did something."""

    time: str
    said: str
    by: str
    refused: str


def open_run(folder: Path | str) -> RecordedRun:
    """The run in a folder of results. Raises RecordedError when it holds none, or one that is not whole."""
    folder = Path(folder)
    if not folder.is_dir():
        raise RecordedError(f"{folder} is not a folder; name the results of a run, e.g. runs/2026-03-01T120000Z")
    path = folder / "run.json"
    if not path.is_file():
        unfinished = " It ends in .partial: the run is still going on, or was killed." if folder.suffix == ".partial" else ""
        raise RecordedError(f"{folder} has no run.json, so it holds no finished run.{unfinished}")
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        symbols = tuple(about["symbols"])
    except (ValueError, KeyError, TypeError):
        raise RecordedError(f"{path} is damaged: it is not what a run writes; run it again") from None
    return RecordedRun(folder, about, symbols)


def _as_said(command: dict[str, Any]) -> str:
    about = command.get("order") or command.get("symbol") or command.get("amount")
    latches = [f"LATCH {name}" for name in command.get("latches", [])]
    return " ".join([command["command"], *latches, *([] if about is None else [str(about)])])


@dataclass(frozen=True)
class RecordedRun:
    """One run's results. about: run.json. symbols: names of the columns, sorted. Nothing is read before it is asked for."""

    folder: Path
    about: dict[str, Any]
    symbols: tuple[str, ...]

    @property
    def project(self) -> Project:
        """The wiring and the configuration as this run used them; machine specs are resolved in them."""
        return Project(self.folder, self.folder / WIRING, self.folder / "config", self.folder / "specs")

    def operator_commands(self) -> list[Command]:
        """What was said to the run between its bars, in order."""
        return [Command(c["time"], _as_said(c), c["by"], c.get("refused", "")) for c in self.about.get("operator_commands", [])]

    @property
    def kept(self) -> str:
        """Which of the layers' values it keeps: "all", "decisions" or "none"."""
        return kept_of(self.about)

    def decided(self) -> list[str]:
        """Domains whose layers' values are kept at the bars that log.jsonl has a line about."""
        return sorted(path.stem for path in (self.folder / "decided").glob("*.parquet"))

    def row(self, domain: str, columns: Sequence[str], symbol: str, time: int) -> dict[str, Any] | None:
        """Values of a domain's layers of one symbol at one bar, by column; None where the run keeps none of that bar."""
        name = f"{'features' if self.kept == 'all' else 'decided'}/{domain}"
        table = self.table(name, columns, symbols=[symbol], start=time - 1, end=time)
        return {column: table[column][0].as_py() for column in columns} if table.num_rows else None

    def domains(self) -> list[str]:
        """Domains whose layers' outputs were recorded at every bar, all or some."""
        return sorted(path.stem for path in (self.folder / "features").glob("*.parquet"))

    def learned(self) -> list[str]:
        """Domains whose epoch layers' results are kept: a row a symbol and epoch, of the first bar from which they hold."""
        return sorted(path.stem for path in (self.folder / "epochs").glob("*.parquet"))

    def tables(self) -> list[str]:
        """Every name that `table` takes."""
        there = [name for name in TABLES if files_of(self.folder / f"{name}.parquet")]
        return [
            *there,
            *(f"features/{domain}" for domain in self.domains()),
            *(f"decided/{domain}" for domain in self.decided()),
            *(f"epochs/{domain}" for domain in self.learned()),
        ]

    def columns(self, name: str) -> list[str]:
        """The columns of a table."""
        return list(self._schema(name).names)

    @functools.cached_property
    def _times(self) -> Ints:
        """From the smallest table that has a row for every bar and symbol."""
        there = self.tables()
        every_bar = [name for name in there if name == "ledger" or name.startswith("features/")]
        if not every_bar:
            raise RecordedError(f"{self.folder} has neither ledger.parquet nor features/, so its bars are not known")
        found, rows, n = [], 0, len(self.symbols)
        for group in self.groups(every_bar[0], ["timestamp"]):  # all of them at once take as much memory as a panel
            found.append(group["timestamp"].cast(pa.int64()).to_numpy()[-rows % n :: n].copy())
            rows += group.num_rows
        return np.concatenate(found) if found else np.zeros(0, np.int64)

    def times(self) -> Ints:
        """Closes of the bars, (T,) UTC ns, ascending."""
        return self._times

    def groups(self, name: str, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Columns of a table, one row group at a time, in order; the next one is read meanwhile. Raises RecordedError where it
        cannot be read."""
        wanted = list(columns)
        with ThreadPoolExecutor(1, thread_name_prefix="groups") as beside:
            for path in files_of(self._path(name)):
                try:
                    file = self._file(path)
                    jobs = (beside.submit(file.read_row_group, i, columns=wanted) for i in range(file.num_row_groups))
                    group = next(jobs, None)
                    while group is not None:
                        following = next(jobs, None)
                        yield group.result()
                        group = following
                except (OSError, pa.ArrowException) as error:
                    raise RecordedError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None

    def table(
        self,
        name: str,
        columns: Sequence[str] | None = None,
        *,
        symbols: Sequence[str] | None = None,
        start: int | None = None,
        end: int | None = None,
    ) -> pa.Table:
        """A table, or the part of it with these columns and symbols, whose timestamps lie in (start, end], UTC ns.

        name: "orders", "fills", "ledger", "decisions", "features/<domain>", "decided/<domain>" or "epochs/<domain>".
        `timestamp` and `symbol` always come with the columns. Raises RecordedError naming a table, column or symbol that there
        is not.
        """
        schema = self._schema(name)
        self._known(columns or (), schema.names, f"{name}: there is no column", self._instead(name))
        self._known(symbols or (), self.symbols, f"{self.folder.name}: there is no symbol")
        wanted = None if columns is None else list(dict.fromkeys(["timestamp", "symbol", *columns]))
        condition: Any = None
        stamp = pc.field("timestamp")
        for given, low in ((start, True), (end, False)):
            if given is not None:
                bound = pa.scalar(given, pa.int64()).cast(pa.timestamp("ns", "UTC"))
                part = stamp > bound if low else stamp <= bound
                condition = part if condition is None else condition & part
        path = self._path(name)
        try:
            if condition is None and path.is_file():
                found = self._file(path).read(columns=wanted)
                found = found if wanted is None else found.select(wanted)
            else:
                found = pq.read_table(path, columns=wanted, filters=condition)
        except (OSError, pa.ArrowException) as error:
            raise RecordedError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
        if symbols is not None:
            found = found.filter(pc.is_in(found["symbol"].cast(pa.string()), pa.array(list(symbols), pa.string())))
        return found

    def frame(self, name: str, columns: Sequence[str] | None = None, **where: Any) -> pd.DataFrame:
        """The same as `table`, for pandas; timestamps are UTC nanoseconds."""
        frame: pd.DataFrame = self.table(name, columns, **where).to_pandas()
        return frame

    def value(
        self,
        domain: str,
        node: str,
        annotation: Any,
        *,
        start: int | None = None,
        end: int | None = None,
        paths: Collection[tuple[str, ...]] | None = None,
    ) -> Any:
        """What a layer returned over the bars in (start, end], as the record of panels that it was, to the bit.

        annotation: the layer's return annotation. Panels (T, N), series (T,), stacks (T, N, K), writable copies. paths: the
        leaves to read, None for all. A leaf that was not asked for, or that a run does not record, is None. Raises
        RecordedError for a leaf that this run lacks.
        """
        if is_log(annotation):
            raise RecordedError(f"{node} is a log and not recorded as panels; the tables orders and fills hold what it said")
        parts = self._parts(annotation, (), node)
        if paths is not None:
            parts = {path: part for path, part in parts.items() if path in paths}
        names = [column for _, columns in parts.values() for column in columns(self.columns(f"features/{domain}"))]
        table = self.table(f"features/{domain}", names, start=start, end=end)
        n = len(self.symbols)
        bars = table.num_rows // n
        if table.num_rows != bars * n:
            raise RecordedError(f"{self._path(f'features/{domain}')} has {table.num_rows} rows, no multiple of {n} symbols")

        def panel(column: str, kind: Kind) -> Any:
            flat = table[column].to_numpy()
            shaped = flat.reshape(bars, n)
            return np.array(shaped[:, 0] if kind.axes == () else shaped, kind.numpy, order="C")

        def made(inner: Any, path: tuple[str, ...]) -> Any:
            if is_record(inner):
                return inner(*[made(hint, (*path, field)) for field, hint in fields_of(inner).items()])
            if path not in parts:
                return None
            kind, columns = parts[path]
            if not kind.recorded or "static" in kind.axes:
                return None
            own = columns(table.column_names)
            if len(kind.axes) == 2:
                return np.ascontiguousarray(np.stack([panel(column, kind) for column in own], axis=2))
            return panel(own[0], kind)

        return made(annotation, ())

    def log(self, node: str, annotation: Any, instants: Ints) -> tuple[Any, Ints]:
        """What a layer wrote into its log at these successive instants (UTC ns), to the bit, and where each begins.

        annotation: the log's NamedTuple. Returns the log and its offsets (T + 1,). Raises RecordedError where the run has not
        kept the log, or an entry is of an instant in between.
        """
        path = self.folder / "logs" / f"{node}.parquet"
        names = [name for name in fields_of(annotation) if name != "n"]
        kinds = [kind_of(fields_of(annotation)[name]) for name in names]
        if not (files := files_of(path)):
            raise RecordedError(f"{self.folder.name} has no logs/{node}.parquet: an older version made it; run it again")
        lacking = [name for name in names if name not in pq.read_schema(files[0]).names]
        if lacking:
            raise RecordedError(
                f"{self.folder.name} does not hold {node}.{lacking[0]}: it was made by another version of that layer"
            )
        low, high = (pa.scalar(int(t), pa.int64()).cast(pa.timestamp("ns", "UTC")) for t in instants[[0, -1]])
        table = pq.read_table(path, filters=(pc.field("timestamp") >= low) & (pc.field("timestamp") <= high))
        stamps = table["timestamp"].cast(pa.int64()).to_numpy()
        between = ~np.isin(stamps, instants)
        if between.any():
            at = stamp(stamps[between][0])
            raise RecordedError(f"{self.folder.name}: {node} acted between two bars, at {at}; that cannot be run again by bars")
        offsets = np.concatenate([[0], np.searchsorted(stamps, instants, side="right")])
        columns = [np.array(table[name].to_numpy(), kind.numpy) for name, kind in zip(names, kinds, strict=True)]
        return annotation(len(stamps), *columns), offsets

    # ---- parts

    def _parts(self, annotation: Any, path: tuple[str, ...], node: str) -> dict[tuple[str, ...], tuple[Kind, Any]]:
        """Each leaf's kind, and a function that finds its columns among those of a table."""
        if is_record(annotation):
            found: dict[tuple[str, ...], tuple[Kind, Any]] = {}
            for field, inner in fields_of(annotation).items():
                found |= self._parts(inner, (*path, field), node)
            return found
        kind = kind_of(annotation)
        name = ".".join([part for part in (node, *path) if part])

        def columns(there: Sequence[str]) -> list[str]:
            if not kind.recorded or "static" in kind.axes:
                return []
            if len(kind.axes) == 2:
                if found := wide_columns(name, kind, there):
                    return found
            elif name in there:
                return [name]
            if self.kept != "all":
                raise RecordedError(f"{self.folder.name} does not hold {name} at every bar: {instead(self.kept)}")
            raise RecordedError(f"{self.folder.name} does not hold {name}: it was made by another version of that layer")

        return {path: (kind, columns)}

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.parquet"

    @functools.cached_property
    def _schemas(self) -> dict[str, pa.Schema]:
        """Those that have been read: a footer takes longer to read than a column."""
        return {}

    def _schema(self, name: str) -> pa.Schema:
        if name in self._schemas:
            return self._schemas[name]
        self._known([name], self.tables(), f"{self.folder.name}: there is no table", self._instead(name))
        try:
            schema = self._schemas[name] = self._file(files_of(self._path(name))[0]).schema_arrow
            return schema
        except (OSError, pa.ArrowException) as error:
            raise RecordedError(f"{self._path(name)} cannot be read: {str(error).splitlines()[0]}") from None

    @functools.cached_property
    def _open(self) -> dict[tuple[Path, int, int], pq.ParquetFile]:
        """The file that was read last: to parse its footer takes longer than to read a column."""
        return {}

    def _file(self, path: Path) -> pq.ParquetFile:
        state = path.stat()
        content = (path, state.st_ino, state.st_mtime_ns)
        if content not in self._open:
            self._open.clear()
            self._open[content] = pq.ParquetFile(path)
        return self._open[content]

    def _instead(self, name: str) -> str:
        """What a run that keeps less than all has instead of a table of features."""
        return instead(self.kept) if self.kept != "all" and name.startswith("features/") else ""

    @staticmethod
    def _known(wanted: Iterable[str], there: Sequence[str], what: str, instead: str = "") -> None:
        for name in wanted:
            if name not in there:
                raise RecordedError(f"{what} {name!r}; {instead or did_you_mean(name, there)}")
