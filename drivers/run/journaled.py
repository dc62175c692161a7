"""An engine that writes everything it is handed to a journal before it acts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from dataflows.panel import Floats, Ints
from drivers.engine.checkpoint import Taken, packed, take
from drivers.engine.chunk import Chunk, Instant, Outputs
from drivers.engine.engine import Engine
from drivers.engine.one_bar.rooms import Rooms, Shape
from drivers.run.assembly import PreparedRun
from drivers.run.provenance import versions
from drivers.store.errors import StoreError
from drivers.store.instants import arrays_of
from drivers.store.journal import SyncError
from drivers.store.segments import Segments

FORMAT: Final = 3

STATE_EVERY: Final = 512
"""Bars within which the journal says once what each part of the engine's state must be."""
MOST_BYTES: Final = 1 << 20
"""Of a part of the state: what a bar can wait for, half a millisecond."""


def state_of(engine: Engine, part: int = 0, parts: int = 1) -> str:
    """SHA-256 of what the layers remember, or of one of so many parts of it."""
    return _digest(engine.last_time, engine.epoch, engine.arena.f8, engine.arena.i8, part, parts)


def agrees(engine: Engine, about: Mapping[str, Any]) -> bool:
    """Whether an engine is where a record says; a small beginning of a segment says the time alone."""
    which = about.get("part", (0, 1))
    return about["last_time"] == engine.last_time and ("sha256" not in about or about["sha256"] == state_of(engine, *which))


def _digest(last_time: int, epoch: int, f8: Floats, i8: Ints, part: int = 0, parts: int = 1) -> str:
    digest = hashlib.sha256(f"{last_time} {epoch}".encode())
    for block in (f8, i8):
        first, end = part * len(block) // parts, (part + 1) * len(block) // parts
        digest.update(block[first:end].data)
    return digest.hexdigest()


