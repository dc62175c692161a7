"""A watchdog's hold on an account: while it cancels or flattens there, the stream places nothing.

A hold expires after some seconds and is renewed while the work lasts, so that a watchdog that dies stops nobody for long.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from drivers.files.atomic import write_atomic

EXPIRES: Final = 30.0
"""Seconds after which a hold that is not renewed has expired."""


class Hold:
    """The hold in a file beside the lock of the account. time: seconds, UTC, the same in both processes."""

    def __init__(self, path: Path, time: Callable[[], float] = time.time) -> None:
        self.path, self._time = path, time

    def renew(self) -> None:
        """Puts the hold on, or renews it. Raises OSError where that cannot be written."""
        write_atomic(self.path, f"{self._time()}\n")  # the stream never reads half of it

    def lift(self) -> None:
        """Ends it."""
        with suppress(OSError):  # then it expires
            self.path.unlink(missing_ok=True)

    def active(self) -> bool:
        """Whether the watchdog works on the account."""
        try:
            renewed = float(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return abs(self._time() - renewed) < EXPIRES
