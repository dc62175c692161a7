"""What acts between two bars: the operator's commands and the watchdog."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from dataflows.data.types import OPERATOR_HALT, Observations
from drivers.feeds.base import step_of
from drivers.run.assembly import PreparedRun
from drivers.run.operator_commands import OperatorCommand, OperatorFileError, OperatorSource, operator_source
from drivers.text.times import stamp


class Between:
    """What is due between two bars: timed commands, commands that were just appended to their file, and the watchdog.

    notify: shows a line to the user. memory: of an earlier part of the same stream; None: there is none. acted: how often each
    command has acted, by its text. applied: the commands that acted, for the results. The watchdog sends HALT once when no
    price of any symbol has come for `stale_after` seconds; the next price arms it again.
    """

    def __init__(self, session: PreparedRun, notify: Callable[[str], None], memory: Mapping[str, Any] | None = None) -> None:
        request, data = session.request, session.data
        self.session, self.notify, self.first = session, notify, memory is None
        about = memory or {}
        self.acted, self.applied = Counter(about.get("acted", {})), list[dict[str, Any]](about.get("applied", []))
        self.known: int = about.get("known", session.engine.last_time)
        self.live = (
            request.speed == "realtime" or request.venue is not None
        )  # an appended command then has the time at which it was read
        self.source: OperatorSource | None = None
        self.timed, self.untimed = list[OperatorCommand](), list[OperatorCommand]()
        self.stale_ns = None if request.stale_after is None else int(request.stale_after * 1e9)
        if self.stale_ns is not None and self.stale_ns <= step_of(data):
            raise ValueError(f"data comes every {data.clock.seconds} s: --stale-after must be longer than that")

    def memory(self) -> dict[str, Any]:
        """What a later part of the same stream needs, as JSON has it."""
        return {"acted": dict(self.acted), "applied": [*self.applied], "known": self.known}

    def open(self, first_close: int | None = None) -> None:
        """Opens the source of the commands. Raises OperatorFileError for a line that cannot act.

        first_close: of the first bar, where it is known: a command cannot act before it.
        """
        request = self.session.request
        if request.operator_file is not None:
            acted = None if self.first else self.acted
            self.source = operator_source(request.operator_file, self.session.data.symbols, self._refused, acted)
        self._read()
        if self.first and first_close is not None and self.timed and (self.timed[0].time or 0) < first_close:
            command = self.timed[0]
            raise OperatorFileError(
                f"{command.where}: {stamp(command.time or 0)} is before the first bar closes, at {stamp(first_close)}"
            )

    def _read(self) -> None:
        """Takes what is new in the source."""
        for command in () if self.source is None else self.source.read():
            (self.untimed if command.time is None else self.timed).append(command)
        self.timed.sort(key=lambda command: command.time or 0)

    def _refused(self, why: str) -> None:
        self.notify(f"Operator commands: {why}")

    def has_acted(self, at: int, text: str, about: dict[str, Any]) -> None:
        """Notes that a command has acted. at: UTC ns. text: the command's, empty for one of the watchdog or the journal. about:
        what the log says of it."""
        if text:
            self.acted[text] += 1
        if about["by"] == "watchdog":
            self.known = 0
        self.applied.append({"time": stamp(at), **about})

    def saw(self, observations: Observations) -> None:
        """A bar has come."""
        if np.isfinite(observations.close).any():
            self.known = int(observations.time[-1])

    def due(self, now: int, last: int) -> Iterator[tuple[int, OperatorCommand, str]]:
        """(when, command, who sent it) of all that is due before `now`, in order; `last`: the last instant."""
        self._read()
        while self.untimed:
            last = max(last, now - 1) if self.live else last
            yield last, self.untimed.pop(0), "operator"
        while True:
            timed = self.timed[0] if self.timed else None
            silent = self.known + self.stale_ns if self.stale_ns is not None and self.known else None
            if timed is not None and (timed.time or 0) < now and (silent is None or (timed.time or 0) <= silent):
                self.timed.pop(0)
                last = max(last, timed.time or 0)
                yield last, timed, "operator"
            elif silent is not None and silent < now:
                self.known = 0
                last = max(last, silent)
                yield last, OperatorCommand(silent, OPERATOR_HALT, 0.0, ""), "watchdog"
            else:
                return