class Journaled:
    """An engine whose every instant is in a journal, on the disk, before it acts.

    folder: of the journal's segments; None: no journal is kept. sends: its orders leave for an exchange; a disk error that
    leaves it unknown what was written then ends the stream (StoreError). on_failure: called once when the journal cannot be
    written, with the reason, before what was to be written acts; from then on the engine goes on without a journal, until
    `begin`.
    """

    def __init__(self, session: PreparedRun, folder: Path | None) -> None:
        self.session, self.engine = session, session.engine
        self.on_failure: Callable[[str], None] = lambda reason: None
        self.failed, self.sends = "", False
        self._segments = None if folder is None else Segments(folder)
        self._since = self._part = 0
        self._copies = Rooms(lambda: [Shape(x.dtype, x.shape) for x in (self.engine.arena.f8, self.engine.arena.i8)])

    def begin(
        self, operator: Mapping[str, Any], results: Mapping[str, Any] | None, venue: Mapping[str, Any] | None = None
    ) -> None:
        """Begins a segment: from here on a restart needs nothing older. operator: `Between.memory`. results:
        `Recorder.cut`. venue: `KeptVenue.memory`. Raises OSError, with the last segment still in use, when it cannot be
        written."""
        self._since = 0
        if self._segments is not None:
            self._segments.begin(*_begin(self.session, self._take(), operator, results, venue))
            self.failed = ""

    def _take(self) -> Taken:
        """The engine's state, in memory that is used again for the next one where nobody looks into it any more."""
        return take(self.engine, into=self._copies.free())

    def turn(
        self, operator: Mapping[str, Any], venue: Mapping[str, Any] | None = None
    ) -> Callable[[Mapping[str, Any] | None], None]:
        """Begins a segment at once. Returns what is to be called with `Recorder.cut`, in a thread beside the bars, and puts its
        beginning on the disk: until that has returned, a restart needs the segment before. What is handed in must not change.

        Both raise OSError when they cannot write; the last segment, or the last beginning, is still in use then. Where the disk
        does not confirm the last segment, that is a failure of the journal, as when a record is written. `prepare` and `tidy`
        are to follow.
        """
        self._since = 0
        segments = self._segments
        if segments is None or self.failed:
            return lambda results: None
        try:
            segment = segments.turn(self.engine.last_time)
        except SyncError as error:
            self._fail(error)
            return lambda results: None
        taken = self._take()

        def keep(results: Mapping[str, Any] | None) -> None:
            segments.keep_start(segment, *_begin(self.session, taken, operator, results, venue))

        return keep

    def prepare(self) -> None:
        """Does in advance the disk work that the next `turn` would wait for. In any thread; raises OSError."""
        if self._segments is not None and not self.failed:
            self._segments.prepare()

    def tidy(self) -> None:
        """Closes and compresses what is no longer written. In any thread; raises OSError, which leaves the journal whole."""
        if self._segments is not None:
            self._segments.tidy()

    def go_on(self) -> str:
        """Appends to the last segment; returns what was cut off at its end, as a sentence."""
        if self._segments is None:
            return ""
        self._segments.go_on()
        return self._segments.cut

    def _append(self, about: Mapping[str, Any], arrays: Mapping[str, Any] | None = None, *, sync: bool = False) -> None:
        if self._segments is None or self.failed:
            return
        try:
            self._segments.append(about, arrays, sync=sync)
        except OSError as error:
            self._fail(error)

    def _fail(self, error: OSError) -> None:
        """Goes on without a journal that cannot be written, or raises StoreError; see the class."""
        reason = _reason(error)
        if self.sends and isinstance(error, SyncError):
            raise StoreError(
                f"the disk does not confirm the journal ({reason}), so nothing more is sent; stops stay at the exchange. "
                "Check the disk, then complete the stream with `stratoquant stream --resume`"
            ) from error
        self.failed = reason
        if self._segments is not None:
            self._segments.fail()
        self.on_failure(reason)

    def advance(self, chunk: Chunk) -> Outputs:
        """`Engine.advance`."""
        self._append({"kind": "bars"}, arrays_of(chunk), sync=True)
        outputs = self.engine.advance(chunk)
        self._since += len(chunk.time)
        parts = -(-(self.engine.arena.f8.nbytes + self.engine.arena.i8.nbytes) // MOST_BYTES)
        if self._since >= max(1, STATE_EVERY // parts):
            self._part = (self._part + 1) % parts
            self.state((self._part, parts))
        return outputs

    def react(self, instant: Instant, *, by: str, command: str = "") -> Outputs:
        """`Engine.react`. by: whose word it is. command: its text, by which a restart knows that it has acted."""
        about = {"kind": "instant", "by": by, **({"command": command} if command else {})}
        self._append(about, arrays_of(instant.chunk()), sync=True)
        return self.engine.react(instant)

    def note(self, about: Mapping[str, Any], sync: bool) -> bool:
        """Writes what a venue is to remember; whether it could. sync: on the disk before this returns."""
        self._append(about, sync=sync)
        return self._segments is not None and not self.failed

    def state(self, which: tuple[int, int] = (0, 1)) -> None:
        """Writes what the engine's state is now. which: a part of it, and of how many."""
        self._since = 0
        if self._segments is None or self.failed:
            return
        digest = state_of(self.engine, *which)
        self._append({"kind": "state", "last_time": self.engine.last_time, "part": which, "sha256": digest})

    def ends(self) -> None:
        """No `turn` comes any more: what was prepared for it goes."""
        if self._segments is not None:
            self._segments.drop_prepared()

    def close(self) -> str:
        """Everything on the disk; no more after this. Returns why the end of the journal may not be there, where that was not
        told before."""
        segments, self._segments = self._segments, None
        try:
            if segments is not None:
                segments.close()
        except OSError as error:
            return "" if self.failed else _reason(error)
        return ""


def _reason(error: OSError) -> str:
    return (error.strerror or "unknown reason").lower()


def _begin(
    session: PreparedRun,
    taken: Taken,
    operator: Mapping[str, Any],
    results: Mapping[str, Any] | None,
    venue: Mapping[str, Any] | None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    engine, plan = session.engine, session.plan
    about = {
        "kind": "begin",
        "last_time": taken.last_time,
        "sha256": _digest(taken.last_time, taken.header["epoch"], taken.arrays["f8"], taken.arrays["i8"]),
        "format": FORMAT,
        "versions": versions(),
        "symbols": list(engine.symbols),
        "depth": engine.dims["D"],
        "epoch_ns": engine.epoch_ns,
        "clock": session.data.clock._asdict(),
        "configs": {name: record._asdict() for name, record in session.configs.items()},
        "operator": dict(operator),
        "variants": dict(session.wiring.variants),
        "spec": None if session.spec is None else session.spec.model_dump(),
        "code": {name: plan.code_of(node) for name, node in plan.nodes.items()},
    }
    arrays = {f"instruments/{k}": v for k, v in engine.static["instruments"]._asdict().items()}
    if results is not None:
        about["results"] = {key: value for key, value in results.items() if key != "learned"}
        arrays |= {f"learned/{key}": value for key, value in results["learned"].items()}
    if venue is not None:
        about["venue"] = dict(venue)
    if taken.last_time:
        arrays["checkpoint"] = np.frombuffer(packed(taken), np.uint8)
    return about, arrays
