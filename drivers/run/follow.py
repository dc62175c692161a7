"""A stream that another process runs, followed by its journal: the same engine, the same instants, the same bits."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drivers.engine.chunk import Outputs
from drivers.engine.engine import Engine
from drivers.run.replay import engine_from
from drivers.runlog.events import Events
from drivers.store.instants import chunk_of, instant_of
from drivers.store.journal import JournalError, JournalReader
from drivers.store.segments import last_beginning, segments_of
from drivers.text.times import stamp


def follow(
    folder: Path,
    take: Callable[[Engine, Outputs], None],
    *,
    project: Path | None = None,
    stopped: Callable[[], bool],
    wait: Callable[[], None] = lambda: time.sleep(1.0),
    between: Callable[[Engine, Outputs], None] = lambda engine, outputs: None,
) -> None:
    """Runs what a stream's journal says, from the last state in it on, and goes on as it grows. folder: see `segments_of`.

    take: is called with the engine and the outputs of each record of bars, between: of each instant. stopped: is asked before
    each look; wait: is called between two. Raises what `replay` raises where the code is another or the journal is damaged. A
    record that is not whole yet is read when it is. Returns when the folder has gone, as it does when the stream ends.
    """
    found, begin = last_beginning(segments_of(folder), "kind")
    engine, reader = engine_from(begin, project), JournalReader(found[0])
    while not stopped() and folder.is_dir():
        try:  # before the records are read: a segment that another follows by then is whole
            later = [path for path in segments_of(folder) if _number(path) > _number(reader.path)]
        except JournalError:
            if folder.is_dir():
                raise
            return  # the stream has just ended, and its folder has its final name
        for record in reader.more():
            kind = record.about["kind"]  # a segment begins with the state that the engine has
            if kind == "bars":
                take(engine, engine.advance(chunk_of(record)))
            elif kind == "instant":
                between(engine, engine.react(instant_of(record)))
        if later:
            reader = JournalReader(later[0])
        else:
            wait()


def follow_events(
    folder: Path, take: Callable[[dict[str, Any]], None], *, project: Path | None = None, stopped: Callable[[], bool]
) -> None:
    """The events of a stream as they happen, as lines of a log. Otherwise as `follow`."""
    found: list[Events] = []

    def lines(engine: Engine, outputs: Outputs) -> None:
        if not found:
            found.append(Events(engine.symbols, engine.epoch_ns))
        for event in sorted(found[0].of(outputs), key=lambda e: e.time):
            about = {"time": stamp(event.time), "level": "warning" if event.warns else "info", "event": event.name}
            take(about | event.fields)

    follow(folder, lines, project=project, stopped=stopped, wait=lambda: time.sleep(0.25), between=lines)


def _number(segment: Path) -> str:
    return segment.name.partition(".")[0]
