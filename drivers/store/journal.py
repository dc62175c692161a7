"""The journal: all that a run's engine is handed, in the order in which it is handed over, written before it acts.

An append-only file of records, each with its length and checksums. A process or a machine that dies may leave the last record
half written, zero or damaged: it has not acted, and readers name it and go by the others. Damage that whole records follow
is refused. A segment that is no longer written may be compressed (`.zst`).
"""

from __future__ import annotations

import contextlib
import functools
import io
import json
import math
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np
import pyarrow as pa

MAGIC: Final = b"STRATOQUANT JOURNAL 1\n"
_HEAD: Final = struct.Struct("<QIII")
# bytes of the record's text and arrays; their checksum; bytes of the text; checksum of these three

BUFFER: Final = 1 << 20
"""Bytes: a bar's record is handed to the system in one piece."""


class JournalError(ValueError):
    """The file is no journal, or damaged. Names the record and its place."""


class Record(NamedTuple):
    """One record. about: what it says, with its `kind`. arrays: by name."""

    number: int  # from 1
    about: dict[str, Any]
    arrays: dict[str, Any]


class SyncError(OSError):
    """What was written may not be on the disk, now or ever: after a failed sync the system may have dropped it, and a later
    sync of the same file says nothing of it (Rebello et al. 2020)."""


def sync_file(handle: int) -> None:
    """Returns when the content of an open file is on the disk. Raises SyncError."""
    try:
        getattr(os, "fdatasync", os.fsync)(handle)  # macOS has no fdatasync
    except OSError as error:
        raise SyncError(error.errno, error.strerror) from error


