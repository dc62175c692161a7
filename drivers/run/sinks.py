"""A run's sinks in a thread beside its bars: what the bars gave is taken there in order, while the next bars run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from drivers.engine.chunk import Outputs
from drivers.run.recorder import Recorder
from drivers.store.parquet import Background


class Sinks:
    """A recorder that is handed its work in the thread of the bars and does it in another. An error that ends the run comes up
    at the next call.

    ahead: jobs that may wait. Where the sinks are slower than the bars, the bars wait for them: memory does not grow.
    """

    def __init__(self, recorder: Recorder, ahead: int = 4) -> None:
        self.recorder = recorder
        self._thread = Background(ahead)

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
