"""Memory that is written again is never memory that somebody reads."""

from __future__ import annotations

import gc
import threading
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from drivers.engine.one_bar.rooms import AT_ONCE, Rooms, Shape

SMALL = [Shape(np.float64, (3, 5, 2)), Shape(np.int64, (4, 5))]
LARGE = [Shape(np.float64, (2, AT_ONCE // 8))]


@pytest.mark.parametrize("shapes", [SMALL, LARGE])
@pytest.mark.parametrize(
    "look",
    [
        lambda array: array[0, 1:3],
        lambda array: array[0, 1:4].reshape(-1),
        lambda array: array.T[1:],
        lambda array: pa.array(array[0].reshape(-1)),
        lambda array: memoryview(array),
        lambda array: {"a": [array[-1]]},
    ],
)
def test_a_room_is_written_again_when_the_last_view_of_it_is_gone(shapes: list[Shape], look: Any) -> None:
    rooms = Rooms(lambda: shapes)
    first = rooms.free()
    assert [(array.shape, array.dtype) for array in first] == [(s.shape, np.dtype(s.dtype)) for s in shapes]
    assert all(not array.any() for array in first)
    assert rooms.free() is first  # nobody looks into it
    seen = look(first[0])
    second = rooms.free()
    assert second is not first
    assert not any(np.may_share_memory(a, b) for a in first for b in second)
    del seen
    gc.collect()
    assert rooms.free() is first


def test_a_view_in_another_thread_counts() -> None:
    rooms = Rooms(lambda: SMALL)
    first = rooms.free()
    held, go = threading.Event(), threading.Event()

    def hold() -> None:
        view = first[1][2]
        held.set()
        go.wait()
        assert view.shape == (5,)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    assert rooms.free() is not first
    go.set()
    thread.join()
    assert rooms.free() is first
