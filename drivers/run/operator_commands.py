"""What a person, or a watchdog in a person's place, says to a running engine, as lines of a text file.

    2026-03-01T12:00 HALT
    2026-03-01T14:30 CASH_FLOW -5000     # out of the account
    RELEASE                              # appended while the stream runs: at once

A word acts after the bar of its time, before the next. A line without a time acts when it is read.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from dataflows.data.types import (
    OPERATOR_CASH_FLOW,
    OPERATOR_FLATTEN,
    OPERATOR_HALT,
    OPERATOR_REBASE,
    OPERATOR_RELEASE,
)

WORDS: Final[dict[str, int]] = {
    "HALT": OPERATOR_HALT,
    "FLATTEN": OPERATOR_FLATTEN,
    "RELEASE": OPERATOR_RELEASE,
    "REBASE": OPERATOR_REBASE,
    "CASH_FLOW": OPERATOR_CASH_FLOW,
}
NAMES: Final = {code: name for name, code in WORDS.items()}


class WordError(ValueError):
    """A line that says nothing an engine understands. Names file and line, and what would do."""


class Word(NamedTuple):
    """One line. time: UTC ns; None: at once. amount: quote currency in (+) or out (-), with CASH_FLOW. where: file and line."""

    time: int | None
    operator: int
    amount: float
    where: str


def parse(line: str, where: str) -> Word | None:
    """The word of a line; None for an empty line or a comment."""
    parts = line.partition("#")[0].split()
    if not parts:
        return None
    time = None
    if parts[0][0].isdigit():
        time = _time(parts.pop(0), where)
        if not parts:
            raise WordError(f"{where}: a time and no word; say {_known()}")
    name = parts.pop(0).upper()
    if name not in WORDS:
        near = difflib.get_close_matches(name, WORDS, n=1)
        raise WordError(
            f"{where}: {name} is no word of the operator; " + (f"did you mean {near[0]}?" if near else f"say {_known()}")
        )
    amount = 0.0
    if WORDS[name] == OPERATOR_CASH_FLOW:
        amount = _amount(parts, where)
    elif parts:
        raise WordError(f"{where}: {name} takes nothing beside it, not {' '.join(parts)}")
    return Word(time, WORDS[name], amount, where)


def _known() -> str:
    return "HALT, FLATTEN, RELEASE, REBASE or CASH_FLOW AMOUNT"


def _time(text: str, where: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise WordError(f"{where}: {text} is not a time; write 2026-03-01T12:00 (UTC)") from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000


def _amount(parts: list[str], where: str) -> float:
    try:
        (text,) = parts
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not math.isfinite(amount) or amount == 0.0:
        raise WordError(f"{where}: say how much comes in, or goes out: CASH_FLOW 5000, or CASH_FLOW -5000")
    return amount


class WordFile:
    """A file of words: what it says at first, all of it timed, and what is appended to it later.

    refuse: hears of appended lines that cannot be understood; they are left out, and the engine goes on.
    """

    def __init__(self, path: Path, refuse: Callable[[str], None]) -> None:
        self.path, self.refuse = path, refuse
        self._read, self._line, self._rest, self._unended = 0, 0, b"", False
        first = list(self._lines())
        if self._rest:  # at first a last line without an end counts too
            self._line += 1
            first.append((self._rest.decode("utf-8", "replace"), self._line))
        self._unended, self._rest = bool(self._rest), b""
        self.timed = []
        for text, line in first:
            word = parse(text, self._where(line))
            if word is not None and word.time is None:
                raise WordError(
                    f"{word.where}: {NAMES[word.operator]} has no time. Write 2026-03-01T12:00 before it, or append the line "
                    "while the stream runs, to have it at once"
                )
            if word is not None:
                self.timed.append(word)
        self.timed.sort(key=_when)

    def _where(self, line: int) -> str:
        return f"{self.path.name}:{line}"

    def _lines(self) -> Iterator[tuple[str, int]]:
        """Whole lines that were appended since the last call, with their numbers."""
        with self.path.open("rb") as file:
            file.seek(self._read)
            content = self._rest + file.read()
            self._read = file.tell()
        if self._unended and content:  # the end of the last line comes with the next
            content, self._unended = content.removeprefix(b"\n"), False
        *whole, self._rest = content.split(b"\n")
        for raw in whole:
            self._line += 1
            yield raw.decode("utf-8", "replace"), self._line

    def appended(self) -> list[Word]:
        """The words without a time that were appended since the last call; those with one join `timed`."""
        if self.path.stat().st_size == self._read:
            return []
        now = []
        for text, line in self._lines():
            try:
                word = parse(text, self._where(line))
            except WordError as error:
                self.refuse(str(error))
                continue
            if word is not None and word.time is None:
                now.append(word)
            elif word is not None:
                self.timed.append(word)
        self.timed.sort(key=_when)
        return now


def _when(word: Word) -> int:
    return word.time or 0
