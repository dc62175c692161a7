"""A run's sinks in a thread beside its bars: what the bars gave is taken there in order, while the next bars run."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final

from drivers.engine.chunk import Outputs
from drivers.run.recorder import Recorder
from drivers.store.parquet import Background

TURN: Final = 1e-4
"""Seconds for which a thread keeps Python to itself while another waits. The bars need Python for microseconds after each
layer, the sinks for milliseconds on end: with Python's own 5 ms the bars wait for two thirds of the time in which they work."""


class _ShortTurns:
    """Sets `TURN` for the process while anybody has asked for it, then what was before."""

    def __init__(self) -> None:
        self._lock, self._asked, self._before = threading.Lock(), 0, 0.0

    def begin(self) -> None:
        """Asks for short turns."""
        with self._lock:
            if self._asked == 0:
                self._before = sys.getswitchinterval()
                sys.setswitchinterval(min(TURN, self._before))
            self._asked += 1

    def end(self) -> None:
        """Takes it back."""
        with self._lock:
            self._asked -= 1
            if self._asked == 0:
                sys.setswitchinterval(self._before)


_SHORT_TURNS: Final = _ShortTurns()


class Sinks:
    """A recorder that is handed its work in the thread of the bars and does it in another. An error that ends the run comes up
    at the next call.

    ahead: jobs that may wait. Where the sinks are slower than the bars, the bars wait for them: memory does not grow.
    """

    def __init__(self, recorder: Recorder, ahead: int = 4) -> None:
        self.recorder = recorder
        self._thread = Background(ahead)
        self._stopped = False
        _SHORT_TURNS.begin()

    def take(self, made: Callable[[], Outputs]) -> None:
        """What `Recorder.take` is to have. made: makes it; called in the other thread."""
        self._thread.do(lambda: self.recorder.take(made()))

    def take_between(self, outputs: Outputs, about: Mapping[str, Any] | None = None) -> None:
        """`Recorder.take_between`."""
        self._thread.do(lambda: self.recorder.take_between(outputs, about))

    def cut(self, then: Callable[[dict[str, Any] | None], None]) -> None:
        """`Recorder.cut`. then: called with it, in the other thread."""
        self._thread.do(lambda: then(self.recorder.cut()))

    def do(self, job: Callable[[], None]) -> None:
        """Does something else after what was handed over before."""
        self._thread.do(job)

    def wait(self) -> None:
        """Until all is done."""
        self._thread.wait()

    def stop(self) -> None:
        """Ends the thread; what has not begun is not done."""
        self._thread.stop()
        if not self._stopped:
            self._stopped = True
            _SHORT_TURNS.end()
