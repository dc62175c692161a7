"""What can go wrong while results are written."""

from __future__ import annotations

import errno


class StoreError(RuntimeError):
    """Results cannot be written. One sentence: the folder at fault, what became of what was written, and what to do."""


class TakenError(StoreError, ValueError):
    """The folder that was named for the results cannot take them."""


def is_full(error: BaseException) -> bool:
    """True for an error that says that there is no room left, whoever raised it: the system, or Arrow on its behalf."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return True
    return "No space left" in str(error) or "quota exceeded" in str(error).lower()
