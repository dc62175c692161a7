"""A journal as a folder of segments: `000001.journal`, `000002.journal`, …

Each begins with a record of the engine's state, so that a restart needs the last segment alone. That record is large. Where the
next bar must not wait for it, the segment begins with a small record that says when, and `000002.start` has the large one. That
file is written beside the bars. Until it is on the disk, a restart begins with the segment before.

The two newest stay as they are, older ones are compressed. One process writes, locked.
"""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from drivers.files.atomic import sync
from drivers.store.journal import MAGIC, JournalError, JournalReader, JournalWriter, Record

TURN: Final = "turn"
"""The kind of the small record that a segment begins with whose beginning is in a file beside it."""
KEPT: Final = 2
"""Segments that are not compressed."""


def segments_of(path: Path) -> list[Path]:
    """The segments of a journal, oldest first. path: its folder, one of its segments, or the results that it belongs to.

    Raises JournalError where there is none.
    """
    if path.is_file():
        return [path]
    folder = path / "journal" if (path / "journal").is_dir() else path
    found = {p.name.partition(".")[0]: p for p in folder.glob("[0-9]*.journal.zst")}
    found |= {p.name.partition(".")[0]: p for p in folder.glob("[0-9]*.journal") if _begun(p)}
    if not found:
        raise JournalError(f"{path} holds no journal of a stream")
    return [found[number] for number in sorted(found)]


def has_segments(folder: Path) -> bool:
    """Whether a journal's folder holds a segment. Without one nothing has acted yet."""
    return any(p.suffix == ".zst" or _begun(p) for p in folder.glob("[0-9]*.journal*"))


def _begun(path: Path) -> bool:
    """Whether something stands in a segment; one that is prepared is no segment yet."""
    try:
        return path.stat().st_size > len(MAGIC)
    except FileNotFoundError:  # compressed meanwhile, by whoever writes it
        return False


def beginning_of(segment: Path) -> Record | None:
    """The record of a segment's beginning that has the engine's state; None where it did not come to the disk."""
    begin = next(iter(JournalReader(segment)), None)
    if begin is None or begin.about["kind"] != TURN:
        return begin
    for path in (_start_of(segment), _start_of(segment).with_suffix(".start.zst")):
        if path.is_file():
            return next(iter(JournalReader(path)), None)
    return None


def _start_of(segment: Path) -> Path:
    return segment.with_name(f"{segment.name.partition('.')[0]}.start")


def records_of(readers: Sequence[JournalReader]) -> Iterator[Record]:
    """The records of successive segments; the first of each is its beginning with the engine's state, where that is on the
    disk."""
    for reader in readers:
        for i, record in enumerate(reader):
            yield (beginning_of(reader.path) or record) if i == 0 and record.about["kind"] == TURN else record


