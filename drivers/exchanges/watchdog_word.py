"""The word of a watchdog to the stream beside it: while it works on an account, the stream places nothing there.

A word is good for some seconds and renewed while the work lasts, so that a watchdog that dies holds nobody up.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

GOOD: Final = 30.0
"""Seconds for which a word is good."""


class Word:
    """The word in a file beside the lock of the account. time: seconds, UTC, as the files' times are."""

    def __init__(self, path: Path, time: Callable[[], float] = time.time) -> None:
        self.path, self._time = path, time

    def say(self) -> None:
        """The watchdog works on the account. Raises OSError where that cannot be written."""
        self.path.write_text(f"{self._time()}\n", encoding="utf-8")

    def take_back(self) -> None:
        """It has done."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)

    def stands(self) -> bool:
        """Whether it works on the account."""
        try:
            said = float(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return abs(self._time() - said) < GOOD
