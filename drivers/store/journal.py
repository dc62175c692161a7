"""The journal: all that a run's engine is handed, in the order in which it is handed over, written before it acts.

An append-only file of records, each with its length and checksums. A process that dies leaves at most its last record half
written: that one has not acted, and readers name it and go by the others. Damage anywhere else is refused.
"""

from __future__ import annotations

import json
import math
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

MAGIC: Final = b"STRATOQUANT JOURNAL 1\n"
_HEAD: Final = struct.Struct("<QIII")
# bytes of the record's text and arrays; their checksum; bytes of the text; checksum of these three


class JournalError(ValueError):
    """The file is no journal, or damaged. Names the record and its place."""


class Record(NamedTuple):
    """One record. about: what it says, with its `kind`. arrays: by name."""

    number: int  # from 1
    about: dict[str, Any]
    arrays: dict[str, Any]


class JournalWriter:
    """Appends to a journal, which it begins where there is none; a last record that is half written is cut off first.

    cut: what was cut off, as a sentence; empty where nothing was.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.cut, self.records = path, "", 0
        self._layouts: dict[str, Any] = {}
        if path.exists() and path.stat().st_size:
            reader = JournalReader(path)
            self.records = sum(1 for _ in reader)
            self.cut = reader.torn
            with path.open("r+b") as file:
                file.truncate(reader.whole)
        self._file = path.open("ab")
        if self._file.tell() == 0:
            self._file.write(MAGIC)

    def append(self, about: Mapping[str, Any], arrays: Mapping[str, Any] | None = None, *, sync: bool = False) -> None:
        """One record, handed to the system at once. sync: on the disk before this returns."""
        parts = {name: np.ascontiguousarray(array) for name, array in (arrays or {}).items()}
        layout = [[name, array.dtype.str, list(array.shape)] for name, array in parts.items()]
        as_before = self._layouts.get(about["kind"]) == layout  # bars are alike: it is told once
        self._layouts[about["kind"]] = layout
        text = json.dumps({**about, "arrays": None if as_before else layout}, separators=(",", ":")).encode()
        body = b"".join([text, *(array.tobytes() for array in parts.values())])
        self.records += 1
        first = struct.pack("<QII", len(body), _checksum(self.records, body), len(text))
        self._file.write(first + struct.pack("<I", _checksum(self.records, first)) + body)
        self._file.flush()
        if sync:
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Everything on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


class JournalReader:
    """The records of a journal, in order. torn: names a half-written last record, once the others are read; whole: where they
    end. Raises JournalError at a record that is damaged."""

    def __init__(self, path: Path) -> None:
        self.path, self.torn, self.whole = path, "", 0
        with path.open("rb") as file:
            begins = file.read(len(MAGIC))
        if begins != MAGIC and not MAGIC.startswith(begins):
            raise JournalError(f"{path} is no journal of a stream")

    def __iter__(self) -> Iterator[Record]:
        size = self.path.stat().st_size
        with self.path.open("rb") as file:
            if len(file.read(len(MAGIC))) < len(MAGIC):
                return  # not even begun
            self.whole = len(MAGIC)
            number = 0
            layouts: dict[str, Any] = {}
            while self.whole < size:
                number += 1
                left = size - self.whole
                head = file.read(_HEAD.size)
                if len(head) < _HEAD.size:
                    self.torn = self._half(number, f"{len(head)} bytes of its head")
                    return
                length, of_body, of_text, of_head = _HEAD.unpack(head)
                if _checksum(number, head[:-4]) != of_head:
                    raise self._damaged(number)
                body = file.read(length)
                if len(body) < length:
                    self.torn = self._half(number, f"{left} of {length + _HEAD.size} bytes")
                    return
                if _checksum(number, body) != of_body:
                    if file.tell() == size:
                        self.torn = self._half(number, "its checksum is wrong")
                        return
                    raise self._damaged(number)
                self.whole = file.tell()
                yield _record(number, body, of_text, layouts)

    def _half(self, number: int, how: str) -> str:
        return f"{self.path.name}: record {number}, the last, is half written ({how}); what it was to say has not acted"

    def _damaged(self, number: int) -> JournalError:
        return JournalError(
            f"{self.path.name}: record {number}, at byte {self.whole}, is damaged; the {number - 1} before it are whole. "
            "Take the file from a backup"
        )


def _checksum(number: int, body: bytes) -> int:
    """Of a record and its number, so that one that is missing or twice there is found as well."""
    return zlib.crc32(body, number)


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
