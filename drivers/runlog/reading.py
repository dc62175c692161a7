"""A run's log, read line by line and filtered: memory does not grow with the file.

A line is parsed only where the values that are asked for stand in it as text; all others are merely looked at. Lines that are
no JSON, or were cut off as a run was killed, are counted and named, and the rest is read.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from drivers.text.suggestions import did_you_mean
from drivers.text.times import stamp

Line = dict[str, Any]

LEVELS: Final = ("info", "warning", "error")
_CHOICES: Final = ("event", "layer", "symbol")


class LogError(ValueError):
    """There is no log, or nothing in it of what was asked for by name. One sentence: what there is."""


@dataclass(frozen=True)
class Query:
    """What lines to show; None: all. since, until: UTC ns, both included. level: this one or worse. order: as in
    orders.parquet; the orders of its bracket and those that close its position are shown with it."""

    symbol: str | None = None
    layer: str | None = None
    event: str | None = None
    order: str | None = None
    since: int | None = None
    until: int | None = None
    level: str | None = None

    def takes(self, line: Line) -> bool:
        """Whether it asks for a line by symbol, layer, event, level and time; the order is not looked at."""
        if any(line.get(key) != value for key in _CHOICES if (value := getattr(self, key)) is not None):
            return False
        if self.level is not None and LEVELS.index(line.get("level", "info")) < LEVELS.index(self.level):
            return False
        oldest, newest, time = _written(self.since), _written(self.until), str(line.get("time", ""))
        return not ((oldest and not time >= oldest) or (newest and not "" < time <= newest))

    def tests(self) -> dict[str, Any]:
        """Each filter that is given, by its name."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass
class Reading:
    """One pass over a log. lines: read so far. damaged: (line number, why), the first hundred; and how many in all."""

    path: Path
    query: Query = Query()
    lines: int = 0
    damaged: list[tuple[int, str]] = field(default_factory=list)
    damaged_lines: int = 0

    def matches(self) -> Iterator[Line]:
        """The lines that the query asks for, in the order of the file. Raises LogError for an order that is not there."""
        query, family = self.query, set[str]()
        if query.order is not None:
            family = {query.order, root_of(self.path, query.order)}
        needles = [_quoted(v) for v in (query.symbol, query.layer, query.event) if v is not None]
        for raw in self._raw():
            if not all(n in raw for n in needles) or (family and not any(_quoted(f) in raw for f in family)):
                continue
            line = self._parsed(raw)
            if line is None or not query.takes(line):
                continue
            if family:
                if not family & {line.get("order"), line.get("parent"), *line.get("orders", ())}:
                    continue
                if line.get("parent") in family and line.get("order"):
                    family.add(line["order"])
            yield line

    def _raw(self) -> Iterator[bytes]:
        self.lines = 0
        try:
            with self.path.open("rb") as file:
                for raw in file:
                    self.lines += 1
                    if raw.startswith(b"{") and raw.rstrip().endswith(b"}"):
                        yield raw
                    else:
                        self._damage("it is cut off" if not raw.endswith(b"\n") else "it is no JSON")
        except FileNotFoundError:
            raise LogError(f"{self.path.parent} has no log.jsonl; name the folder of a run's results") from None

    def _parsed(self, raw: bytes) -> Line | None:
        try:
            line: Line = json.loads(raw)
        except ValueError:
            self._damage("it is no JSON")
            return None
        return line

    def _damage(self, why: str) -> None:
        self.damaged_lines += 1
        if len(self.damaged) < 100:
            self.damaged.append((self.lines, why))


def log_of(run: Path) -> Path:
    """The log in a folder of results, also of a run that is still going on. Raises LogError when there is none."""
    path = run / "log.jsonl" if run.is_dir() else run
    if not path.is_file():
        partial = run.with_name(f"{run.name}.partial")
        if (partial / "log.jsonl").is_file():
            raise LogError(f"{run} is not complete; add --follow where it is a stream that goes on, or name {partial}")
        raise LogError(f"{run} has no log.jsonl; name the folder of a run's results, e.g. runs/2026-03-01T120000Z")
    return path


def root_of(path: Path, order: str) -> str:
    """The entry that an order belongs to: its parent, or itself. Raises LogError when the log has no such order."""
    symbol = order.rpartition("-")[0]
    first = last = ""
    reading = Reading(path)
    for raw in reading._raw():
        if _quoted(order) in raw:
            line = reading._parsed(raw)
            if line is not None and line.get("order") == order:
                return str(line.get("parent", order))
        elif symbol and f'"{symbol}-'.encode() in raw and b'"order": ' in raw:
            line = reading._parsed(raw)
            last = str(line.get("order", last)) if line is not None else last
            first = first or last
    there = f"those of {symbol} go from {first} to {last}" if first else "it is written as in orders.parquet, e.g. BTCUSDT-52"
    raise LogError(f"{path}: there is no order {order}; {there}")


def why_nothing(path: Path, query: Query) -> str:
    """Why a query found nothing, as a sentence: how many lines each filter finds by itself.

    Raises LogError for an event, layer or symbol that the log does not have, naming those that it has.
    """
    seen: dict[str, Counter[str]] = {name: Counter() for name in _CHOICES}
    alone = Counter(dict.fromkeys(query.tests(), 0))
    readings = {name: Query(**{name: value}) for name, value in query.tests().items() if name in ("since", "until", "level")}
    reading = Reading(path)
    for line in reading.matches():
        for name in _CHOICES:
            if name in line:
                seen[name][str(line[name])] += 1
        for name, one in readings.items():
            alone[name] += _in_window(line, one)
    for name in _CHOICES:
        wanted = getattr(query, name)
        if wanted is not None:
            alone[name] = seen[name][wanted]
            if not alone[name]:
                hint = did_you_mean(wanted, sorted(seen[name]))
                raise LogError(f"{path}: no line has the {name} {wanted!r}; {hint}")
    if not reading.lines:
        return f"{path} is empty: nothing has happened in this run yet."
    parts = [
        f"{alone[n]:,} have --{n} {v if isinstance(v, str) else stamp(v)}" for n, v in query.tests().items() if n != "order"
    ]
    return f"None of the {reading.lines:,} lines matches" + (f": {', '.join(parts)}, none all of it." if parts else ".")


def _in_window(line: Line, query: Query) -> bool:
    time = str(line.get("time", ""))
    if query.level is not None:
        return LEVELS.index(line.get("level", "info")) >= LEVELS.index(query.level)
    return time >= stamp(query.since) if query.since is not None else "" < time <= _written(query.until)


def _quoted(value: str) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _written(ns: int | None) -> str:
    """A time as the log writes it; "" for none."""
    return "" if ns is None else stamp(ns)
