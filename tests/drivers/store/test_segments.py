"""Segments of a journal whose large beginning is written beside the bars: what a restart finds at every moment."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from drivers.run.journaled import Journaled
from drivers.store.journal import MAGIC, JournalError, JournalReader
from drivers.store.segments import Segments, beginning_of, has_segments, last_beginning, records_of, segments_of


def state(at: int) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"kind": "begin", "last_time": at, "sha256": f"{at:x}", "results": at}, {"checkpoint": np.full(9, at)}


def bar(at: int) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"kind": "bars"}, {"time": np.array([at])}


def begun(folder: Path) -> Segments:
    made = Segments(folder)
    made.begin(*state(0))
    made.append(*bar(1), sync=True)
    return made


def told(folder: Path) -> list[tuple[str, int]]:
    """The records as a reader of the whole journal sees them."""
    found = records_of([JournalReader(path) for path in segments_of(folder)])
    return [(r.about["kind"], int(r.about.get("last_time", r.arrays.get("time", [0])[0]))) for r in found]


def test_a_restart_begins_at_the_last_state_that_is_on_the_disk(tmp_path: Path) -> None:
    made = begun(tmp_path)
    second = made.turn(1)
    made.append(*bar(2), sync=True)
    assert beginning_of(second) is None
    paths, begin = last_beginning(segments_of(tmp_path), "results")
    assert [path.name for path in paths] == ["000001.journal", "000002.journal"]
    assert begin.about["results"] == 0
    assert told(tmp_path) == [("begin", 0), ("bars", 1), ("turn", 1), ("bars", 2)]
    made.keep_start(second, *state(1))
    paths, begin = last_beginning(segments_of(tmp_path), "results")
    assert [path.name for path in paths] == ["000002.journal"]
    assert begin.about["results"] == 1
    np.testing.assert_array_equal(begin.arrays["checkpoint"], np.full(9, 1))
    assert told(tmp_path) == [("begin", 0), ("bars", 1), ("begin", 1), ("bars", 2)]
    made.close()


def test_what_is_prepared_is_no_segment_and_goes_where_none_begins(tmp_path: Path) -> None:
    made = begun(tmp_path)
    made.prepare()
    assert (tmp_path / "000002.journal").is_file()
    assert [path.name for path in segments_of(tmp_path)] == ["000001.journal"]
    made.append(*bar(2), sync=True)
    assert told(tmp_path) == [("begin", 0), ("bars", 1), ("bars", 2)]
    made.close()
    assert [path.name for path in tmp_path.glob("0*")] == ["000001.journal"]


@pytest.mark.parametrize("size", [0, 7, len(MAGIC)])
def test_a_process_that_dies_with_a_prepared_file_is_gone_on_from(tmp_path: Path, size: int) -> None:
    begun(tmp_path).close()
    (tmp_path / "000002.journal").write_bytes(MAGIC[:size])
    made = Segments(tmp_path)
    made.go_on()
    assert made.cut == ""
    made.append(*bar(2), sync=True)
    third = made.turn(2)
    made.keep_start(third, *state(2))
    assert third.name == "000002.journal"
    assert told(tmp_path) == [("begin", 0), ("bars", 1), ("bars", 2), ("begin", 2)]
    made.close()


def test_a_beginning_that_is_half_written_costs_nothing(tmp_path: Path) -> None:
    made = begun(tmp_path)
    second = made.turn(1)
    made.close()
    second.write_bytes(second.read_bytes()[:-3])
    again = Segments(tmp_path)
    again.go_on()
    assert "record 1, the last, is half written" in again.cut
    again.append(*bar(2), sync=True)
    assert [path.name for path in segments_of(tmp_path)] == ["000001.journal"]
    assert told(tmp_path) == [("begin", 0), ("bars", 1), ("bars", 2)]
    again.close()


def test_all_that_is_old_is_compressed_and_read_as_before(tmp_path: Path) -> None:
    made = begun(tmp_path)
    for at in range(1, 5):
        path = made.turn(at)
        made.keep_start(path, *state(at))
        made.tidy()
        made.append(*bar(at + 1), sync=True)
    made.close()
    names = sorted(path.name for path in tmp_path.glob("0*"))
    assert names == [
        "000001.journal.zst",
        "000002.journal.zst",
        "000002.start.zst",
        "000003.journal.zst",
        "000003.start.zst",
        "000004.journal",
        "000004.start",
        "000005.journal",
        "000005.start",
    ]
    for at, path in enumerate(segments_of(tmp_path)):
        begin = beginning_of(path)
        assert begin is not None
        assert begin.about["results"] == at
    assert told(tmp_path) == [(kind, at + (kind == "bars")) for at in range(5) for kind in ("begin", "bars")]


def test_a_state_that_cannot_be_written_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = begun(tmp_path)
    second = made.turn(1)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("drivers.store.journal.sync_file", full)
    with pytest.raises(OSError, match="No space"):
        made.keep_start(second, *state(1))
    monkeypatch.undo()
    assert last_beginning(segments_of(tmp_path), "results")[1].about["results"] == 0
    made.append(*bar(2), sync=True)
    made.close()
    assert told(tmp_path) == [("begin", 0), ("bars", 1), ("turn", 1), ("bars", 2)]


@pytest.mark.parametrize("large", [False, True])
def test_a_file_whose_name_does_not_come_to_the_disk_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: bool) -> None:
    """A segment that stayed would be gone on from, although the one before is still written."""
    made = begun(tmp_path)
    second = made.turn(1) if large else None
    before = {path.name for path in tmp_path.iterdir()}

    def full(folder: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("drivers.store.segments.sync", full)
    with pytest.raises(OSError, match="Input/output"):
        made.begin(*state(1)) if second is None else made.keep_start(second, *state(1))
    monkeypatch.undo()
    assert {path.name for path in tmp_path.iterdir()} == before
    made.append(*bar(2), sync=True)
    made.close()
    assert told(tmp_path) == [("begin", 0), ("bars", 1), *([("turn", 1)] if large else []), ("bars", 2)]


def test_a_state_is_written_although_nothing_can_be_compressed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = begun(tmp_path)

    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("drivers.store.segments._compress", full)
    for at in (1, 2, 3):
        made.keep_start(made.turn(at), *state(at))
        made.append(*bar(at + 1), sync=True)
    assert last_beginning(segments_of(tmp_path), "results")[1].about["results"] == 3
    with pytest.raises(OSError, match="No space"):
        made.tidy()
    monkeypatch.undo()
    made.tidy()
    assert [path.suffix for path in segments_of(tmp_path)] == [".zst", ".zst", ".journal", ".journal"]
    made.close()
    assert told(tmp_path) == [(kind, at + (kind == "bars")) for at in range(4) for kind in ("begin", "bars")]


def test_without_a_segment_there_is_none(tmp_path: Path) -> None:
    made = Segments(tmp_path)
    made.prepare()
    assert not has_segments(tmp_path)
    with pytest.raises(JournalError, match="no journal"):
        segments_of(tmp_path)
    made.close()


def no_sync(handle: int) -> None:
    raise OSError(5, "Input/output error")


def test_a_disk_that_fails_at_the_end_is_told_and_every_file_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = begun(tmp_path)
    made.turn(1)
    made.append(*bar(2), sync=True)
    made.prepare()
    files = [made._lock, *(writer._file for writer in (*made._left, made._writer, made._prepared) if writer is not None)]
    assert len(files) == 4
    monkeypatch.setattr("drivers.store.journal.sync_file", no_sync)
    with pytest.raises(OSError, match="Input/output"):
        made.close()
    assert all(file.closed for file in files)
    Segments(tmp_path).close()  # the lock is free


def test_an_engine_says_why_the_end_of_its_journal_may_not_be_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for failed, said in (("", "input/output error"), ("no space left on device", "")):
        engine = Journaled(SimpleNamespace(engine=None), tmp_path / failed)  # type: ignore[arg-type]
        assert engine._segments is not None
        engine._segments.begin(*state(0))
        engine.failed = failed  # which was told when it came
        with monkeypatch.context() as patch:
            patch.setattr("drivers.store.journal.sync_file", no_sync)
            assert engine.close() == said
        assert engine.close() == "", "a second time"
