"""A run's results on disk, whole or not at all.

1. Everything goes to `<out>.partial`, a sibling of the final folder, chunk by chunk; a few tens of thousand rows wait in memory
   for each row group, which one thread beside the run compresses and writes. Its errors come up at the next call.
2. `finish` closes the files, writes run.json and renames the folder to its final name. What it replaces stays until then.
3. An error, a full disk above all, ends in `abandon`: the partial folder is removed and nothing has the final name. A writer
   in parts keeps it: `go_on` of a later process completes the results.
4. What is made from the results (the report) is made between 1 and 2, so that it is there when they are.

Parquet, lz4, float64 as they were computed. Rows are sorted by `timestamp` (bar close, UTC), then `symbol`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from dataflows.execution import types as ex
from dataflows.fusion.types import REFUSALS, Proposal, with_an_edge
from dataflows.panel import Bools, Ints, is_log
from dataflows.risk.types import HOLD, REASONS, VERDICTS, Approval
from drivers.engine.interrupts import deferred
from drivers.engine.parallel import cores
from drivers.files.atomic import sync
from drivers.files.json_values import json_values
from drivers.graph.columns import Leaf, leaves_of
from drivers.project.configs import Configs, config_text
from drivers.project.locate import Project
from drivers.store.columns import (
    FILLS,
    ORDERS,
    SIDES,
    TIME,
    EpochLayer,
    enum,
    known,
    masks,
)
from drivers.store.errors import StoreError, TakenError, is_full
from drivers.store.folder import FINAL, NOBODY, REQUEST, WRITER, clear_stale, clear_up, refuse_owned, refuse_taken
from drivers.store.kept import Features
from drivers.store.layer_tables import EpochFiles, Index, LayerFiles
from drivers.store.order_history import Order, OrderHistory
from drivers.store.parquet import Background, ParquetFile, drop_parts, link, parts_of


class ResultWriter:
    """Writes one run's results. Either `finish` puts them under their name, or `abandon` removes them.

    out: the final folder. symbols: names of the columns, sorted. overwrite: results that are in `out` already may be
    replaced, once the new ones are whole; files that no run writes are never removed. parts: tables grow in parts, which `cut`
    closes: what is closed can be read, and outlives the process. go_on: the number of parts that an earlier process closed and
    that count; the results are completed from there. epoch: the epoch layers.
    start: positions before the first bar. features: which of the layers' values are kept. durable: `finish` waits until all is
    on the disk.
    Raises TakenError when `out` holds something already, StoreError when it cannot be written.
    """

    def __init__(
        self,
        out: Path,
        symbols: Sequence[str],
        *,
        overwrite: bool = False,
        parts: bool = False,
        go_on: int | None = None,
        epoch: Sequence[EpochLayer] = (),
        start: Sequence[float] = (),
        features: Features = "all",
        durable: bool = True,
    ) -> None:
        self.out = Path(out)
        self.symbols = tuple(symbols)
        self._done = False
        self.folder = self.out.with_name(self.out.name + ".partial")
        self.overwrite, self.parts, self.epoch = overwrite, parts, tuple(epoch)
        self.part = go_on or 0
        refuse_taken(self.out, overwrite=self.overwrite)
        self._background, self._durable = Background(), durable
        self.features = features
        self._layers: LayerFiles | None = None  # made at the first bar, which says what layers there are
        self._epochs = EpochFiles(self.epoch, self.symbols, self._file)
        self._logs: dict[str, ParquetFile] = {}
        self._orders, self._fills = self._file("orders.parquet"), self._file("fills.parquet")
        self._indexed = Index(self.symbols)
        self._decisions = self._file("decisions.parquet", self._decision_columns)
        with self.writing():
            if go_on is None and self.folder.exists():
                clear_stale(self.folder, self.out)
            elif go_on is not None:
                refuse_owned(self.folder)
                shutil.rmtree(self.folder / FINAL, ignore_errors=True)
                drop_parts(self.folder, go_on)
                for file in self._files():
                    file.begun = bool(parts_of(file.path))
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / WRITER).write_text(str(os.getpid()), encoding="utf-8")
        self.history = OrderHistory(len(self.symbols), start=start)
        self._trades = False  # whether the layers that trade are among those that run

    def _file(self, name: str, made: Callable[[dict[Any, Any]], dict[str, Any]] | None = None) -> ParquetFile:
        part = self.part if self.parts else None
        return ParquetFile(self.folder / name, self._background, part, durable=self._durable, made=made)

    # -- while it runs ---------------------------------------------------------------------------------------------------------

    def write(
        self,
        outputs: Mapping[str, Any],
        annotations: Mapping[str, Any],
        domains: Mapping[str, str],
        time: Ints,
        offsets: Mapping[str, Ints],
        closed: Mapping[str, Any] | None = None,
        noted: Bools | None = None,
    ) -> list[Order]:
        """Takes the outputs of successive bars; returns the orders that have left the history with them.

        outputs: by node, panels (T, N), series (T,), stacks (T, N, K) and records of them; logs with their `n`. annotations:
        each node's return annotation. domains: each node's domain; a node without one is not recorded. time: (T,) closes, UTC
        ns. offsets: by log, (T + 1,). closed: by epoch layer, where an epoch closed before the first of these bars. noted:
        (T, N), what is worth explaining: `decisions` keeps it.
        Outputs of an instant between two bars (not all nodes) count for orders and fills only.
        Raises StoreError, with nothing left on disk, when they cannot be written.
        """
        with self.writing():
            if all(name in outputs for name in domains):
                self._write_bars(outputs, annotations, domains, time, closed or {}, noted)
            self._write_raw_logs({n: outputs[n] for n in domains if n in offsets}, time, offsets)
            ended = self.history.follow(outputs, time, offsets)
            self._write_orders(ended)
            self._write_fills(outputs, time, offsets)
        return ended

    def _write_bars(
        self,
        outputs: Mapping[str, Any],
        annotations: Mapping[str, Any],
        domains: Mapping[str, str],
        time: Ints,
        closed: Mapping[str, Any],
        noted: Bools | None,
    ) -> None:
        if self._layers is None:
            told = {name: domain for name, domain in domains.items() if not is_log(annotations[name])}
            leaves = {domain: list[Leaf]() for domain in told.values()}
            for name, domain in told.items():
                leaves[domain] += leaves_of(name, annotations[name])
            self._layers = LayerFiles(leaves, self.symbols, self.features, self._file)
        self._layers.write(outputs, time, noted)
        if closed:
            self._epochs.write(closed, int(time[0]))
        if "l3_action_proposal" in outputs and "l4_risk_gate" in outputs:
            self._write_decisions(outputs["l3_action_proposal"], outputs["l4_risk_gate"], time)

    def _index(self, row: Ints, column: Any, time: Ints) -> dict[str, Any]:
        return self._indexed.columns(time[row], column)

    def _write_decisions(self, proposal: Proposal, approval: Approval, time: Ints) -> None:
        told = with_an_edge(proposal) | (approval.verdict != HOLD) | (np.abs(approval.target_weight) > 0.0)
        rows = np.flatnonzero(told)
        if not len(rows) and self._decisions.begun:
            return
        many = len(self.symbols)
        pieces = {"timestamp": time[rows // many], "symbol": rows % many}
        for record, names in ((proposal, _PROPOSED), (approval, _APPROVED)):
            pieces |= {name: getattr(record, name).take(rows) for name in names}
        self._decisions.add(pieces, len(rows))

    def _decision_columns(self, pieces: dict[str, Any]) -> dict[str, Any]:
        named = {
            **self._indexed.columns(pieces["timestamp"], pieces["symbol"]),
            "side": enum(pieces["side"] + 1, SIDES),
            "verdict": enum(pieces["verdict"], VERDICTS),
            "reasons": masks(pieces["reasons"], REASONS),
            "refusal": masks(pieces["refusal"], REFUSALS),
        }
        return named | {name: column for name, column in pieces.items() if name not in named}

    def _write_raw_logs(self, logs: Mapping[str, Any], time: Ints, offsets: Mapping[str, Ints]) -> None:
        """Logs as the layers wrote them, for those who run a part of the graph on them again."""
        for node, log in logs.items():
            file = self._logs.setdefault(node, self._file(f"logs/{node}.parquet"))
            at = offsets[node]
            if at[-1] == 0 and file.begun:
                continue
            stamps = pa.array(np.repeat(time, np.diff(at)), pa.int64()).cast(TIME)
            columns = {name: getattr(log, name)[: at[-1]] for name in log._fields if name != "n"}
            file.add({"timestamp": stamps, **columns}, int(at[-1]))

    def _write_fills(self, outputs: Mapping[str, Any], time: Ints, offsets: Mapping[str, Ints]) -> None:
        if "l5_execution_bridge" not in outputs or "l90_fills" not in outputs:
            return
        self._trades = True
        reports, reports_at = outputs["l90_fills"], offsets["l90_fills"]
        filled = np.flatnonzero(reports.kind[: reports_at[-1]] == ex.FILL)
        if not len(filled):
            return
        row = np.repeat(np.arange(len(time)), np.diff(reports_at))[filled]
        column = reports.symbol[filled]
        index = self._index(row, column.astype(np.int32), time)
        quantity = reports.quantity[filled]
        self._fills.add(
            {
                "fill_id": self._ids(column, reports.fill_id[filled]),
                "order_id": self._ids(column, reports.id[filled]),
                **index,
                "side": enum((quantity < 0.0).astype(np.int64), ("BUY", "SELL")),
                "price": reports.price[filled],
                "quantity": np.abs(quantity),
                "fee": reports.fee[filled],
                "fee_base": reports.fee_base[filled],
                "liquidity": enum(reports.liquidity[filled], ex.LIQUIDITY),
                "reference_price": reports.reference_price[filled],
            },
            len(filled),
        )

    def _ids(self, column: Ints, ids: Ints) -> pa.Array:
        pairs = zip(column.tolist(), ids.tolist(), strict=True)
        return pa.array([f"{self.symbols[n]}-{i & 0xFFFFFFFF}" if i else None for n, i in pairs], pa.string())

    def _write_orders(self, orders: Sequence[Order]) -> None:
        if not orders:
            return

        def each(field: str, dtype: Any) -> Any:
            return np.array([getattr(o, field) for o in orders], dtype)

        symbol, quantity, ended = each("symbol", np.int64), each("asked", np.float64), each("ended", np.int64)
        index = self._index(np.arange(len(orders)), symbol.astype(np.int32), each("time", np.int64))
        self._orders.add(
            {
                "order_id": self._ids(symbol, each("id", np.int64)),
                "parent_id": self._ids(symbol, each("parent", np.int64)),
                **index,
                "side": enum((quantity < 0.0).astype(np.int64), ("BUY", "SELL")),
                "type": enum(each("type", np.int64), ex.ORDER_TYPES),
                "quantity": np.abs(quantity),
                "limit_price": known(each("limit_price", np.float64)),
                "stop_price": known(each("stop_price", np.float64)),
                "reduce_only": pa.array(each("reduce_only", np.int64) == 1),
                "status": enum(each("status", np.int64), ex.STATUSES),
                "filled_quantity": np.abs(each("filled", np.float64)),
                "average_price": known(each("average_price", np.float64)),
                "fee": each("fee", np.float64),
                "reason": masks(each("reason", np.int64), REASONS),
                "end_reason": enum(each("end_reason", np.int64), ex.REJECTIONS, none=0),
                "ended": pa.array(ended, pa.int64(), mask=ended == 0).cast(TIME),
                "decision_price": known(each("decision_price", np.float64)),
            },
            len(orders),
        )

    def cut(self) -> int:
        """Ends the part: all rows so far are on the disk and readable when this returns. Returns how many parts there are."""
        with self.writing():
            for file in self._files():
                file.cut()
            self._background.wait()
            self.part += 1
        return self.part

    # -- the end ---------------------------------------------------------------------------------------------------------------

    def copy_project(self, project: Project, configs: Configs) -> None:
        """Puts the wiring and the resolved configuration beside the results, as they were used."""
        with self.writing():
            shutil.copyfile(project.wiring, self.folder / "wiring_master.yaml")
            (self.folder / "config").mkdir(exist_ok=True)
            for domain, record in configs.items():
                text = config_text(type(record), record._asdict(), title=f"{domain}: as it was used by this run")
                (self.folder / "config" / f"{domain}.yml").write_text(text, encoding="utf-8")

    def finish(
        self,
        run_json: Mapping[str, Any],
        then: Callable[[Path], None] | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> None:
        """Writes what is left and gives the results their name. run_json: plain values; NaN is written as null.

        then: called with the folder once everything is in it, before it gets its name; whatever it raises ends the results.
        meanwhile: called while the last tables are written.
        Raises StoreError, with nothing left on disk and results that were there untouched, when it cannot.
        """
        with self.writing():
            self._write_orders(list(self.history.all()))
            if self._trades:
                self._orders.flush(ORDERS)
                self._fills.flush(FILLS)
            self._epochs.begin()
            if self.parts:
                for file in self._files():
                    file.flush()
                if meanwhile is not None:
                    meanwhile()
                folder = self._assembled()
            else:
                folder = self.folder
                self._end_files(meanwhile)
            text = json.dumps(json_values(run_json), indent=2, allow_nan=False)
            (folder / "run.json").write_text(text + "\n", encoding="utf-8")
            if self._durable:
                written = [path for path in folder.rglob("*") if path.is_file()]
                self._background.do(partial(_sync_all, written))  # the disk is slow, and `then` need not wait for it
            if then is not None:
                then(folder)
            self._background.wait()
            self._background.stop()
            if self._durable:
                _sync_all((folder, *folder.rglob("*")))
            with deferred():  # one step: the results have their name, or the old ones have it still
                if not self.parts:
                    (folder / WRITER).unlink()
                self._rename(folder)
                self._done = True

    def _end_files(self, meanwhile: Callable[[], None] | None) -> None:
        """Writes the last rows of every table and its footer, on all cores: no bars run beside it any more."""
        self._background.wait()
        with ThreadPoolExecutor(cores(), thread_name_prefix="results") as pool:
            with deferred():  # as in `Background`
                ended = [pool.submit(file.end) for file in self._files()]
            if meanwhile is not None:
                meanwhile()
            for each in ended:
                each.result()

    def _assembled(self) -> Path:
        """A folder with every table in one file. The parts stay until the results have their name."""
        self.cut()
        folder = self.folder / FINAL
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for table in {p.parent for p in self.folder.rglob("[0-9]*.parquet") if p.parent.name.endswith(".parquet")}:
            ParquetFile(table, self._background, self.part).merge(folder / table.relative_to(self.folder))
        for path in self.folder.iterdir():
            if path.is_file() and path.name not in (WRITER, REQUEST):
                link(path, folder / path.name)
        if (self.folder / "config").is_dir():
            shutil.copytree(self.folder / "config", folder / "config")
        return folder

    def _rename(self, folder: Path) -> None:
        try:
            refuse_taken(self.out, overwrite=self.overwrite)  # what has appeared there meanwhile is somebody else's
        except TakenError as error:
            self._done = True
            raise TakenError(f"{error}. The results of this run are whole, in {folder}") from None
        old = None
        if self.out.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{self.out.name}.replaced.", dir=self.out.parent))
            self.out.rename(old)
        try:
            folder.rename(self.out)
        except OSError:
            if old is not None:
                old.rename(self.out)
            raise
        if self._durable:
            sync(self.out.parent)
        if self.parts:
            clear_up(self.folder, self.out)
        if old is not None:
            shutil.rmtree(old, ignore_errors=True)

    def discard(self) -> None:
        """`abandon`, also of what `cut` closed: for a run that has not begun."""
        self.part = 0
        self.abandon()

    def release(self) -> None:
        """Ends the writer and keeps what is on the disk, for a later `go_on`. Does nothing after `finish`; never raises."""
        if self._done:
            return
        with deferred():
            self._done = True
            self._background.stop()
            for file in self._files():
                file.drop()
            with contextlib.suppress(OSError):
                (self.folder / WRITER).write_text(str(NOBODY), encoding="utf-8")

    def abandon(self) -> None:
        """Removes everything that was written; what `cut` closed is kept. Does nothing after `finish`; never raises."""
        if self._done:
            return
        if self.parts and self.part:
            self.release()
            return
        with deferred():  # a second Ctrl-C does not leave a part of it
            self._background.stop()
            for file in self._files():
                file.drop()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _files(self) -> list[ParquetFile]:
        layers = [] if self._layers is None else self._layers.files()
        return [*layers, *self._epochs.files(), *self._logs.values(), self._orders, self._fills, self._decisions]

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """For what writes into the folder: turns an operating system's refusal into a StoreError, and leaves nothing behind."""
        try:
            yield
        except StoreError:
            raise
        except (OSError, pa.ArrowException) as error:
            self.abandon()
            reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
            if self.parts and self.part:
                why = "the disk is full" if is_full(error) else f"a file could not be written ({reason})"
                raise StoreError(f"{why}: the results for {self.out} are incomplete; what is in {self.folder} stays") from error
            if is_full(error):
                raise StoreError(
                    f"the disk is full: the results for {self.out} could not be written and were removed; free some space, or "
                    "name a folder on another disk"
                ) from error
            raise StoreError(
                f"the results for {self.out} could not be written ({reason}) and were removed; check the folder's permissions, "
                "or name another folder"
            ) from error


def _sync_all(paths: Iterable[Path]) -> None:
    for path in paths:
        sync(path)


_PROPOSED: Final = (
    "side",
    "refusal",
    "may_enter",
    "score",
    "edge_bps",
    "edge_std_bps",
    "risk_bps",
    "horizon",
    "size_fraction",
    "confidence",
    "rank",
    "freshness",
)

_APPROVED: Final = ("verdict", "reasons", "target_weight", "stop", "take_profit", "trail", "reduce_only", "urgency")
