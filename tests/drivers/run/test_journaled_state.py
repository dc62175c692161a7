"""What a journal says of the engine's state: a part of it at a time, and all parts in turn."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from drivers.engine.engine import Engine
from drivers.engine.plan import Plan
from drivers.run import journaled
from drivers.run.journaled import Journaled, agrees, state_of
from drivers.store.journal import JournalReader
from drivers.store.segments import segments_of
from tests.drivers.engine import toy
from tests.drivers.engine.conftest import DELAYED, piece, toy_data

PLAN = Plan([toy], {"toy": toy.ToyConfig(every=4)}, DELAYED)
DATA = toy_data()
BARS = 100


def engine() -> Engine:
    return Engine(PLAN, ("A", "B", "C"), {})


def test_every_part_of_the_state_is_told_in_turn_and_a_replay_agrees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journaled, "MOST_BYTES", 2048)
    monkeypatch.setattr(journaled, "STATE_EVERY", 40)
    run = Journaled(SimpleNamespace(engine=engine()), tmp_path)  # type: ignore[arg-type]
    assert run._segments is not None
    run._segments.begin({"kind": "begin"}, {})
    for i in range(BARS):
        run.advance(piece(DATA, i, i + 1))
    run.state()
    assert not run.close()
    again, found, bars = engine(), list[list[int]](), 0
    for record in JournalReader(segments_of(tmp_path)[0]):
        if record.about["kind"] == "bars":
            again.advance(piece(DATA, bars, bars + 1))
            bars += 1
        elif record.about["kind"] == "state":
            assert agrees(again, record.about)
            assert not agrees(again, {**record.about, "last_time": 0})
            found.append(record.about["part"])
    parts = -(-(again.arena.f8.nbytes + again.arena.i8.nbytes) // 2048)
    assert parts > 2
    every = 40 // parts
    assert found == [[(i + 1) % parts, parts] for i in range(BARS // every)] + [[0, 1]]
    assert {part for part, _ in found} == set(range(parts)), "all within so many bars"


@pytest.mark.parametrize("parts", [1, 2, 7])
def test_a_value_that_differs_is_seen_in_its_part_and_in_no_other(parts: int) -> None:
    there, here = engine(), engine()
    for block, twin in ((there.arena.f8, here.arena.f8), (there.arena.i8, here.arena.i8)):
        for place in np.unique([0, len(block) // 3, len(block) - 1]):
            block[place] += 1
            differ = [k for k in range(parts) if state_of(there, k, parts) != state_of(here, k, parts)]
            assert differ == [k for k in range(parts) if k * len(block) // parts <= place < (k + 1) * len(block) // parts]
            assert len(differ) == 1
            block[place] = twin[place]
