"""Operator commands: what a person sends to a running engine, as lines of a text file.

    2026-03-01T12:00 HALT
    2026-03-01T12:10 FLATTEN BTCUSDT     # this symbol alone
    2026-03-01T14:30 CASH_FLOW -5000     # out of the account
    CANCEL BTCUSDT-52                    # appended while the stream runs: acts at once

A command acts after the bar of its time and before the next one. A line without a time acts when it is read.

Commands are known by what they say, not by where they stand, so that a file may be edited, replaced, emptied or removed. A line
with a time acts once, however often it is written. A line without a time acts each time when the file has more of its kind than
before.
"""

from __future__ import annotations

import math
import os
import re
import select
import sys
import time as wall
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import numpy as np

from dataflows.data.types import (
    OPERATOR_CANCEL,
    OPERATOR_CASH_FLOW,
    OPERATOR_FLATTEN,
    OPERATOR_HALT,
    OPERATOR_REBASE,
    OPERATOR_RELEASE,
)
from dataflows.risk.types import KILL_REASONS
from dataflows.risk.types import LATCHES as LATCH_BITS
from drivers.engine.chunk import Instant
from drivers.text.suggestions import did_you_mean, listed
from drivers.text.times import parse_utc

STANDARD_INPUT: Final = Path("-")

COMMANDS: Final[dict[str, int]] = {
    "HALT": OPERATOR_HALT,
    "FLATTEN": OPERATOR_FLATTEN,
    "RELEASE": OPERATOR_RELEASE,
    "REBASE": OPERATOR_REBASE,
    "CASH_FLOW": OPERATOR_CASH_FLOW,
    "CANCEL": OPERATOR_CANCEL,
}
NAMES: Final = {code: name for name, code in COMMANDS.items()}

LATCHES: Final = {name: 1 << i for i, name in enumerate(KILL_REASONS) if LATCH_BITS >> i & 1}
"""What `RELEASE LATCH NAME` may name, with its bit."""

SETTLES: Final = 2.0
"""Seconds for which a file must stay as it is: lost lines are removed then, and a last line without an end counts."""


class OperatorFileError(ValueError):
    """A line of an operator file that is not a command. The message names file and line, and the commands that there are."""


class OperatorCommand(NamedTuple):
    """One command. time: UTC ns; None: at once. code: `OPERATOR_…`. amount: quote currency paid in (+) or out (-), with
    CASH_FLOW. where: file and line. symbol, subject: as in `Clock`. about: what stands after the command's name."""

    time: int | None
    code: int
    amount: float
    where: str
    symbol: int = -1
    subject: int = 0
    about: str = ""

    @property
    def said(self) -> str:
        """The command without its time, in one way of writing."""
        return " ".join([NAMES[self.code], *([self.about] if self.about else [])])

    @property
    def text(self) -> str:
        """What it says: the same for the same command wherever it stands."""
        return self.said if self.time is None else f"{np.datetime64(self.time, 'ns')} {self.said}"

    def instant(self, at: int) -> Instant:
        """What the engine is handed when the command acts. at: UTC ns."""
        return Instant(at, self.code, self.amount, symbol=self.symbol, subject=self.subject)


def fields_of(said: Instant, symbols: Sequence[str]) -> dict[str, Any]:
    """A command in the words of the log and of run.json. symbols: names of the columns."""
    made: dict[str, Any] = {"command": NAMES[said.operator]}
    if said.amount:
        made["amount"] = said.amount
    if said.symbol >= 0:
        made["symbol"] = symbols[said.symbol]
    if said.operator == OPERATOR_CANCEL:
        made["order"] = f"{symbols[said.symbol]}-{said.subject}"
    elif said.subject:
        made["latches"] = [name for name, bit in LATCHES.items() if said.subject & bit]
    return made


