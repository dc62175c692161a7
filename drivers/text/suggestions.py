"""What a wrong name was probably meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(wrong: str, known: Iterable[str], what: str) -> str:
    """`did you mean NAME?` for the known name that is closest, else all of them: `what: a, b, c.`"""
    names = list(known)
    close = difflib.get_close_matches(wrong, names, n=1)
    return f"did you mean {close[0]}?" if close else f"{what}: {', '.join(names) or 'none'}."
