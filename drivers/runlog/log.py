"""Structured logs: JSON lines in a file, each with what it belongs to (run, epoch, symbol, layer, order).

The console stays for people: progress and a summary are the commands' own. A driver opens one log a run and binds what it works
on; nothing is global, so that two runs in one process do not mix their lines:

    with open_run_log(folder / "log.jsonl", run="2026-03-01T12-00-00") as log:
        log.about(epoch=3).event("refused", symbol="BTCUSDT", layer="L4", reasons=["GROSS_CAP"])
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, WrappedLogger

from drivers.text.inert import json_text

CORRELATION: Final = ("run", "epoch", "symbol", "layer", "order")
_OWN: Final = ("timestamp", "level", "event")
_FIRST: Final = (*_OWN, *CORRELATION)


class RunLog:
    """The log of one run, or a part of it (`about`)."""

    def __init__(self, file: TextIO, ids: Mapping[str, Any]) -> None:
        self._file = file
        self._ids = dict(ids)
        self._log: Any = structlog.wrap_logger(
            structlog.WriteLogger(file),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.format_exc_info,
                _in_order,
                structlog.processors.JSONRenderer(json_text, default=_json_value),
            ],
            wrapper_class=structlog.BoundLogger,
        ).bind(**ids)

    def about(self, **ids: Any) -> RunLog:
        """The same log, every line of it with these ids too. Raises TypeError for one that is not of CORRELATION."""
        unknown = [name for name in ids if name not in CORRELATION]
        if unknown:
            known = ", ".join(CORRELATION)
            raise TypeError(f"{', '.join(unknown)}: log lines are about {known}; give other facts with the event")
        return RunLog(self._file, {**self._ids, **ids})

    def event(self, name: str, **fields: Any) -> None:
        """Something that belongs to the course of a run. Raises TypeError for a fact that has a name of the log's own."""
        self._log.info(name, **_free(fields))

    def warning(self, name: str, **fields: Any) -> None:
        """Something that a person should look at."""
        self._log.warning(name, **_free(fields))

    def error(self, name: str, **fields: Any) -> None:
        """Something that ended the run; inside an `except` with its traceback."""
        self._log.error(name, exc_info=True, **_free(fields))

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


def _free(fields: dict[str, Any]) -> dict[str, Any]:
    """The facts, none of which the log's own fields would overwrite."""
    taken = [name for name in fields if name in _OWN]
    if taken:
        raise TypeError(f"{', '.join(taken)}: the log itself says this of every line; give the fact another name")
    return fields


def _in_order(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Time, level and event first, then what it belongs to, then the rest: lines that the eye can read down."""
    return {key: event[key] for key in (*(k for k in _FIRST if k in event), *(k for k in event if k not in _FIRST))}


def _json_value(value: Any) -> Any:
    """NumPy scalars and paths as JSON has them."""
    return value.item() if hasattr(value, "item") else str(value)