def parse(line: str, where: str, symbols: Sequence[str]) -> OperatorCommand | None:
    """The command of a line; None for an empty line or a comment. symbols: names of the columns. Raises OperatorFileError."""
    parts = re.split(r"(?:^|\s)#", line, maxsplit=1)[0].split()  # a name may hold a #
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
    code, about = COMMANDS[name], " ".join(parts)
    made = OperatorCommand(time, code, 0.0, where, about=about)
    if code == OPERATOR_CASH_FLOW:
        amount = _amount(about, where)
        return made._replace(amount=amount, about=repr(amount))
    if code == OPERATOR_CANCEL:
        symbol, number = _order(about, where, symbols)
        return made._replace(symbol=symbol, subject=number, about=f"{symbols[symbol]}-{number}")
    if not about:
        return made
    if code == OPERATOR_REBASE:
        raise OperatorFileError(f"{where}: {name} takes no argument, but the line goes on with {about}")
    first, _, latch = about.partition(" ")
    if code == OPERATOR_RELEASE and about not in symbols and first.upper() == "LATCH":
        latch = latch.upper()
        return made._replace(subject=_latch(latch, where), about=f"LATCH {latch}")
    return made._replace(symbol=_column(name, about, where, symbols))


def _known() -> str:
    return "HALT, FLATTEN or RELEASE, alone or with a symbol, CANCEL ORDER, RELEASE LATCH NAME, REBASE or CASH_FLOW AMOUNT"


def _column(command: str, symbol: str, where: str, symbols: Sequence[str]) -> int:
    """The column of a symbol."""
    if symbol not in symbols:
        latch = symbol.upper() in LATCHES and command == "RELEASE"
        hint = f"write RELEASE LATCH {symbol.upper()}" if latch else did_you_mean(symbol, symbols)
        raise OperatorFileError(f"{where}: {symbol} is not a symbol of this stream; {hint}")
    return symbols.index(symbol)


def _order(name: str, where: str, symbols: Sequence[str]) -> tuple[int, int]:
    """The column and the number of an order that is called `BTCUSDT-52`."""
    symbol, dash, number = name.rpartition("-")
    if not dash or not re.fullmatch("[0-9]{1,10}", number) or not 0 < int(number) < 1 << 32:
        raise OperatorFileError(f"{where}: CANCEL needs the name of an order, as the log gives it: CANCEL BTCUSDT-52")
    return _column("CANCEL", symbol, where, symbols), int(number)


def _latch(name: str, where: str) -> int:
    if not name:
        raise OperatorFileError(f"{where}: RELEASE LATCH needs a name: {listed(list(LATCHES))}")
    if name not in LATCHES:
        raise OperatorFileError(f"{where}: {name} is not a latch; {did_you_mean(name, LATCHES)}")
    return LATCHES[name]


