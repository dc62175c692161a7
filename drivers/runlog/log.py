"""Structured logs: JSON lines in a file, each with what it belongs to (run, epoch, symbol, layer, order).

The console stays for people: progress and a summary are the commands' own. A driver opens one log a run and binds what it works
on; nothing is global, so that two runs in one process do not mix their lines:

    with open_run_log(folder / "log.jsonl", run="2026-03-01T12-00-00") as log:
        log.about(epoch=3).event("refused", symbol="BTCUSDT", layer="L4", reasons=["GROSS_CAP"])
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TextIO

from drivers.text.inert import json_text

CORRELATION: Final = ("run", "epoch", "symbol", "layer", "order")

LINES_AT_ONCE: Final = 64
"""Lines of one call of the encoder, a tenth of a millisecond: it keeps Python to itself until it returns, and a bar waits."""

_BETWEEN: Final = '}, {"timestamp": "'
_BETWEEN_LINES: Final = _BETWEEN.replace(", ", "\n")


class RunLog:
    """The log of one run, or a part of it (`about`)."""

    def __init__(self, file: TextIO, ids: Mapping[str, Any]) -> None:
        self._file = file
        self._ids = dict(ids)

    def about(self, **ids: Any) -> RunLog:
        """The same log, every line of it with these ids too. Raises TypeError for one that is not of CORRELATION."""
        unknown = [name for name in ids if name not in CORRELATION]
        if unknown:
            known = ", ".join(CORRELATION)
            raise TypeError(f"{', '.join(unknown)}: log lines are about {known}; give other facts with the event")
        return RunLog(self._file, {**self._ids, **ids})

    def event(self, name: str, **fields: Any) -> None:
        """Something that belongs to the course of a run. Raises TypeError for a fact that has a name of the log's own."""
        self._line("info", name, fields)

    def warning(self, name: str, **fields: Any) -> None:
        """Something that a person should look at."""
        self._line("warning", name, fields)

    def error(self, name: str, **fields: Any) -> None:
        """Something that ended the run; inside an `except` with its traceback."""
        self._line("error", name, {**fields, "exception": traceback.format_exc().rstrip()})

    def lines(self, lines: Iterable[tuple[str, str, dict[str, Any]]]) -> None:
        """Several at once: (level, name, fields) of each."""
        now, rest = _now(), iter(lines)
        while made := [self._fields(now, *line) for line in islice(rest, LINES_AT_ONCE)]:
            # One call of the encoder. `{"` stands in no string of JSON, where a quote is escaped: it begins a line.
            text = json_text(made, default=_json_value)[1:-1]
            self._file.write(text.replace(_BETWEEN, _BETWEEN_LINES) + "\n")

    def _line(self, level: str, name: str, fields: dict[str, Any]) -> None:
        self._file.write(json_text(self._fields(_now(), level, name, fields), default=_json_value) + "\n")

    def _fields(self, now: str, level: str, name: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Time, level and event first, then what the line is about, then the rest: lines that the eye can read down."""
        line: dict[str, Any] = {"timestamp": now, "level": level, "event": name}
        if not line.keys().isdisjoint(fields):
            taken = ", ".join(name for name in fields if name in line)
            raise TypeError(f"{taken}: the log itself says this of every line; give the fact another name")
        for key in CORRELATION:
            if key in fields:
                line[key] = fields[key]
            elif key in self._ids:
                line[key] = self._ids[key]
        line |= fields  # what is there already keeps its place
        return line

    def close(self) -> None:
        """Ends the file. A second time does nothing."""
        self._file.close()

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def open_run_log(path: Path, *, run: str) -> RunLog:
    """Adds to the log file at `path`, every line with `run` in it. A line is in the file at once: a crash loses none."""
    return RunLog(path.open("a", encoding="utf-8", buffering=1), {"run": run})


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _json_value(value: Any) -> Any:
    """NumPy scalars and paths as JSON has them."""
    return value.item() if hasattr(value, "item") else str(value)
