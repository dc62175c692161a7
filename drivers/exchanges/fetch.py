"""`data fetch`: an exchange's history as a market-data folder.

Pages go to `<out>.partial/parts/` as they come, so that whatever ends it (Ctrl-C, an outage, a power cut) loses at most what
was not yet a part; the same command goes on from there. The folder appears under its name only when it is whole. A folder that
is there already and was fetched from the same venue is brought up to date: only what it lacks is asked for.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml

from drivers.exchanges.access import Exchange
from drivers.exchanges.errors import ExchangeFault, ExchangeOutage
from drivers.exchanges.history import Counts, candles, funding
from drivers.exchanges.markets import described, name_of
from drivers.feeds.check import QualityReport, check_dataset
from drivers.files.atomic import write_atomic
from drivers.venues.facts import InstrumentFacts

Progress = Callable[[str, float], None]
"""What is being fetched, and the share of the whole that is done."""

RECORD: Final = "fetch.json"
PART_ROWS: Final = 20_000
PART_SECONDS: Final = 20.0
_TIME: Final = pa.timestamp("ns", tz="UTC")
SCHEMAS: Final = {
    "bars": pa.schema(
        [
            ("timestamp", _TIME),
            ("symbol", pa.string()),
            *((name, pa.float64()) for name in ("open", "high", "low", "close", "volume")),
        ]
    ),
    "funding": pa.schema([("timestamp", _TIME), ("symbol", pa.string()), ("funding_rate", pa.float64())]),
}


@dataclass(frozen=True)
class FetchRequest:
    """What to fetch. symbols: as the exchange writes them. start, end: UTC ns; bars that open in [start, end). step: ns."""

    symbols: tuple[str, ...]
    start: int
    end: int
    step: int
    out: Path


@dataclass
class Fetched:
    """What came of one symbol. missing: bars that the exchange does not have between the first and the last."""

    symbol: str
    rows: int = 0
    first: int = 0  # UTC ns, open of the first bar
    last: int = 0
    missing: int = 0
    counts: Counts = field(default_factory=Counts)


@dataclass(frozen=True)
class FetchResult:
    """A finished fetch: the folder, each symbol, and the check of the whole. retries: answers that were asked for again."""

    out: Path
    symbols: tuple[Fetched, ...]
    retries: int
    report: QualityReport


def fetch(exchange: Exchange, request: FetchRequest, progress: Progress = lambda what, share: None) -> FetchResult:
    """Fetches bars, and of swaps their funding. Raises ExchangeFault naming what is in the way; what was fetched stays."""
    try:
        return _fetched(exchange, request, progress)
    except ExchangeOutage as error:
        raise ExchangeOutage(f"{error}; what was fetched is kept in {request.out}.partial: try again later") from None


def _fetched(exchange: Exchange, request: FetchRequest, progress: Progress) -> FetchResult:
    markets = [exchange.market(symbol) for symbol in request.symbols]
    names = [name_of(symbol) for symbol in request.symbols]
    if len(set(names)) < len(names):
        raise ExchangeFault(
            f"two of the symbols are called {max(names, key=names.count)} without their settlement; fetch one at a time"
        )
    work = _Parts(request.out)
    work.begin({"venue": exchange.name, "clock_seconds": request.step // 10**9, "symbols": sorted(names)})
    kinds = ["bars"] if exchange.rules.market == "spot" else ["bars", "funding"]
    found = [Fetched(name) for name in names]
    done, whole = 0, len(names) * len(kinds)
    for kind in kinds:
        for name, symbol, of in zip(names, request.symbols, found, strict=True):
            begin = work.after(kind, name, request.start)
            for page in _pages(exchange, kind, symbol, request, begin, of.counts):
                work.add(kind, name, page)
                reached = page[-1][0] if page else request.end
                span = max(1, request.end - request.start)
                progress(f"{name} {kind}", (done + min(1.0, (reached - request.start) / span)) / whole)
            work.flush(kind, name)
            done += 1
    for kind in kinds:
        work.merge(kind)
    for of in found:
        _count(of, work.folder / "bars.parquet", request.step)
    if not any(of.rows for of in found):
        raise ExchangeFault(
            f"{exchange.name} has no bars of {', '.join(request.symbols)} in that time; choose an earlier --start"
        )
    _describe(exchange, markets, request, work.folder)
    report = check_dataset(work.folder)
    work.finish()
    return FetchResult(request.out, tuple(found), exchange.patience.retries, report)


def _pages(
    exchange: Exchange, kind: str, symbol: str, request: FetchRequest, begin: int, counts: Counts
) -> Iterator[Sequence[tuple[Any, ...]]]:
    if kind == "bars":
        return candles(exchange, symbol, request.step, begin, request.end, counts)
    return funding(exchange, symbol, begin, request.end, counts)


class _Parts:
    """What has been fetched so far, on disk. A part is one file, whole or not there."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.folder = out.with_name(f"{out.name}.partial")
        self.parts = self.folder / "parts"
        self._rows: list[tuple[Any, ...]] = []
        self._since = time.monotonic()

    def begin(self, record: dict[str, Any]) -> None:
        """Begins here, or goes on with what lies here. Raises ExchangeFault where that is something else."""
        for folder in (self.folder, self.out):
            if folder.exists():
                path = folder / RECORD
                there = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
                if there != record:
                    what = "was not made by `data fetch`" if there is None else f"is a fetch of other things: {there}"
                    raise ExchangeFault(f"{folder} {what}; name another --out, or remove it")
        if not self.folder.exists():
            self.folder.mkdir(parents=True)
            write_atomic(self.folder / RECORD, json.dumps(record, indent=1) + "\n")
        self.parts.mkdir(exist_ok=True)
        for kind in SCHEMAS:
            if (self.out / f"{kind}.parquet").is_file() and not (self.parts / f"{kind}--0.parquet").exists():
                shutil.copyfile(self.out / f"{kind}.parquet", self.parts / f"{kind}--0.parquet.new")
                (self.parts / f"{kind}--0.parquet.new").replace(self.parts / f"{kind}--0.parquet")

    def after(self, kind: str, name: str, start: int) -> int:
        """Where to go on: just after the last row that is there; the start where there is none."""
        last = -1
        for path in self._files(kind):
            table = pq.read_table(path, columns=["timestamp", "symbol"])
            mine = table.filter(pc.equal(table["symbol"], name))["timestamp"].cast(pa.int64())
            last = max(last, pc.max(mine).as_py() if len(mine) else -1)
        return max(start, last + 1)

    def add(self, kind: str, name: str, page: Sequence[tuple[Any, ...]]) -> None:
        """Takes a page; writes a part when there is enough."""
        self._rows += page
        if len(self._rows) >= PART_ROWS or time.monotonic() - self._since > PART_SECONDS:
            self.flush(kind, name)

    def flush(self, kind: str, name: str) -> None:
        """Writes what has been taken as a part."""
        if self._rows:
            columns = list(zip(*self._rows, strict=True))
            schema = SCHEMAS[kind]
            times = pa.array(np.array(columns[0], np.int64)).cast(_TIME)
            table = pa.table([times, pa.array([name] * len(columns[0])), *(pa.array(c) for c in columns[1:])], schema=schema)
            path = self.parts / f"{kind}-{name}-{columns[0][0]}.parquet"
            pq.write_table(table, path.with_suffix(".new"))
            path.with_suffix(".new").replace(path)
        self._rows, self._since = [], time.monotonic()

    def merge(self, kind: str) -> None:
        """Puts the parts of a kind together, in order of time and symbol."""
        tables = [pq.read_table(path, schema=SCHEMAS[kind]) for path in self._files(kind)]
        if tables:
            table = pa.concat_tables(tables).sort_by([("timestamp", "ascending"), ("symbol", "ascending")])
            pq.write_table(table, self.folder / f"{kind}.parquet", compression="zstd")

    def finish(self) -> None:
        """The folder gets its name."""
        shutil.rmtree(self.parts)
        if self.out.exists():
            before = self.out.with_name(f"{self.out.name}.before")
            self.out.rename(before)
            self.folder.rename(self.out)
            shutil.rmtree(before)
        else:
            self.folder.rename(self.out)

    def _files(self, kind: str) -> list[Path]:
        return sorted(self.parts.glob(f"{kind}-*.parquet"))


def _count(of: Fetched, path: Path, step: int) -> None:
    table = pq.read_table(path, columns=["timestamp", "symbol"])
    times = np.asarray(table.filter(pc.equal(table["symbol"], of.symbol))["timestamp"].cast(pa.int64()))
    of.rows = len(times)
    if of.rows:
        of.first, of.last = int(times[0]), int(times[-1])
        of.missing = (of.last - of.first) // step + 1 - of.rows


def _describe(exchange: Exchange, markets: Sequence[dict[str, Any]], request: FetchRequest, folder: Path) -> None:
    """`dataset.yml`: the exchange's own description; what the venue's file says goes before it. A run needs no other file."""
    rules = exchange.rules
    given = {key: getattr(rules, key) for key in rules.model_fields_set & {*InstrumentFacts.model_fields, "leverage"}}
    said = described(markets, exchange.client.precisionMode) | given
    about = {
        "clock": f"{request.step // 10**9}s",
        "calendar": "24/7",
        "stamp": "open",
        "kind": rules.kind,
        "source": f"{rules.about}; REST by ccxt",
        **said,
    }
    write_atomic(folder / "dataset.yml", yaml.safe_dump(about, sort_keys=False, allow_unicode=True))
