"""What came over the wire, as it came: recorded to a folder, and read back so that it can be played through the same code.

A folder holds `session.json`, the history before it, and `frames-000001.jsonl.zst` and so on, one JSON list a line:
[UTC ns by our clock, kind, address, text]. Kinds:

- `open` a stream is dialed, `ws` a frame of a connection, `lost` its end;
- `rest` an answer to the streams' side, `fault` one that was an error; `asked` and `refused` the same of the feed's side;
- `skew` the exchange's clock less ours, ns; `compare` a book is compared with a snapshot;
- `look` the feed looks at what is there, and hands on a bar or asks for it.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import ccxt
import pyarrow as pa

ROTATE_BYTES: Final = 64 * 2**20
"""Text of one file, before compression."""
FLUSH_NS: Final = 1_000_000_000
"""A crash loses at most so much."""
PATTERN: Final = "frames-*.jsonl.zst"


class Frame(NamedTuple):
    """One line. time: UTC ns by this machine's clock. url: which connection, or what was asked."""

    time: int
    kind: str
    url: str
    text: str


class FrameRecorder:
    """Writes frames, from any thread. rotate: bytes of text after which another file begins. Raises OSError for a folder that
    cannot be made, and ValueError for one that has frames already."""

    def __init__(self, folder: Path, rotate: int = ROTATE_BYTES) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.glob(PATTERN)):
            raise ValueError(f"{folder} has frames already; name another folder")
        self.folder, self.rotate = folder, rotate
        self.frames = 0
        self.failed = ""
        self._lock = threading.Lock()
        self._files, self._size, self._flushed = 0, 0, 0
        self._out: Any = None
        self._apart = False

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Within it, what the feed asks is not recorded: what it leads to is."""
        self._apart = True
        try:
            yield
        finally:
            self._apart = False

    def through(self, fetch: Callable[..., Any], time_ns: Callable[[], int] = time.time_ns) -> Callable[..., Any]:
        """ccxt's `fetch`, whose answers are recorded."""

        def recorded(url: str, *arguments: Any, **more: Any) -> Any:
            try:
                answer = fetch(url, *arguments, **more)
            except ccxt.BaseError as error:
                if not self._apart:
                    self.write(Frame(time_ns(), "refused", url, type(error).__name__))
                raise
            if not self._apart:
                self.write(Frame(time_ns(), "asked", url, json.dumps(answer)))
            return answer

        return recorded

    def write(self, frame: Frame) -> None:
        """Writes one. An error ends the recording, and is kept in `failed`: nothing else may fail by it."""
        with self._lock:
            if self.failed:
                return
            try:
                self._write(frame)
            except OSError as error:
                self.failed = (error.strerror or "unknown reason").lower()
                self._out = None

    def _write(self, frame: Frame) -> None:
        if self._out is None or self._size >= self.rotate:
            self._end()
            self._files += 1
            path = self.folder / f"frames-{self._files:06d}.jsonl.zst"
            self._out = pa.CompressedOutputStream(pa.OSFile(str(path), "wb"), "zstd")
            self._size = 0
        line = json.dumps(list(frame), separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        self._out.write(line)
        self._size += len(line)
        self.frames += 1
        if frame.time - self._flushed >= FLUSH_NS:
            self._out.flush()
            self._flushed = frame.time

    def _end(self) -> None:
        if self._out is not None:
            self._out.close()
            self._out = None

    def close(self) -> None:
        """Everything on the disk."""
        with self._lock:
            self._end()


def read_frames(folder: Path) -> Iterator[Frame]:
    """The frames of a folder, in order. A last file that a crash cut short is read as far as it is whole. Raises ValueError for
    a folder without any."""
    paths = sorted(folder.glob(PATTERN))
    if not paths:
        raise ValueError(f"{folder} has no recorded frames ({PATTERN})")
    for path in paths:
        for line in _lines(path):
            time, kind, url, text = json.loads(line)
            yield Frame(time, kind, url, text)


def _lines(path: Path) -> Iterator[bytes]:
    rest = b""
    with pa.CompressedInputStream(pa.OSFile(str(path)), "zstd") as stream:
        while True:
            try:
                part = stream.read(512)  # one that is cut short is lost as a whole
            except OSError:  # cut short
                break
            if not part:
                break
            *whole, rest = (rest + part).split(b"\n")
            yield from whole
