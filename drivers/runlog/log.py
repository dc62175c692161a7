"""Structured logs: JSON lines in a file, each with what it belongs to (run, epoch, symbol, layer, order).

The console stays for people: progress and a summary are the commands' own. A driver opens one log a run and binds what it works
on; nothing is global, so that two runs in one process do not mix their lines:

    with open_run_log(folder / "log.jsonl", run="2026-03-01T12-00-00") as log:
        log.about(epoch=3).event("refused", symbol="BTCUSDT", layer="L4", reasons=["GROSS_CAP"])
"""

from __future__ import annotations

import functools
import traceback
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import repeat
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TextIO

import numpy as np

from drivers.runlog.lines import AT_ONCE, Lines, What, fact_text
from drivers.text.inert import json_text

CORRELATION: Final = ("run", "epoch", "symbol", "layer", "order")


class RunLog:
    """The log of one run, or a part of it (`about`)."""

    def __init__(self, file: TextIO, ids: Mapping[str, Any]) -> None:
        self._file = file
        self._ids = dict(ids)
        self._id_texts = {key: fact_text(key, value) for key, value in ids.items()}

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

    def lines(self, forms: Sequence[Lines]) -> None:
        """Lines of several forms, in order of their bars; those of one bar as the forms come."""
        now = f'{{"timestamp": {json_text(_now())}'
        if texts := [text for form in forms for text in self._texts(now, form)]:
            order = np.argsort(np.concatenate([form.bar for form in forms]), kind="stable").tolist()
            for first in range(0, len(order), AT_ONCE):
                self._file.write("\n".join([texts[i] for i in order[first : first + AT_ONCE]]) + "\n")

    def _texts(self, now: str, form: Lines) -> Iterator[str]:
        """The lines of one form, as `_fields` puts a line together."""
        told = {fact.name: fact.texts_of(keys) for fact, keys in form.facts}
        _refuse_own(told)
        ids = {key: repeat(text) for key, text in self._id_texts.items()} | told
        about = [ids[key] for key in CORRELATION if key in ids]
        rest = [texts for name, texts in told.items() if name not in CORRELATION]
        return map("".join, zip(repeat(now), map(_head_text, form.what), *about, *rest, repeat("}")))

    def _line(self, level: str, name: str, fields: dict[str, Any]) -> None:
        self._file.write(json_text(self._fields(_now(), level, name, fields), default=_json_value) + "\n")

    def _fields(self, now: str, level: str, name: str, fields: dict[str, Any]) -> dict[str, Any]:
        """Time, level and event first, then what the line is about, then the rest: lines that the eye can read down."""
        _refuse_own(fields)
        about = self._ids | fields
        line = {"timestamp": now, "level": level, "event": name}
        return {**line, **{key: about[key] for key in CORRELATION if key in about}, **fields}

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


@functools.cache
def _head_text(what: What) -> str:
    return fact_text("level", what.level) + fact_text("event", what.name)


def _refuse_own(fields: Mapping[str, Any]) -> None:
    if taken := [name for name in ("timestamp", "level", "event") if name in fields]:
        raise TypeError(f"{', '.join(taken)}: the log itself says this of every line; give the fact another name")


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def _json_value(value: Any) -> Any:
    """NumPy scalars and paths as JSON has them."""
    return value.item() if hasattr(value, "item") else str(value)
