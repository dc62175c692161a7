"""`stratoquant watchdog` as a process of its own, beside a stream that is killed, or hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from drivers.exchanges.errors import ExchangeFault
from drivers.exchanges.practice.account import PracticeAccount
from drivers.exchanges.practice.server import PracticeExchange
from drivers.project.own_process import own_process
from drivers.store.folder import not_begun
from drivers.watchdog.process import asked_of, latch, run_watchdog
from drivers.watchdog.rules import WatchdogError, WatchdogRules
from tests.drivers.exchanges.test_user_stream import practice, until

ROOT = Path(__file__).parents[3]
assert practice  # a fixture


def project(folder: Path, address: str) -> None:
    """A venue's file and a watchdog's."""
    (folder / "config" / "venues").mkdir(parents=True)
    (folder / "config" / "venues" / "practice.yml").write_text(
        f"about: practice\nkind: spot\nexchange: binance\nendpoints: {{rest: '{address}', ws: '{address.replace('http', 'ws')}'}}\n"
        "symbols: [BTC/USDT]\noptions: {fetchMarkets: {types: [spot]}, fetchCurrencies: false}\n"
        "gate: {notional_per_order: 5000, notional_per_minute: 20000}\n"
    )
    (folder / "dog.yml").write_text("stale_after: 5\nevery: 0.5\n")
    (folder / "commands.txt").touch()


def protected(account: PracticeAccount) -> bool:
    return sorted(o.type for o in account.orders if o.open) == ["LIMIT_MAKER", "STOP_LOSS"]


def flat(account: PracticeAccount) -> bool:
    return not any(o.open for o in account.orders) and account.free.get("BTC", 0) < 0.0001


@pytest.mark.long
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_stream_that_is_killed_or_hangs_is_flattened(
    how: signal.Signals,
    practice: PracticeExchange,
    tmp_path: Path,
) -> None:
    account = practice.account
    assert account is not None
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "STRATOQUANT_CACHE": str(tmp_path / "cache"),
        "STRATOQUANT_PRACTICE_KEY": "practice-key", "STRATOQUANT_PRACTICE_SECRET": "practice-secret",
    }  # fmt: skip
    out, operator = tmp_path / "out", tmp_path / "commands.txt"
    log = (tmp_path / "log").open("w")

    def start(words: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(words, env=environment, cwd=tmp_path, stdout=log, stderr=log)

    def said() -> str:
        return (tmp_path / "log").read_text()

    with practice.serving() as address:
        project(tmp_path, address)
        small = "tests.drivers.watchdog.small_stream"
        stream = start([sys.executable, "-P", "-m", small, str(out), address, str(operator)])
        dog = start(own_process("drivers.cli.main", "watchdog", str(out), "--rules", str(tmp_path / "dog.yml")))
        try:
            until(lambda: protected(account))
            until(lambda: "guards practice" in said())
            time.sleep(2.0)
            assert protected(account) and not operator.read_text()
            stream.send_signal(how)
            until(lambda: flat(account))
            until(lambda: "done: orders are canceled" in said())
            assert operator.read_text().startswith("HALT  # watchdog: the stream has given no sign of life")
            sold = [o for o in account.orders if o.client.startswith("w")]
            assert len(sold) == 1 and sold[0].status == "FILLED"
            if how is signal.SIGSTOP:
                stream.send_signal(signal.SIGCONT)  # it books what the watchdog did, and places nothing
                time.sleep(3.0)
                assert (
                    stream.poll() is None
                    and flat(account)
                    and len([o for o in account.orders if o.client.startswith("w")]) == 1
                )
            for part in ("practice-key", "practice-secret"):
                for each in (stream, dog):
                    assert part not in Path(f"/proc/{each.pid}/cmdline").read_text()
                assert not [p for p in tmp_path.rglob("*") if p.is_file() and part.encode() in p.read_bytes()]
        finally:
            for each in (stream, dog):
                each.kill()
                each.wait()
            log.close()


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises((WatchdogError, ExchangeFault)) as error:
        call()
    return str(error.value)


def test_what_stands_in_the_way_is_said_before_it_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "out.partial"
    folder.mkdir()
    project(tmp_path, "http://127.0.0.1:1")

    def asked(**more: object) -> str:
        import json

        about = {"venue": "practice", "mode": "testnet", "project": str(tmp_path), "operator_file": "c.txt", **more}
        (folder / "stream.json").write_text(json.dumps(about))
        return refusal(lambda: run_watchdog(folder, WatchdogRules(), print, lambda: False))

    for name in ("KEY", "SECRET"):
        monkeypatch.delenv(f"STRATOQUANT_PRACTICE_{name}", raising=False)
    assert "trades on paper" in asked(mode="paper")
    assert "start the stream with --operator FILE" in asked(operator_file="-")
    assert "set STRATOQUANT_PRACTICE_KEY and STRATOQUANT_PRACTICE_SECRET in the environment" in asked()


def test_it_waits_for_its_own_stream(tmp_path: Path) -> None:
    folder = tmp_path / "out.partial"
    folder.mkdir()
    (folder / "stream.json").write_text('{"venue": "practice", "mode": "testnet", "live_from": 1}')
    looks: list[int] = []

    def stopped() -> bool:
        looks.append(1)
        return len(looks) > 2

    run_watchdog(folder, WatchdogRules(), print, stopped, live_from=2)  # what an earlier one has left is not read
    assert len(looks) == 3


def test_a_stream_that_is_not_there_is_told_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.store.folder.PATIENCE", 0.0)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    told: list[str] = []
    folder, looks = tmp_path / "desk.partial", iter(range(4))
    assert asked_of(folder, lambda: next(looks) == 3, say=told.append) is None
    assert told == [f"There is no stream {tmp_path / 'desk'} yet; check the name if none will begin"]
    (tmp_path / "desk").mkdir()
    assert f"the run {tmp_path / 'desk'} is finished: stratoquant report" in not_begun(folder)
    folder.mkdir()
    assert not_begun(folder) == ""


def test_halt_is_appended_whatever_stands_in_the_file(tmp_path: Path) -> None:
    operator = tmp_path / "commands.txt"
    operator.write_text("2026-01-01T00:00 HALT\nCANCEL BTCUSDT-4")
    halt = latch(operator)
    halt("the stream\nis dead")
    halt("again")
    assert operator.read_text() == (
        "2026-01-01T00:00 HALT\nCANCEL BTCUSDT-4\nHALT  # watchdog: the stream is dead\nHALT  # watchdog: again\n"
    )
    operator.write_text(operator.read_text() + "release # by hand\nRELEASE BTCUSDT\n")
    halt("once more")
    assert operator.read_text().endswith("RELEASE BTCUSDT\nHALT  # watchdog: once more\n")


@pytest.mark.parametrize(
    "released", ["RELEASE LATCH DRAWDOWN", "RELEASE LATCH OPERATOR", "2026-03-01T12:00 RELEASE", "RELEASE"]
)
def test_halt_stands_last_after_a_release_of_any_form(released: str, tmp_path: Path) -> None:
    operator = tmp_path / "commands.txt"
    operator.write_text(f"HALT\n{released}\n")
    latch(operator)("the stream is dead")
    assert operator.read_text() == f"HALT\n{released}\nHALT  # watchdog: the stream is dead\n"
