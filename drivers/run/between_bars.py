"""What acts between two bars: the operator's commands and the watchdog."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from dataflows.data.types import OPERATOR_HALT, Observations
from drivers.run.assembly import Session
from drivers.run.operator_commands import OperatorCommand, OperatorFile, OperatorFileError
from drivers.text.times import stamp


class Between:
    """What is due between two bars: timed commands, commands that were just appended to their file, and the watchdog.

    applied: the commands that acted, for the results. notify: shows a line to the user. The watchdog sends HALT once when no
    price of any symbol has come for `stale_after` seconds; the next price arms it again.
    """

    def __init__(self, session: Session, first: int, notify: Callable[[str], None]) -> None:
        request, data = session.request, session.data
        self.notify, self.applied = notify, list[dict[str, Any]]()
        self.live = request.speed == "realtime"  # an appended command then has the time at which it was read
        self.file = None if request.operator_file is None else OperatorFile(request.operator_file, self._refused)
        self.stale_ns = None if request.stale_after is None else int(request.stale_after * 1e9)
        if self.stale_ns is not None and self.stale_ns <= data.step:
            raise ValueError(f"data comes every {data.step / 1e9:g} s: --stale-after must be longer than that")
        self.known = session.engine.last_time
        if self.file is not None:
            if first:
                self.file.timed = [w for w in self.file.timed if w.time is not None and w.time > session.engine.last_time]
            elif self.file.timed and (self.file.timed[0].time or 0) < int(data.time[0]):
                command = self.file.timed[0]
                raise OperatorFileError(
                    f"{command.where}: {stamp(command.time or 0)} is before the first bar closes, at {stamp(int(data.time[0]))}"
                )

    def _refused(self, why: str) -> None:
        self.notify(f"Line skipped: {why}")

    def saw(self, observations: Observations) -> None:
        """A bar has come."""
        if np.isfinite(observations.close).any():
            self.known = int(observations.time[-1])

    def due(self, now: int, last: int) -> Iterator[tuple[int, OperatorCommand, str]]:
        """(when, command, who sent it) of all that is due before `now`, in order; `last`: the last instant."""
        if self.file is not None:
            for command in self.file.appended():
                last = max(last, now - 1) if self.live else last
                yield last, command, "operator"
        while True:
            timed = self.file.timed[0] if self.file is not None and self.file.timed else None
            silent = self.known + self.stale_ns if self.stale_ns is not None and self.known else None
            if timed is not None and (timed.time or 0) < now and (silent is None or (timed.time or 0) <= silent):
                assert self.file is not None
                self.file.timed.pop(0)
                last = max(last, timed.time or 0)
                yield last, timed, "operator"
            elif silent is not None and silent < now:
                self.known = 0
                last = max(last, silent)
                yield last, OperatorCommand(silent, OPERATOR_HALT, 0.0, ""), "watchdog"
            else:
                return
