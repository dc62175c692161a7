"""A follower of a journal that grows while it is read: every record once, in order."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from drivers.run.follow import follow
from drivers.store.segments import Segments
from drivers.watchdog.watched import Watched


def bar(at: int) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"kind": "bars"}, {"time": np.array([at])}


def test_what_is_written_while_a_segment_is_read_is_not_lost_at_the_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Segments(tmp_path / "journal")
    journal.begin({"kind": "begin"}, {})
    journal.append(*bar(1), sync=True)
    got: list[int] = []

    def take(engine: Any, time: int) -> None:
        got.append(time)
        if time in (1, 3):  # a bar after the reader has seen how long the segment is, the turn, and a bar after it
            journal.append(*bar(time + 1), sync=True)
            journal.turn(time + 1)
            journal.append(*bar(time + 2), sync=True)

    waits = []
    monkeypatch.setattr("drivers.run.follow.engine_from", lambda begin, project: SimpleNamespace(advance=lambda chunk: chunk))
    monkeypatch.setattr("drivers.run.follow.chunk_of", lambda record: int(record.arrays["time"][0]))
    follow(tmp_path, take, stopped=lambda: len(waits) > 5, wait=lambda: waits.append(0))
    journal.close()
    assert got == [1, 2, 3, 4, 5]


def test_the_watchdog_loses_nothing_at_a_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Segments(tmp_path / "journal")
    journal.begin({"kind": "begin", "clock": {"seconds": 60}}, {})
    watched = Watched(tmp_path)
    watched.look()
    got: list[int] = []

    def take(about: dict[str, Any]) -> None:
        got.append(about["at"])
        if about["at"] == 1:
            journal.append({"kind": "venue", "at": 2}, sync=True)
            journal.turn(2)
            journal.append({"kind": "venue", "at": 3}, sync=True)

    watched.state = SimpleNamespace(take=take, prune=lambda: None, reports=[])  # type: ignore[assignment]
    journal.append({"kind": "venue", "at": 1}, sync=True)
    for _ in range(3):
        watched.look()
    journal.close()
    assert got == [1, 2, 3] and not watched.damaged
