"""Operator commands: what a person sends to a running engine, as lines of a text file.

    2026-03-01T12:00 HALT
    2026-03-01T14:30 CASH_FLOW -5000     # out of the account
    RELEASE                              # appended while the stream runs: acts at once

A command acts after the bar of its time and before the next one. A line without a time acts when it is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from dataflows.data.types import (
    OPERATOR_CASH_FLOW,
    OPERATOR_FLATTEN,
    OPERATOR_HALT,
    OPERATOR_REBASE,
    OPERATOR_RELEASE,
)
from drivers.text.suggestions import did_you_mean
from drivers.text.times import parse_utc

COMMANDS: Final[dict[str, int]] = {
    "HALT": OPERATOR_HALT,
    "FLATTEN": OPERATOR_FLATTEN,
    "RELEASE": OPERATOR_RELEASE,
    "REBASE": OPERATOR_REBASE,
    "CASH_FLOW": OPERATOR_CASH_FLOW,
}
NAMES: Final = {code: name for name, code in COMMANDS.items()}


class OperatorFileError(ValueError):
    """A line of an operator file that is not a command. The message names file and line, and the commands that there are."""


class OperatorCommand(NamedTuple):
    """One command. time: UTC ns; None: at once. code: `OPERATOR_…`. amount: quote currency paid in (+) or out (-), with
    CASH_FLOW. where: file and line."""

    time: int | None
    code: int
    amount: float
    where: str


def parse(line: str, where: str) -> OperatorCommand | None:
    """The command of a line; None for an empty line or a comment. Raises OperatorFileError."""
    parts = line.partition("#")[0].split()
    if not parts:
        return None
    time = None
    if parts[0][0].isdigit():
        try:
            time = parse_utc(parts.pop(0))
        except ValueError as error:
            raise OperatorFileError(f"{where}: {error}") from None
        if not parts:
            raise OperatorFileError(f"{where}: there is a time but no command; write {_known()}")
    name = parts.pop(0).upper()
    if name not in COMMANDS:
        hint = did_you_mean(name, COMMANDS, f"write {_known()}")
        raise OperatorFileError(f"{where}: {name} is not an operator command; {hint}")
    amount = 0.0
    if COMMANDS[name] == OPERATOR_CASH_FLOW:
        amount = _amount(parts, where)
    elif parts:
        raise OperatorFileError(f"{where}: {name} takes no argument, but the line goes on with {' '.join(parts)}")
    return OperatorCommand(time, COMMANDS[name], amount, where)


def _known() -> str:
    return "HALT, FLATTEN, RELEASE, REBASE or CASH_FLOW AMOUNT"


def _amount(parts: list[str], where: str) -> float:
    try:
        (text,) = parts
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not math.isfinite(amount) or amount == 0.0:
        raise OperatorFileError(f"{where}: CASH_FLOW needs an amount: CASH_FLOW 5000 pays in, CASH_FLOW -5000 pays out")
    return amount


class OperatorFile:
    """A file of operator commands: its timed lines at the start, and the lines that are appended to it later.

    timed: commands that have a time, in order. on_refusal: called with the reason for each appended line that is not a
    command; the line is skipped and the engine goes on.
    """

    def __init__(self, path: Path, on_refusal: Callable[[str], None]) -> None:
        self.path, self.on_refusal = path, on_refusal
        self._read, self._line, self._rest, self._unended = 0, 0, b"", False
        first = list(self._lines())
        if self._rest:  # at the start a last line without a line end counts too
            self._line += 1
            first.append((self._rest.decode("utf-8", "replace"), self._line))
        self._unended, self._rest = bool(self._rest), b""
        self.timed = []
        for text, line in first:
            command = parse(text, self._where(line))
            if command is not None and command.time is None:
                raise OperatorFileError(
                    f"{command.where}: {NAMES[command.code]} has no time. Write 2026-03-01T12:00 before it, or append the line "
                    "while the stream runs if it must act at once"
                )
            if command is not None:
                self.timed.append(command)
        self.timed.sort(key=_when)

    def _where(self, line: int) -> str:
        return f"{self.path.name}:{line}"

    def _lines(self) -> Iterator[tuple[str, int]]:
        """Complete lines that were appended since the last call, with their numbers."""
        with self.path.open("rb") as file:
            file.seek(self._read)
            content = self._rest + file.read()
            self._read = file.tell()
        if self._unended and content:  # the end of the last line comes with the next
            content, self._unended = content.removeprefix(b"\n"), False
        *complete, self._rest = content.split(b"\n")
        for raw in complete:
            self._line += 1
            yield raw.decode("utf-8", "replace"), self._line

    def appended(self) -> list[OperatorCommand]:
        """The commands without a time that were appended since the last call; those with a time join `timed`."""
        if self.path.stat().st_size == self._read:
            return []
        now = []
        for text, line in self._lines():
            try:
                command = parse(text, self._where(line))
            except OperatorFileError as error:
                self.on_refusal(str(error))
                continue
            if command is not None and command.time is None:
                now.append(command)
            elif command is not None:
                self.timed.append(command)
        self.timed.sort(key=_when)
        return now


def _when(command: OperatorCommand) -> int:
    return command.time or 0
