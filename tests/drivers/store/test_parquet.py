"""The thread that writes results."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from drivers.engine.interrupts import handled
from drivers.store.parquet import Background


def test_a_thread_that_ctrl_c_meets_as_it_starts_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would go on writing into a folder that has been removed."""
    done: list[str] = []
    real = threading.Thread.start

    def start(self: threading.Thread) -> None:
        real(self)
        signal.raise_signal(signal.SIGINT)

    def job() -> None:
        time.sleep(0.2)
        done.append("written")

    background = Background()
    monkeypatch.setattr(threading.Thread, "start", start)
    with handled(), pytest.raises(KeyboardInterrupt):
        background.do(job)
    monkeypatch.undo()
    background.stop()
    assert done == ["written"]
