"""The live page changes no bit: the same played frames with it, without it, with one that is killed, and with one that is blocked."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
import pyarrow.parquet as pq
import pytest

from drivers.exchanges.access import Exchange
from drivers.exchanges.frames import FrameRecorder
from drivers.exchanges.played import write_session
from drivers.exchanges.practice.faults import Faults
from drivers.exchanges.practice.server import PracticeExchange
from drivers.exchanges.practice.streams import KINDS
from drivers.project.own_process import own_process
from tests.drivers.exchanges.conftest import NOW
from tests.drivers.exchanges.test_command_line import until
from tests.drivers.exchanges.test_streams import MS, STEP, SYMBOLS, Session
from tests.drivers.report.conftest import EARLY

WARM = 900


def recorded(connected: Callable[..., Exchange], practice: PracticeExchange, folder: Path, minutes: int) -> Path:
    """A recording of a live market on which something goes wrong now and then."""
    record = FrameRecorder(folder / "frames")
    live = Session(connected, practice, folder / "m", minutes, WARM, record=record)
    practice.streams.faults = Faults(rate=0.01, kinds=KINDS, seed=4)
    assert len(live.run()) == minutes
    write_session(folder / "frames", live.feed.exchange, SYMBOLS, NOW * MS, NOW * MS - WARM * STEP)
    shutil.copytree(folder / "m", folder / "frames" / "history")
    record.close()
    live.streams.close()
    return folder / "frames"


def run(frames: Path, out: Path, act: Callable[[int], None] | None = None) -> None:
    """A session. act: given, there is a page, and this is done to its process when the stream is halfway and waits for it."""
    words = ["stream", "--frames", str(frames), "--out", str(out), "--no-report"]
    words += [word for change in EARLY for word in ("--set", change)]
    words += ["--serve", "127.0.0.1:0"] if act is not None else []
    said = out.with_suffix(".said")
    with said.open("w") as log:
        stream = subprocess.Popen(own_process("drivers.cli.main", *words), stdout=log, stderr=subprocess.STDOUT)
    try:
        if act is not None:
            folder = out.with_name(f"{out.name}.partial")
            until(lambda: _bytes(folder / "journal") > 100_000)
            stream.send_signal(signal.SIGSTOP)
            address = until_found(said)
            until(lambda: json.loads(urlopen(f"{address}/state", timeout=30).read()).get("bars", 0) > 20)
            assert not out.exists(), "the stream is under way"
            (page,) = pages_of(stream)
            act(page)
            stream.send_signal(signal.SIGCONT)
        assert stream.wait(240) == 0, said.read_text()
    finally:
        for page in pages_of(stream):  # where the test has failed
            os.kill(page, signal.SIGKILL)
        stream.kill()


def pages_of(stream: subprocess.Popen[bytes]) -> list[int]:
    """The processes that a stream has started."""
    return [int(pid) for pid in subprocess.run(["pgrep", "-P", str(stream.pid)], capture_output=True, text=True).stdout.split()]


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.journal"))


def until_found(said: Path) -> str:
    """Where the page is."""
    return str(until(lambda: re.search(r"is at (http://\S+)", said.read_text())).group(1))


def results(out: Path) -> dict[str, Any]:
    """All tables of a session, and the state that it ended in."""
    found: dict[str, Any] = {str(p.relative_to(out)): pq.read_table(p) for p in sorted(out.rglob("*.parquet")) if p.is_file()}
    with np.load(out / "checkpoint.npz") as saved:
        found |= {f"checkpoint {name}": saved[name].tobytes() for name in ("f8", "i8")}
    return found


@pytest.mark.long
def test_a_page_that_is_served_killed_or_blocked_changes_no_bit(
    connected: Callable[..., Exchange], practice: PracticeExchange, tmp_path: Path
) -> None:
    frames = recorded(connected, practice, tmp_path, 60)
    blocked: list[int] = []

    def block(page: int) -> None:
        blocked.append(page)
        os.kill(page, signal.SIGSTOP)

    run(frames, tmp_path / "alone")
    run(frames, tmp_path / "served", lambda page: None)
    run(frames, tmp_path / "killed", lambda page: os.kill(page, signal.SIGKILL))
    run(frames, tmp_path / "blocked", block)
    until(lambda: not Path(f"/proc/{blocked[0]}").exists())  # it goes with its stream
    alone = results(tmp_path / "alone")
    wanted = {f"{name}.parquet" for name in ("decisions", "orders", "fills", "ledger", "features/execution", "features/fusion")}
    assert wanted <= alone.keys() and alone["decisions.parquet"].num_rows > 50
    for name in ("served", "killed", "blocked"):
        other = results(tmp_path / name)
        assert other.keys() == alone.keys()
        assert [key for key in alone if not _same(alone[key], other[key])] == [], name


def _same(one: Any, other: Any) -> bool:
    """To the bit; NaN is NaN."""
    if isinstance(one, bytes):
        return bool(one == other)
    if one.schema != other.schema or one.num_rows != other.num_rows:
        return False
    columns = ((one[name].combine_chunks(), other[name].combine_chunks()) for name in one.column_names)
    return all(_bits(a) == _bits(b) for a, b in columns)


def _bits(column: Any) -> Any:
    values = column.to_numpy(zero_copy_only=False)
    return values.tobytes() if values.dtype.kind in "fiuM" else values.tolist()
