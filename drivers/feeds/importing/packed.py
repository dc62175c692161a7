"""Where a table is: a file, or an entry of a zip archive, packed by gzip, zstd, bzip2 or not. Archives are read in place.

Nothing is unpacked to disk, so that the names in an archive are names and no paths. An entry that unpacks to far more than any
market data would is refused (`refuse_bomb`); an archive in an archive is not opened.
"""

from __future__ import annotations

import zipfile
from contextlib import ExitStack
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import IO, Any, Final

import pyarrow as pa

from drivers.feeds.errors import DataError

CODECS: Final = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2"}
TEXTS: Final = (".csv", ".txt", ".tsv", ".json", ".csv.gz", ".csv.zst", ".csv.bz2", ".json.gz")
"""What an archive may hold."""
_BOMB_RATIO: Final = 200
"""Text of prices packs ten to thirty times smaller, and a constant series a hundred times."""
_BOMB_BYTES: Final = 1 << 28


@dataclass(frozen=True)
class Origin:
    """One table. path: the file; entry: its name in the archive that the file is, "" for a plain or packed file."""

    path: Path
    entry: str = ""

    @property
    def name(self) -> str:
        """The name by which messages call it."""
        return self.names[0]

    @property
    def names(self) -> tuple[str, ...]:
        """What may tell its layout and symbol: the file's name; of several tables in an archive the entry's before it."""
        if not self.entry:
            return (self.path.name,)
        both = (self.path.name, PurePosixPath(self.entry).name)
        return both if len(entries(self.path)) == 1 else both[::-1]

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return _archive(self.path, *_stamp(self.path)).getinfo(self.entry).compress_size if self.entry else _stamp(self.path)[0]

    def open(self, stack: ExitStack) -> tuple[Any, Any]:
        """Streams of its unpacked text and of what is on disk (its `tell()` is how far it is read); closed with `stack`."""
        packed: Any = stack.enter_context(self.path.open("rb"))
        text = packed
        if self.entry:
            info = _archive(self.path, *_stamp(self.path)).getinfo(self.entry)
            refuse_bomb(self, info.file_size, info.compress_size)
            text = stack.enter_context(_archive(self.path, *_stamp(self.path)).open(info))
            packed = _Entry(text, info)
        codec = CODECS.get(Path(self.entry or self.path.name).suffix.lower())
        return (text if codec is None else stack.enter_context(pa.CompressedInputStream(text, codec))), packed


class Unjoined:
    """A stream without the lines of its beginning where they come again, as in files that were joined with their headers.

    lines: the first lines of the text, as bytes; none changes nothing. repeats: how often they came again so far.
    """

    closed = False

    def __init__(self, text: Any, lines: bytes) -> None:
        self._text, self._pattern, self.repeats = text, b"\n" + lines, 0
        self._held, self._ended = b"", False

    def read(self, size: int = -1) -> bytes:
        """So many bytes, fewer at the end, none after it; without a size all that is left."""
        keep = len(self._pattern) - 1  # the last bytes may be the beginning of such lines
        while not self._ended and (size < 0 or len(self._held) < size + keep):
            more = self._text.read(size)
            self._ended = not more
            self._held += more
            while keep and (again := self._held.count(self._pattern)):
                self._held, self.repeats = self._held.replace(self._pattern, b"\n"), self.repeats + again
        out = self._held if size < 0 else self._held[:size]
        self._held = self._held[len(out) :]
        return out


@dataclass(frozen=True)
class _Entry:
    """How far an entry is read, as bytes of the archive."""

    text: IO[bytes]
    info: zipfile.ZipInfo

    def tell(self) -> int:
        return self.text.tell() * self.info.compress_size // max(self.info.file_size, 1)


def refuse_bomb(origin: Origin, unpacked: int, packed: int) -> None:
    """Raises DataError where so many bytes came out of so few that it is no market data."""
    if unpacked > max(_BOMB_BYTES, _BOMB_RATIO * packed):
        raise DataError(
            f"{origin.name}: unpacks to more than {_BOMB_RATIO} times its size, as no market data does; if it is sound, unpack "
            "it and import the file"
        )


def entries(path: Path) -> tuple[str, ...]:
    """The tables in an archive, by name. Raises DataError where there are none, or one is encrypted."""
    infos = [i for i in _archive(path, *_stamp(path)).infolist() if not i.is_dir() and i.filename.lower().endswith(TEXTS)]
    infos = [i for i in infos if not PurePosixPath(i.filename).name.startswith(".") and "__MACOSX" not in i.filename]
    if not infos:
        raise DataError(f"{path.name}: holds no csv, txt or json file; unpack it and import what is in it")
    locked = next((i.filename for i in infos if i.flag_bits & 1), None)
    if locked is not None:
        raise DataError(f"{path.name}: {locked} is encrypted; unpack it and import the file")
    return tuple(sorted(i.filename for i in infos))


def _stamp(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns


@lru_cache(maxsize=2)
def _archive(path: Path, size: int, changed: int) -> zipfile.ZipFile:
    """An archive, its directory read once for all its entries."""
    return zipfile.ZipFile(path)