class JournalWriter:
    """Appends to a journal, which it begins where there is none; a last record that is not whole is cut off first.

    cut: what was cut off, as a sentence; empty where nothing was.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.cut, self.records = path, "", 0
        self._layouts: dict[str, Any] = {}
        self._settled = True  # nothing was written since the disk had it all
        if path.exists() and path.stat().st_size:
            reader = JournalReader(path)
            self.records = sum(1 for _ in reader)
            self.cut = reader.torn
            with path.open("r+b") as file:
                file.truncate(reader.whole)
        self._file = path.open("ab", buffering=BUFFER)
        if self._file.tell() == 0:
            self._file.write(MAGIC)

    def append(self, about: Mapping[str, Any], arrays: Mapping[str, Any] | None = None, *, sync: bool = False) -> None:
        """One record, handed to the system at once. sync: on the disk before this returns."""
        parts = {name: np.ascontiguousarray(array) for name, array in (arrays or {}).items()}
        layout = [[name, array.dtype.str, list(array.shape)] for name, array in parts.items()]
        as_before = self._layouts.get(about["kind"]) == layout  # bars are alike: it is told once
        self._layouts[about["kind"]] = layout
        text = json.dumps({**about, "arrays": None if as_before else layout}, separators=(",", ":")).encode()
        # no copy: a state has 100 MB, and whoever copies that keeps Python from the bars for a tenth of a second
        body: list[Any] = [text, *(array.reshape(-1).view(np.uint8).data for array in parts.values())]
        self.records += 1
        first = struct.pack("<QII", sum(map(len, body)), functools.reduce(_more, body, self.records), len(text))
        self._file.writelines([first, struct.pack("<I", _checksum(self.records, first)), *body])
        self._file.flush()
        self._settled = False
        if sync:
            self.settle()

    def settle(self) -> None:
        """Returns when all that was written is on the disk."""
        if not self._settled:
            sync_file(self._file.fileno())
            self._settled = True

    def close(self) -> None:
        """Everything on the disk, and the file is closed, also where that fails. A second time does nothing."""
        if not self._file.closed:
            try:
                self._file.flush()
                sync_file(self._file.fileno())
            finally:
                self.drop()

    def drop(self) -> None:
        """Closes a file that cannot be written any more, in whatever state it is."""
        with contextlib.suppress(OSError):
            self._file.close()


class JournalReader:
    """The records of a journal, in order. torn: names a last record that is not whole, once the others are read; whole: where
    those end. Raises JournalError at a damaged record that whole ones follow."""

    def __init__(self, path: Path) -> None:
        self.path, self.torn, self.whole = path, "", 0
        self._number, self._layouts = 0, dict[str, Any]()
        with _opened(path) as file:
            begins = file.read(len(MAGIC))
        if begins != MAGIC and not MAGIC.startswith(begins):
            raise JournalError(f"{path} is no journal of a stream")

    def __iter__(self) -> Iterator[Record]:
        self.torn, self.whole, self._number, self._layouts = "", 0, 0, {}
        return self.more()

    def more(self) -> Iterator[Record]:
        """The records after those that were read, for a journal that grows: one that was half written is read when it is
        whole."""
        with _opened(self.path) as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            if len(file.read(len(MAGIC))) < len(MAGIC):
                return  # not even begun
            self.torn, self.whole = "", max(self.whole, len(MAGIC))
            file.seek(self.whole)
            while self.whole < size:
                number = self._number + 1
                left = size - self.whole
                head = file.read(_HEAD.size)
                if len(head) < _HEAD.size:
                    self.torn = self._half(number, f"{len(head)} bytes of its head")
                    return
                length, of_body, of_text, of_head = _HEAD.unpack(head)
                if _checksum(number, head[:-4]) != of_head:
                    self.torn = self._end(number, file, "its head is damaged")
                    return
                body = file.read(length)
                if len(body) < length:
                    self.torn = self._half(number, f"{left} of {length + _HEAD.size} bytes")
                    return
                if _checksum(number, body) != of_body:
                    self.torn = self._end(number, file, "its checksum is wrong")
                    return
                self.whole, self._number = file.tell(), number
                yield _record(number, body, of_text, self._layouts)

    def _end(self, number: int, file: BinaryIO, how: str) -> str:
        """The sentence for a damaged record that ends the journal; raises where a whole record follows it."""
        file.seek(self.whole)
        rest = file.read()
        if rest.strip(b"\0"):
            for at in range(len(rest) - _HEAD.size + 1):
                length, of_body, _, of_head = _HEAD.unpack_from(rest, at)
                if length <= len(rest) - at and _checksum(number + 1, rest[at : at + _HEAD.size - 4]) == of_head:
                    body = rest[at + _HEAD.size : at + _HEAD.size + length]
                    if len(body) == length and _checksum(number + 1, body) == of_body:
                        raise self._damaged(number)
        return self._half(number, how)

    def _half(self, number: int, how: str) -> str:
        return f"{self.path.name}: record {number}, the last, is half written ({how}); what it was to say has not acted"

    def _damaged(self, number: int) -> JournalError:
        return JournalError(
            f"{self.path.name}: record {number}, at byte {self.whole}, is damaged; the {number - 1} before it are whole. "
            "Take the file from a backup"
        )


def _opened(path: Path) -> BinaryIO:
    """A segment's content, unpacked where it is compressed."""
    if path.suffix != ".zst":
        return path.open("rb")
    with pa.CompressedInputStream(pa.OSFile(str(path)), "zstd") as file:
        return io.BytesIO(file.read())


def _checksum(number: int, body: bytes) -> int:
    """Of a record and its number, so that one that is missing or twice there is found as well."""
    return zlib.crc32(body, number)


def _more(checksum: int, part: Any) -> int:
    """The checksum of what came before and this part."""
    return zlib.crc32(part, checksum)


def _record(number: int, body: bytes, text: int, layouts: dict[str, Any]) -> Record:
    about = json.loads(body[:text])
    layout = about.pop("arrays")
    if layout is None:
        layout = layouts[about["kind"]]
    layouts[about["kind"]] = layout
    arrays: dict[str, Any] = {}
    at = text
    for name, dtype, shape in layout:
        kind = np.dtype(dtype)
        count = math.prod(shape)
        arrays[name] = np.frombuffer(body, kind, count, at).reshape(shape).copy()
        at += count * kind.itemsize
    return Record(number, about, arrays)