def _amount(text: str, where: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not math.isfinite(amount) or amount == 0.0:
        raise OperatorFileError(f"{where}: CASH_FLOW needs an amount: CASH_FLOW 5000 pays in, CASH_FLOW -5000 pays out")
    return amount


class OperatorSource(Protocol):
    """Where commands come from."""

    def read(self) -> list[OperatorCommand]:
        """The commands that have come since the last call, in order of the lines."""


class OperatorFile:
    """A file of operator commands.

    symbols: names of the columns. on_refusal: called with the reason for each new line that is not a command; the line is
    skipped and the engine goes on. acted: how often each command, by its text, has acted in an earlier part of the same
    stream; None: there is none, and lines without a time are refused, else last week's HALT would stop today's stream.
    now: the clock of `SETTLES`, in seconds.
    Raises OperatorFileError for a line of a first part that cannot act, FileNotFoundError where there is no file then.
    """

    def __init__(
        self,
        path: Path,
        symbols: Sequence[str],
        on_refusal: Callable[[str], None],
        acted: Mapping[str, int] | None = None,
        now: Callable[[], float] = wall.monotonic,
    ) -> None:
        self.path, self.symbols, self.on_refusal, self._now = path, symbols, on_refusal, now
        self._state: tuple[int, int, int] | None = None  # of the file that was read last
        self._since = 0.0  # when it was first seen so
        self._settled = False
        self._missing = False
        self._refused: set[str] = set()
        self._known: Counter[str] = Counter(acted or {})
        if acted is None:
            self._first(path.read_bytes())
        elif path.is_file():
            texts = Counter(c.text for c in self._commands(path.read_bytes(), complete=True))
            self._known &= texts
            self._known |= Counter({text: n for text, n in (acted or {}).items() if text[0].isdigit()})

    def _first(self, content: bytes) -> None:
        found = [parse(text, self._where(i), self.symbols) for i, text in enumerate(_lines(content, complete=True), 1)]
        for command in found:
            if command is not None and command.time is None:
                raise OperatorFileError(
                    f"{command.where}: {NAMES[command.code]} has no time. Write 2026-03-01T12:00 before it, or append the line "
                    "while the stream runs if it must act at once"
                )

    def _where(self, line: int) -> str:
        return f"{self.path.name}:{line}"

    def _commands(self, content: bytes, *, complete: bool) -> list[OperatorCommand]:
        """The commands of a file's content. complete: a last line without a line end counts."""
        found = []
        for i, text in enumerate(_lines(content, complete=complete), 1):
            try:
                command = parse(text, self._where(i), self.symbols)
            except OperatorFileError as error:
                if text not in self._refused:
                    self._refused.add(text)
                    self.on_refusal(str(error))
                continue
            if command is not None:
                found.append(command)
        return found

    def read(self) -> list[OperatorCommand]:
        """The commands that have come since the last call. A file that is missing or cannot be read has none; this is reported
        once."""
        try:
            about = self.path.stat()
            state = (about.st_ino, about.st_size, about.st_mtime_ns)
            if state == self._state and (self._settled or self._now() - self._since < SETTLES):
                return []
            content = self.path.read_bytes()
        except OSError as error:
            if not self._missing:
                self.on_refusal(
                    f"{self.path} cannot be read ({(error.strerror or 'unknown reason').lower()}); the stream goes on"
                )
            self._missing = True
            return []
        self._missing, first = False, self._state is None
        if state != self._state:
            self._state, self._since, self._settled = state, self._now(), False
        else:
            self._settled = True
        return self._new(self._commands(content, complete=self._settled or first))

    def _new(self, commands: Sequence[OperatorCommand]) -> list[OperatorCommand]:
        there: Counter[str] = Counter()
        new = []
        for command in commands:
            there[command.text] += 1
            if there[command.text] > self._known[command.text] and (command.time is None or there[command.text] == 1):
                new.append(command)
        self._known |= there
        gone = [text for text, n in self._known.items() if n > there[text] and not text[0].isdigit()]
        if (
            self._settled and gone
        ):  # an editor may empty a file before it writes it: what is missing for a moment is not removed
            for text in gone:
                self._known[text] = there[text]
            if stayed := [text for text in there if not text[0].isdigit()]:
                self.on_refusal(
                    f"{self.path.name} has lost {', '.join(gone)}; {', '.join(stayed)} stayed in it and does not act again: "
                    "append the line once more if it must"
                )
        return new


class OperatorInput:
    """Commands on a stream of lines, such as standard input. Each line is new when it comes; one with a time acts once.

    symbols, on_refusal, acted: as in `OperatorFile`. The end of the input is no command.
    """

    def __init__(
        self,
        handle: int,
        symbols: Sequence[str],
        on_refusal: Callable[[str], None],
        acted: Mapping[str, int] | None = None,
    ) -> None:
        self.handle, self.symbols, self.on_refusal = handle, symbols, on_refusal
        self._acted = {text for text in acted or {} if text[0].isdigit()}
        self._rest, self._line, self._ended = b"", 0, False

    def read(self) -> list[OperatorCommand]:
        """The commands of the lines that have come since the last call; never waits for one."""
        new = []
        while not self._ended and select.select([self.handle], [], [], 0.0)[0]:
            try:
                content = os.read(self.handle, 1 << 16)
            except OSError:  # the terminal is gone
                content = b""
            self._ended = not content
            self._rest += content if content else b"\n"
        *complete, self._rest = self._rest.split(b"\n")
        for raw in complete:
            self._line += 1
            try:
                command = parse(raw.decode("utf-8", "replace"), f"standard input, line {self._line}", self.symbols)
            except OperatorFileError as error:
                self.on_refusal(str(error))
                continue
            if command is not None and command.text not in self._acted:
                if command.time is not None:
                    self._acted.add(command.text)
                new.append(command)
        return new


def operator_source(
    path: Path, symbols: Sequence[str], on_refusal: Callable[[str], None], acted: Mapping[str, int] | None = None
) -> OperatorFile | OperatorInput:
    """The source that a path names: `-` is standard input. Raises what the two raise."""
    if path == STANDARD_INPUT:
        return OperatorInput(sys.stdin.fileno(), symbols, on_refusal, acted)
    return OperatorFile(path, symbols, on_refusal, acted)


def _lines(content: bytes, *, complete: bool) -> list[str]:
    *lines, rest = content.split(b"\n")
    return [raw.decode("utf-8", "replace") for raw in (*lines, *([rest] if complete and rest else []))]