class Segments:
    """Writes the journal of one stream. Raises JournalError where another process writes it.

    folder: made where it is missing. cut: what was cut off at the end of the last segment, as a sentence.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.cut = folder, ""
        self._writer: JournalWriter | None = None
        self._prepared: JournalWriter | None = None
        self._preparing = threading.Lock()
        self._left = list[JournalWriter]()  # of segments that are over, to be closed
        if not folder.is_dir():
            folder.mkdir(parents=True)
            sync(folder.parent)
        self._lock = (folder / "lock").open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise JournalError(f"another process writes the journal in {folder}; it must end first") from None

    def go_on(self) -> None:
        """Appends to the last segment, whose end is cut off where it is not whole."""
        cuts = []
        for path in reversed(segments_of(self.folder)):
            self._writer = JournalWriter(path)
            cuts += [self._writer.cut] if self._writer.cut else []
            if self._writer.records:
                break
            self._writer.close()  # its beginning was cut off
        self.cut = "; ".join(cuts)

    def begin(self, about: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """Begins a segment with this record, which is on the disk when this returns. `tidy` is to follow."""
        self.drop_prepared()
        writer = _written(self._next_path(), about, arrays)
        self._left += [] if self._writer is None else [self._writer]
        self._writer = writer

    def turn(self, last_time: int) -> Path:
        """Begins a segment with a small record, of kind TURN, and returns it; the record is on the disk with the one after it.
        last_time: of the engine, UTC ns.

        Of what waits for the disk nothing is left to do here where `prepare` was called in time. `keep_start` is to follow.
        Raises SyncError where the disk does not confirm the segment before; that one cannot be gone on with then.
        """
        self.prepare()
        writer = self._prepared
        assert writer is not None  # prepared
        if self._writer is not None:
            self._writer.settle()
        try:
            writer.append({"kind": TURN, "last_time": last_time})
        except OSError:
            self.drop_prepared()
            raise
        self._left += [] if self._writer is None else [self._writer]
        self._writer, self._prepared = writer, None
        return writer.path

    def prepare(self) -> None:
        """Puts the next segment's file on the disk, empty. May be called from a thread beside the one that appends."""
        with self._preparing:
            if self._prepared is None:
                writer = JournalWriter(self._next_path())
                sync(self.folder)
                self._prepared = writer

    def keep_start(self, segment: Path, about: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """The state that a segment begins with, on the disk when this returns. `tidy` is to follow.

        May be called from a thread beside the one that appends.
        """
        self._left.append(_written(_start_of(segment), about, arrays))

    def tidy(self) -> None:
        """Closes files that are no longer written, and compresses segments that have become old.

        May be called from a thread beside the one that appends.
        """
        while self._left:
            self._left.pop(0).close()
        for old in segments_of(self.folder)[:-KEPT]:
            for path in (old, _start_of(old)):
                if path.suffix != ".zst" and path.is_file():
                    _compress(path)

    def _next_path(self) -> Path:
        there = segments_of(self.folder) if has_segments(self.folder) else []
        number = int(there[-1].name.partition(".")[0]) + 1 if there else 1
        return self.folder / f"{number:06d}.journal"

    def drop_prepared(self) -> None:
        """Removes the file that `prepare` made, where no segment was begun in it."""
        if self._prepared is not None:
            self._prepared.drop()
            self._prepared.path.unlink(missing_ok=True)
            self._prepared = None

    def append(self, about: Mapping[str, Any], arrays: Mapping[str, Any] | None = None, *, sync: bool = False) -> None:
        """One record. sync: on the disk before this returns."""
        assert self._writer is not None  # begun, or gone on with
        self._writer.append(about, arrays, sync=sync)

    def fail(self) -> None:
        """Ends the segment after an error; `begin` begins the next."""
        if self._writer is not None:
            self._writer.drop()
            self._writer = None

    def close(self) -> None:
        """Everything on the disk, and the lock is given back. Raises OSError where a file cannot be brought there; all are
        closed then, too."""
        left = [*self._left, *([] if self._writer is None else [self._writer])]
        self._left, self._writer = [], None
        with ExitStack() as stack:
            stack.callback(self._lock.close)
            for writer in left:
                stack.callback(writer.close)
            self.drop_prepared()


def _written(path: Path, about: Mapping[str, Any], arrays: Mapping[str, Any]) -> JournalWriter:
    """A file that begins with this record. It gets its name when the record is on the disk; an OSError leaves no file."""
    unfinished = path.with_name(f".{path.name}")
    unfinished.unlink(missing_ok=True)
    writer = JournalWriter(unfinished)
    try:
        writer.append(about, arrays, sync=True)
        unfinished.rename(path)
        sync(path.parent)
    except OSError:
        writer.drop()
        unfinished.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise
    writer.path = path
    return writer


def last_beginning(segments: list[Path], key: str) -> tuple[list[Path], Record]:
    """The newest segment whose beginning holds `key`, with those after it, and that beginning.

    Raises JournalError where there is none.
    """
    for i in range(len(segments) - 1, -1, -1):
        begin = beginning_of(segments[i])
        if begin is not None and key in begin.about:
            return segments[i:], begin
    raise JournalError(f"no segment of {segments[0].parent} begins with {key}")


def _compress(path: Path) -> None:
    target = path.with_name(f"{path.name}.zst")
    unfinished = path.with_name(f".{target.name}")
    with path.open("rb") as file, pa.CompressedOutputStream(pa.OSFile(str(unfinished), "wb"), "zstd") as packed:
        while part := file.read(1 << 20):
            packed.write(part)
    sync(unfinished)
    unfinished.rename(target)
    sync(path.parent)
    path.unlink()
