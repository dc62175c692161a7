"""How a journal holds what an engine is handed: chunks and instants as named arrays, to the bit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from dataflows.panel import is_log, leaves, rebuild
from drivers.engine.chunk import Chunk, Instant
from drivers.graph.external import EXTERNAL
from drivers.store.journal import Record

INPUT: Final = "input/"
"""Before the names of a chunk's inputs in the journal."""
BESIDE: Final = ("operator", "amount", "symbol", "subject", "events", "events_at")
"""What a chunk holds beside time and inputs."""


def arrays_of(chunk: Chunk) -> dict[str, Any]:
    """All that a chunk holds as arrays by name; `chunk_of` is the inverse."""
    found: dict[str, Any] = {"time": chunk.time}
    given = {INPUT + name: value for name, value in chunk.inputs.items()}
    for name, value in {**given, **{name: getattr(chunk, name) for name in BESIDE}}.items():
        found |= {f"{name}/{i}": np.asarray(leaf) for i, leaf in enumerate(() if value is None else leaves(value))}
    return found


def chunk_of(record: Record) -> Chunk:
    """The chunk of a record, to the bit."""
    parts: dict[str, list[Any]] = {}
    for key, array in record.arrays.items():
        parts.setdefault(key.rpartition("/")[0], []).append(array)
    inputs = {
        name.removeprefix(INPUT): _value(name.removeprefix(INPUT), arrays)
        for name, arrays in parts.items()
        if name.startswith(INPUT)
    }
    beside: dict[str, Any] = {name: parts[name][0] for name in BESIDE if name in parts}
    if "events" in parts:
        beside["events"] = _value("venue_events", parts["events"])
    return Chunk(record.arrays["time"], inputs, **beside)


def instant_of(record: Record) -> Instant:
    """The instant of a record, to the bit."""
    chunk = chunk_of(record)
    ts, operator, amount, symbol, subject = (  # of an instant they are always written
        record.arrays[name][0].item() for name in ("time", "operator/0", "amount/0", "symbol/0", "subject/0")
    )
    return Instant(ts, operator, amount, chunk.events, chunk.inputs, symbol, subject)


def _value(name: str, arrays: Sequence[Any]) -> Any:
    annotation = EXTERNAL[name].type
    if is_log(annotation):
        return annotation(int(arrays[0].item()), *arrays[1:])
    return rebuild(annotation, iter(arrays))
