"""How a stream's process is: what its journal does not hold. The stream writes it beside its results, the page reads it."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from drivers.engine.chunk import Chunk
from drivers.feeds.base import Delivered

HEARTBEAT: Final = "heartbeat.json"
EVERY: Final = 1.0
"""Seconds between two writings."""
KEPT: Final = 1_000
"""Bars over which the latency is stated."""


class Heartbeat:
    """Writes `heartbeat.json`: when, the feed's health, and how long a bar takes from its delivery to its orders.

    A failure to write it is no matter of the stream: the page says that the heart has stopped.
    """

    def __init__(self, folder: Path, feed: Any) -> None:
        self.path, self.feed = folder / HEARTBEAT, feed
        self._took = deque[float](maxlen=KEPT)
        self._begun, self._next = 0.0, 0.0

    def watched(self, items: Iterable[Delivered]) -> Iterator[Delivered]:
        """The same items."""
        for item in items:
            self.beat()
            self._begun = time.perf_counter() if isinstance(item, Chunk) else 0.0
            yield item
            if self._begun:
                self._took.append(time.perf_counter() - self._begun)

    def end(self) -> None:
        """Takes it away: the stream is over."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)

    def beat(self) -> None:
        """Writes it, where the last time is long enough ago."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + EVERY
        health = getattr(self.feed, "health", None)
        took = sorted(self._took)
        about = {
            "time": time.time_ns(),
            "feed": health() if health is not None else None,
            "bar_ms": {
                "last": 1e3 * self._took[-1] if took else None,
                "median": 1e3 * took[len(took) // 2] if took else None,
                "p99": 1e3 * took[int(0.99 * (len(took) - 1))] if took else None,
            },
        }
        with suppress(OSError):
            fresh = self.path.with_suffix(".new")
            fresh.write_text(json.dumps(about), encoding="utf-8")
            fresh.replace(self.path)


def read_heartbeat(folder: Path) -> dict[str, Any]:
    """The last one; empty where there is none."""
    try:
        found: dict[str, Any] = json.loads((folder / HEARTBEAT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def is_alive(beat: dict[str, Any]) -> bool:
    """Whether the stream's process has written it within ten seconds."""
    return bool(beat) and time.time_ns() - int(beat["time"]) < 10_000_000_000
