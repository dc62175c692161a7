"""Two changes of one text put together where they touch different lines."""

from __future__ import annotations

import difflib
from typing import NamedTuple


class _Hunk(NamedTuple):
    start: int
    stop: int
    lines: tuple[str, ...]


def merged(base: str, ours: str, theirs: str) -> str | None:
    """The text with the changes from `base` to `ours` and those from `base` to `theirs`; None where they meet.

    They meet when both change a line, or insert at the same place, unless both do exactly the same.
    """
    lines = base.splitlines(keepends=True)
    hunks = sorted({*_hunks(lines, ours), *_hunks(lines, theirs)})
    made: list[str] = []
    at, last = 0, -1
    for start, stop, new in hunks:
        if start < at or start == last:
            return None
        made += [*lines[at:start], *new]
        at, last = stop, start
    return "".join([*made, *lines[at:]])


def _hunks(lines: list[str], text: str) -> list[_Hunk]:
    other = text.splitlines(keepends=True)
    matcher = difflib.SequenceMatcher(a=lines, b=other, autojunk=False)
    return [_Hunk(i, j, tuple(other[k:n])) for what, i, j, k, n in matcher.get_opcodes() if what != "equal"]
