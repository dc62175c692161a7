"""Who compiles what: processes that compile at the same time into one cache share the work by claims.

A claim is a locked byte of one file in the cache folder, at a place that the content key says. The system releases it when its
process ends, however that ends: nothing is left that a later process would have to judge. Claims save work and are never a
condition: where none can be had (a folder that is read-only or not trusted, a file system without locks), everybody compiles.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from dataflows.runtime.code_folder import code_folder, make_code_folder

PATIENCE_SECONDS: Final = 120.0
"""How long to wait for somebody else's compilation: a kernel takes seconds, so that whoever takes longer was stopped."""
_FIRST_WAIT, _LONGEST_WAIT = 0.005, 0.1
_LOCK: Final = threading.Lock()
_HELD: Final[set[tuple[int, int]]] = set()


class Claim:
    """A claim that this process holds until `let_go`, or its end."""

    def __init__(self, file: int, place: int) -> None:
        self._at = file, place

    def let_go(self) -> None:
        """Lets others have it. A second call does nothing."""
        with _LOCK:
            if self._at in _HELD:
                _HELD.discard(self._at)
                with suppress(OSError):
                    fcntl.lockf(self._at[0], fcntl.LOCK_UN, 1, self._at[1])


def claim(key: str) -> Claim | None:
    """The claim on what `key` names, if it can be had now; None where somebody else has it, also in this process.

    Raises OSError where the cache folder keeps no claims.
    """
    place = int.from_bytes(hashlib.sha256(key.encode()).digest()[:7], "big")
    with _LOCK:
        file = _file(code_folder(), os.getpid())
        if (file, place) in _HELD:
            return None
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place)
        except (BlockingIOError, PermissionError):  # EAGAIN or EACCES, as the system likes
            return None
        _HELD.add((file, place))
    return Claim(file, place)


def claim_or_wait(key: str) -> Claim | None:
    """The claim on what `key` names, when nobody else has it any more; None without claims, and after PATIENCE_SECONDS."""
    until, wait = time.monotonic() + PATIENCE_SECONDS, _FIRST_WAIT
    try:
        while (mine := claim(key)) is None and time.monotonic() < until:
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT)
    except OSError:
        return None
    return mine


@functools.cache
def _file(folder: Path, process: int) -> int:
    """The file of claims, opened once a process and never closed: to close any handle of it lets go of all claims.

    A fork opens its own: it holds none of the claims of its parent.
    """
    make_code_folder()
    return os.open(folder / "claims", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
