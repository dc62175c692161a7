"""A journal as a folder of segments: `000001.journal`, `000002.journal`, …

Each begins with a record of the state of the engine, so that a restart needs the last segment alone. The two newest stay as
they are, older ones are compressed. A segment gets its name when its beginning is on the disk. One process writes, locked.
"""

from __future__ import annotations

import fcntl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from drivers.files.atomic import sync
from drivers.store.journal import JournalError, JournalReader, JournalWriter, Record

KEPT: Final = 2
"""Segments that are not compressed."""


def segments_of(path: Path) -> list[Path]:
    """The segments of a journal, oldest first. path: its folder, one of its segments, or the results that it belongs to.

    Raises JournalError where there is none.
    """
    if path.is_file():
        return [path]
    folder = path / "journal" if (path / "journal").is_dir() else path
    found = {p.name.partition(".")[0]: p for p in sorted(folder.glob("[0-9]*.journal.zst"))}
    found |= {p.name.partition(".")[0]: p for p in sorted(folder.glob("[0-9]*.journal"))}
    if not found:
        raise JournalError(f"{path} holds no journal of a stream")
    return [found[number] for number in sorted(found)]


def has_segments(folder: Path) -> bool:
    """Whether a journal's folder holds a segment. Without one nothing has acted yet."""
    return any(folder.glob("[0-9]*.journal*"))


class Segments:
    """Writes the journal of one stream. Raises JournalError where another process writes it.

    folder: made where it is missing. cut: what was cut off at the end of the last segment, as a sentence.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.cut = folder, ""
        self._writer: JournalWriter | None = None
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
        self._writer = JournalWriter(segments_of(self.folder)[-1])
        self.cut = self._writer.cut

    def begin(self, about: Mapping[str, Any], arrays: Mapping[str, Any]) -> None:
        """Begins a segment with this record, and compresses those that have become old."""
        there = segments_of(self.folder) if has_segments(self.folder) else []
        number = int(there[-1].name.partition(".")[0]) + 1 if there else 1
        path = self.folder / f"{number:06d}.journal"
        unfinished = path.with_name(f".{path.name}")
        unfinished.unlink(missing_ok=True)
        writer = JournalWriter(unfinished)
        try:
            writer.append(about, arrays, sync=True)
            unfinished.rename(path)
            sync(self.folder)
        except OSError:
            writer.drop()
            unfinished.unlink(missing_ok=True)
            raise
        writer.path = path
        if self._writer is not None:
            self._writer.close()
        self._writer = writer
        for old in [*there, path][:-KEPT]:
            if old.suffix != ".zst":
                _compress(old)

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
        """Everything on the disk, and the lock is given back."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._lock.close()


def last_beginning(segments: list[Path], key: str) -> tuple[list[Path], Record]:
    """The newest segment whose beginning holds `key`, with those after it, and that beginning.

    Raises JournalError where there is none.
    """
    for i in range(len(segments) - 1, -1, -1):
        begin = next(iter(JournalReader(segments[i])), None)
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
