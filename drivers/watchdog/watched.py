"""The stream that is watched, as its heartbeat and its journal tell of it. The engine is not run."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from drivers.exchanges.state import State
from drivers.monitor.heartbeat import read_heartbeat
from drivers.store.folder import JOURNAL, owner_lives
from drivers.store.journal import JournalError, JournalReader
from drivers.store.segments import TURN, has_segments, last_beginning, segments_of


class Watched:
    """folder: `<out>.partial` of the stream. monotonic: seconds.

    state: what the gateway keeps in the journal; None: there is none yet. step: of the stream's clock, ns. damaged: why the
    journal cannot be read any further. lives: the heartbeat has changed since this process saw it first.
    """

    def __init__(self, folder: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.folder, self._monotonic = folder, monotonic
        self.state: State | None = None
        self.step, self.damaged = 60_000_000_000, ""
        self.lives = False
        self._reader: JournalReader | None = None
        self._beat, self._since, self._seen = 0, monotonic(), False

    def look(self) -> None:
        """Reads on."""
        self._seen = self._seen or self.folder.is_dir()
        beat = int(read_heartbeat(self.folder).get("time") or 0)
        ends = not beat and (self.over or owner_lives(self.folder))  # the heartbeat goes first, then the results are written
        self.lives = self.lives or (bool(self._beat) and beat not in (0, self._beat))
        if ends or beat not in (0, self._beat):
            self._beat, self._since = beat or self._beat, self._monotonic()
        try:
            self._read()
        except (JournalError, OSError) as error:
            if self.folder.is_dir():
                self.damaged = str(error)

    @property
    def silent_for(self) -> float:
        """Seconds since the heartbeat changed, as this process has seen it; 0: the stream has not begun. A heartbeat that is
        gone is silence, unless the stream has ended normally or its process lives and writes the results."""
        return self._monotonic() - self._since if self._beat or self.state is not None else 0.0

    @property
    def over(self) -> bool:
        """Whether the stream has ended normally: its results have their name."""
        return self._seen and not self.folder.is_dir() and self.folder.with_name(self.folder.stem).is_dir()

    def _read(self) -> None:
        folder = self.folder / JOURNAL
        if self._reader is None:
            if not has_segments(folder):
                return
            segments, begin = last_beginning(segments_of(folder), "kind")
            self._reader = JournalReader(segments[0])
            self._begin(begin.about)
        while True:  # what follows a segment is listed first: the segment is whole then
            later = [path for path in segments_of(folder) if path.name[:6] > self._reader.path.name[:6]]
            for record in self._reader.more():
                kind = record.about["kind"]
                if kind == "begin":
                    self._begin(record.about)
                elif kind == TURN and self.state is not None:
                    self.state.prune()  # as the gateway does where it keeps its state
                elif kind == "venue" and self.state is not None:
                    self.state.take(record.about)
                    self.state.reports.clear()  # they are for the engine
            if not later:
                return
            self._reader = JournalReader(later[0])

    def _begin(self, about: dict[str, object]) -> None:
        clock, venue = about.get("clock"), about.get("venue")
        if isinstance(clock, dict):
            self.step = int(clock["seconds"]) * 1_000_000_000
        if isinstance(venue, dict):
            self.state = State("")
            self.state.take(venue)
            self.state.reports.clear()
