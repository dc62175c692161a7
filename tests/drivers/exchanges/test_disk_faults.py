"""Disk faults at every write of what the gateway must not forget: no order is lost, doubled or forgotten, and none leaves
without its record."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from drivers.run.journaled import Journaled
from drivers.store.errors import StoreError
from drivers.store.journal import SyncError
from drivers.store.segments import Segments, segments_of
from tests.drivers.exchanges.desk import Desk, Killed, entry, order
from tests.drivers.exchanges.scenario import Trader, Watcher, whole
from tests.drivers.exchanges.test_gateway import BTC, Still, desk_of, enter, events

KINDS = ("full", "error", "torn", "torn head", "flip", "flip late")
"""full: ENOSPC; error: EIO; both with a part of the record written. torn: the machine dies with half of it on the disk, or half
of its head. flip: a bit of it is another, and the machine dies; late: at the next write, when what the record told of has been sent."""


class FaultyFile:
    """A file in which the write of one record goes wrong."""

    def __init__(self, file: Any, disk: Disk) -> None:
        self.file, self.disk = file, disk

    def write(self, content: bytes) -> int:
        disk = self.disk
        disk.writes += 1
        if disk.kind == "flip late" and disk.writes == disk.at + 1:
            raise Killed(disk.kind)
        if disk.writes != disk.at:
            return int(self.file.write(content))
        disk.happened = True
        if disk.kind.startswith("flip"):
            place = len(content) // 2
            content = content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :]
            self.file.write(content)
        else:
            self.file.write(content[: 7 if disk.kind == "torn head" else len(content) // 2])
        self.file.flush()
        if disk.kind == "flip late":
            return len(content)
        if disk.kind in ("full", "error"):
            code = errno.ENOSPC if disk.kind == "full" else errno.EIO
            raise OSError(code, os.strerror(code))
        raise Killed(disk.kind)

    def writelines(self, parts: Iterable[bytes]) -> None:
        """A record comes in parts and lies in the buffer as one: it goes wrong as a whole."""
        self.write(b"".join(parts))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


class Disk:
    """at: number of the write that goes wrong, from 1."""

    def __init__(self, kind: str, at: int) -> None:
        self.kind, self.at, self.writes, self.happened = kind, at, 0, False

    def under(self, desk: Desk) -> None:
        """The journal of a desk is on this disk."""
        writer = desk.writer._writer
        assert writer is not None
        writer._file = FaultyFile(writer._file, self)


def journaled(desk: Desk) -> Journaled:
    """The stream's own way to the journal, in place of the desk's."""
    found = Journaled(SimpleNamespace(engine=None), None)  # type: ignore[arg-type]
    segments = desk.writer
    beneath = SimpleNamespace(append=segments.append, fail=segments.fail)
    found._segments, found.sends = beneath, True  # type: ignore[assignment]
    segments.append = found._append  # type: ignore[method-assign]
    desk.gateway.note = found.note
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_every_write_of_a_trader_by_seed(kind: str, tmp_path: Path) -> None:
    happened = [faulty(tmp_path / str(at), kind, at) for at in (2, 9, 17)]
    assert all(happened)


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_every_write_of_a_trader_by_many_seeds(kind: str, tmp_path: Path) -> None:
    for at in range(1, 121):
        faulty(tmp_path / str(at), kind, at)


def faulty(folder: Path, kind: str, at: int) -> bool:
    """A trader; the disk fails at one write; a machine that died, or whose journal has ended, is started again."""
    desk, disk = Desk(folder, at), Disk(kind, at)
    trader, watcher = Trader(desk, at), Watcher(desk)
    journal = journaled(desk)
    disk.under(desk)
    for second in range(79):  # for the last 34 the trader rests: no entry lives longer
        recorded = len(desk.acted)
        try:
            desk.pass_time(1.0)
            desk.look()
            recorded = recorded if journal.failed else len(desk.acted)
            if second < 45 and second % 3 == 2 and not journal.failed:
                trader.act()
                desk.flush()
        except Killed:
            desk.restart()
            journal = journaled(desk)
        if journal.failed:  # it ends: what it sends now has no record
            opened = [o for o in desk.account.orders if o.open and o.side == "BUY"]
            desk.run(2.0)
            assert [o for o in desk.account.orders if o.open and o.side == "BUY" and o not in opened] == []
            del desk.acted[recorded:]  # what acted without a record acts again
            desk.restart()
            journal = journaled(desk)
    disk.at = 0
    desk.gateway.reconciler.again()
    desk.run(6.0, 1.0)
    desk.look()
    whole(desk, watcher)
    return disk.happened


def test_a_sync_that_fails_is_fatal_and_nothing_is_sent_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = desk_of(tmp_path, Still())
    enter(desk)
    journaled(desk)
    stops = [o.client for o in desk.account.orders if o.open]
    asked, sync = len(desk.api.asked), os.fdatasync

    def fails(handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fails)
    desk.ask("submit", entry("ETHUSDT", 4, 1.0, desk.now, 3_000.0))
    desk.ask("submit", order("BTCUSDT", 8, -0.0499, desk.now, 60_000.0, reduce_only=True, parent=BTC | 4))
    with pytest.raises(
        StoreError, match=r"does not confirm the journal .input/output error., so nothing more is sent; stops stay"
    ):
        desk.gateway.flush()
    assert len(desk.api.asked) == asked and [o.client for o in desk.account.orders if o.open] == stops
    monkeypatch.setattr(os, "fdatasync", sync)
    desk.restart()
    desk.run(20.0)
    assert events(desk, 8)[-1] == "FILL", "the exit that was decided leaves once there is a journal again"
    assert len({o.client for o in desk.account.orders}) == len(desk.account.orders)


def test_a_sync_that_fails_on_paper_stops_entries_as_any_other_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    segments = Segments(tmp_path / "journal")
    segments.begin({"kind": "begin"}, {})
    found = Journaled(SimpleNamespace(engine=None), None)  # type: ignore[arg-type]
    found._segments = segments
    said: list[str] = []
    found.on_failure = said.append

    def fails(handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fails)
    with pytest.raises(SyncError):
        segments.append({"kind": "x"}, sync=True)
    assert found.note({"kind": "venue"}, True) is False and said == ["input/output error"]


@pytest.mark.parametrize("sends", [False, True])
def test_a_segment_that_the_disk_does_not_confirm_at_its_turn_is_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sends: bool
) -> None:
    segments = Segments(tmp_path / "journal")
    segments.begin({"kind": "begin"}, {})
    found = Journaled(SimpleNamespace(engine=SimpleNamespace(last_time=60)), None)  # type: ignore[arg-type]
    found._segments, found.sends = segments, sends
    said: list[str] = []
    found.on_failure = said.append
    assert found.note({"kind": "venue"}, False)

    def fails(handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fails)
    if sends:
        with pytest.raises(StoreError, match=r"does not confirm the journal .input/output error., so nothing more is sent"):
            found.turn({})
        assert said == []
        return
    found.turn({})({})
    assert said == ["input/output error"] and found.failed
    assert found.note({"kind": "venue"}, True) is False
    assert [path.name for path in segments_of(tmp_path / "journal")] == ["000001.journal"]


def test_the_next_segment_that_cannot_be_begun_leaves_the_last_one_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, at in (("fdatasync", 1), ("fsync", 1)):
        desk = desk_of(tmp_path / name, Still())
        enter(desk)
        real: Callable[[int], None] = getattr(os, name)
        count = [0]

        def fails(handle: int, real: Callable[[int], None] = real, count: list[int] = count, at: int = at) -> None:
            count[0] += 1
            if count[0] == at:
                raise OSError(errno.EIO, "Input/output error")
            real(handle)

        monkeypatch.setattr(os, name, fails)
        with pytest.raises(OSError, match="Input/output error"):
            desk.checkpoint()
        monkeypatch.setattr(os, name, real)
        desk.ask("submit", order("BTCUSDT", 8, -0.0499, desk.now, 60_000.0, reduce_only=True, parent=BTC | 4))
        desk.flush()
        desk.run(2.0)
        desk.restart()
        desk.run(5.0)
        assert events(desk, 8)[-1] == "FILL" and desk.gateway.at_rest
