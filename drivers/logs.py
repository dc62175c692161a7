"""Structured logs: JSON lines in a file, each with what it belongs to (run, epoch, symbol, layer, order).

The console stays for people: progress and a summary are the commands' own. A driver binds what it works on, and every line
below it carries it:

    with run_log(folder / "log.jsonl", run="2026-03-01T12-00-00"):
        log = get_log("batch")
        with about(epoch=3):
            log.info("refused", symbol="BTCUSDT", layer="L4", reason="GROSS_CAP")
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Final, TextIO

import structlog
from structlog.contextvars import bind_contextvars, bound_contextvars, clear_contextvars, merge_contextvars
from structlog.typing import EventDict, WrappedLogger

CORRELATION: Final = ("run", "epoch", "symbol", "layer", "order")


def _in_order(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Time, level and event first, then what it belongs to, then the rest: lines that the eye can read down."""
    first = ("timestamp", "level", "event", "logger", *CORRELATION)
    return {key: event[key] for key in (*(k for k in first if k in event), *(k for k in event if k not in first))}


class _Drop(structlog.DropEvent):
    pass


def _drop(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    raise _Drop


def _configure(file: TextIO | None) -> None:
    if file is None:
        structlog.configure(processors=[_drop], logger_factory=structlog.ReturnLoggerFactory(), cache_logger_on_first_use=False)
        return
    structlog.configure(
        processors=[
            merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _in_order,
            structlog.processors.JSONRenderer(ensure_ascii=False, default=_plain),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=file),
        cache_logger_on_first_use=False,
    )


def _plain(value: Any) -> Any:
    """NumPy scalars and paths as JSON has them."""
    return value.item() if hasattr(value, "item") else str(value)


@contextmanager
def run_log(path: Path, *, run: str) -> Iterator[None]:
    """Within it, every log line goes to the file at `path` with `run` in it. Without it, lines go nowhere."""
    with path.open("a", encoding="utf-8", buffering=1) as file:  # a line at a time: a crash loses none
        clear_contextvars()
        bind_contextvars(run=run)
        _configure(file)
        try:
            yield
        finally:
            _configure(None)
            clear_contextvars()


def about(**ids: Any) -> AbstractContextManager[None]:
    """Within it, every line carries these ids. Raises TypeError for one that is not of CORRELATION."""
    unknown = [name for name in ids if name not in CORRELATION]
    if unknown:
        raise TypeError(f"{', '.join(unknown)}: log lines are about {', '.join(CORRELATION)}; give other facts with the event")
    return bound_contextvars(**ids)


def get_log(name: str) -> Any:
    """The logger of a part of the system."""
    return structlog.get_logger().bind(logger=name)


_configure(None)
