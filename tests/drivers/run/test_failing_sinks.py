"""Sinks may fail, trading may not: results that cannot be written stop, and only the journal may stop entries, never exits."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from drivers.run.request import RunRequest
from drivers.run.stream import run_stream
from drivers.store.errors import StoreError
from drivers.store.journal import JournalWriter
from drivers.store.parquet import ParquetFile
from drivers.store.segments import segments_of
from tests.drivers.run.test_resume import compare, quiet
from tests.drivers.run.test_stream import tables
from tests.drivers.small_market import folder

MINUTES = 1860
FULL = OSError(errno.ENOSPC, "No space left on device")
HALTED = "2024-03-05T21:30:00Z"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("market") / "data", MINUTES)


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("whole") / "out"
    run_stream(RunRequest(data=data, out=out, spec="prior_belief", report=False), quiet())
    return out


def failing(real: Callable[..., None], when: Callable[..., bool]) -> Callable[..., None]:
    """A function that finds the disk full from the first call on for which `when` is true, as long as it is."""

    def call(self: Any, *args: Any, **options: Any) -> None:
        if when(self, *args):
            raise FULL
        real(self, *args, **options)

    return call


def test_results_that_cannot_be_written_stop_and_the_stream_goes_on(
    data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full from the third hour of the second day on; with room again, --resume makes the results whole."""
    out, wanted = tmp_path / "out", 0

    def when(self: ParquetFile, *_: object) -> bool:
        nonlocal wanted
        wanted += 1
        return wanted > 12

    monkeypatch.setattr(ParquetFile, "_write", failing(ParquetFile._write, when))
    console = quiet()
    with pytest.raises(StoreError, match=r"the disk is full.*The stream itself went on to 2024-03-06T04:00:00Z"):
        run_stream(RunRequest(data=data, out=out, spec="prior_belief", report=False), console)
    assert "Results stop: the disk is full" in str(console.file.getvalue())  # type: ignore[attr-defined]
    assert not out.exists()
    monkeypatch.undo()
    run_stream(RunRequest(out=out, resume=True), quiet())
    compare([out], whole)


def journal_full(monkeypatch: pytest.MonkeyPatch, until: str = "") -> None:
    """The journal finds the disk full at 21:30 of the second day, and until then."""

    def when(self: JournalWriter, about: dict[str, Any], arrays: Any = None) -> bool:
        at = about["last_time"] if "last_time" in about else int(arrays["time"][-1])
        now = np.datetime_as_string(np.datetime64(at, "ns"), unit="s") + "Z"
        return bool(now > HALTED and (not until or now <= until))

    monkeypatch.setattr(JournalWriter, "append", failing(JournalWriter.append, when))


def entries_after(out: Path, time: str) -> int:
    orders = tables(out)["orders.parquet"].to_pandas()
    return int(((orders.timestamp > pd.Timestamp(time)) & ~orders.reduce_only).sum())


def test_a_journal_that_cannot_be_written_stops_entries_and_no_exit(
    data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert entries_after(whole, HALTED) > 0
    journal_full(monkeypatch)
    out, commands = tmp_path / "out", tmp_path / "operator.txt"
    commands.write_text("2024-03-05T22:00 RELEASE\n2024-03-05T22:10 FLATTEN\n", encoding="utf-8")
    console = quiet()
    done = run_stream(RunRequest(data=data, out=out, spec="prior_belief", report=False, operator_file=commands), console)
    shown = str(console.file.getvalue())  # type: ignore[attr-defined]
    assert "The journal cannot be written (no space left on device): HALT." in shown
    assert "RELEASE is refused: the journal still cannot be written" in shown
    told = json.loads((out / "run.json").read_text(encoding="utf-8"))["operator_commands"]
    assert [(x["command"], x["by"]) for x in told] == [("HALT", "journal"), ("FLATTEN", "operator")]
    assert done.summary["bars"] == MINUTES
    assert entries_after(out, HALTED) == 0
    ledger = tables(out)["ledger.parquet"].to_pandas()
    assert (ledger[ledger.timestamp > "2024-03-05T22:20Z"].position == 0.0).all()


def test_release_writes_the_journal_again_where_there_is_room(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal_full(monkeypatch, until="2024-03-05T21:45:00Z")
    out, commands = tmp_path / "out", tmp_path / "operator.txt"
    commands.write_text("2024-03-05T22:00 RELEASE\n", encoding="utf-8")
    run_stream(RunRequest(data=data, out=out, spec="prior_belief", report=False, operator_file=commands), quiet())
    told = json.loads((out / "run.json").read_text(encoding="utf-8"))["operator_commands"]
    assert [(x["command"], x["by"]) for x in told] == [("HALT", "journal"), ("RELEASE", "operator")]
    assert entries_after(out, "2024-03-05T22:00Z") > 0
    assert len(segments_of(out)) == 4
