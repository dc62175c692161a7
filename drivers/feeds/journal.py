"""The journal of a stream as a feed: the bars that came, and what came between them, once more.

`stratoquant replay` proves that the same code gives the same bits. As a feed the same market can be run again with other
settings, another spec or other code.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dataflows.data.types import Instruments
from dataflows.spans import BarClock
from drivers.engine.chunk import Chunk, Instant, piece_of
from drivers.feeds.base import DAY
from drivers.feeds.errors import DataError
from drivers.store.instants import chunk_of, instant_of
from drivers.store.journal import JournalReader, Record
from drivers.store.segments import records_of, segments_of


def is_journal(path: Path) -> bool:
    """Whether a path is the journal of a stream, one of its segments, or the results that it belongs to."""
    return path.suffix in (".journal", ".zst") or any(path.glob("[0-9]*.journal*")) or (path / "journal").is_dir()


class JournalFeed:
    """Fulfils `Feed`. path: see `segments_of`. start, end: UTC ns; what comes in (start, end].

    Raises JournalError for a damaged journal, DataError for one without a bar.
    """

    def __init__(self, path: Path, start: int | None = None, end: int | None = None) -> None:
        self.path, self._start, self._end = path, start or 0, end
        self._segments = segments_of(path)
        begin = next(self._records(), None)
        first = next((record for record in self._records() if record.about["kind"] == "bars"), None)
        if begin is None or first is None:
            raise DataError(f"{path} is a journal without a bar: the stream ended before its first")
        self.symbols: tuple[str, ...] = tuple(begin.about["symbols"])
        self.instruments = Instruments(*[begin.arrays[f"instruments/{field}"] for field in Instruments._fields])
        clock = begin.about["clock"]
        self.clock = BarClock(**{**clock, "timeframes": tuple(clock["timeframes"])})
        self.depth: int = begin.about["depth"]
        self._has_alpha = "external_alpha" in chunk_of(first).inputs

    def _records(self) -> Iterator[Record]:
        return records_of([JournalReader(segment) for segment in self._segments])

    @property
    def digest(self) -> str:
        """See `Feed.digest`: of the segments."""
        digest = hashlib.sha256(f"{self._start} {self._end}".encode())
        for segment in self._segments:
            with segment.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        return digest.hexdigest()

    def deliver(self, *, after: int = 0, most: int = 1, epoch_ns: int = DAY) -> Iterator[Chunk | Instant]:
        """See `Feed.deliver`. A journal holds chunks that lie within an epoch; they are cut where another is asked for."""
        after = max(after, self._start)
        for record in self._records():
            if record.about["kind"] == "instant":
                instant = instant_of(record)
                if after < instant.ts <= (self._end or instant.ts):
                    yield instant
            elif record.about["kind"] == "bars":
                yield from self._pieces(chunk_of(record), after, most, epoch_ns)

    def _pieces(self, chunk: Chunk, after: int, most: int, epoch_ns: int) -> Iterator[Chunk]:
        wanted = [t for t, time in enumerate(chunk.time.tolist()) if after < time <= (self._end or time)]
        for _, rows in itertools.groupby(wanted, key=lambda t: int(chunk.time[t] - 1) // epoch_ns):
            own = list(rows)
            for a in range(own[0], own[-1] + 1, most):
                yield piece_of(chunk, a, min(a + most, own[-1] + 1))

    def remaining(self, after: int = 0) -> None:
        """See `Feed.remaining`: it is not known before the journal is read."""

    def about(self) -> dict[str, Any]:
        """See `Feed.about`."""
        return {"data": self.path.name, "source": "the journal of a stream", "external_alpha": self._has_alpha}

    def notes(self) -> list[str]:
        """See `Feed.notes`."""
        return []

    def close(self) -> None:
        """See `Feed.close`: no file stays open."""
