"""Recorded data at the pace at which they came."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator

from drivers.engine.chunk import Chunk
from drivers.engine.interrupts import Requests
from drivers.feeds.base import Delivered, Quiet


def paced(items: Iterable[Delivered], sleep: Callable[[float], None], stop: Requests) -> Iterator[Delivered]:
    """The same, each bar as long after the first as it closed after it; while it waits, how far time has come.

    sleep: waits for so many seconds, 0.2 at most. stop: once a stop is asked for, nothing waits any more.
    """
    begun, origin = 0.0, 0
    for item in items:
        if isinstance(item, Chunk):
            closes = int(item.time[-1])
            if not origin:
                begun, origin = time.monotonic(), closes
            due = begun + (closes - origin) / 1e9
            while not stop.asked and (wait := due - time.monotonic()) > 0.0:
                yield Quiet(min(closes, closes - int(wait * 1e9)))
                sleep(min(wait, 0.2))
        yield item
