"""A whole stream with orders is killed at each write boundary: what its journal restores is, to the bit and at every instant, the
state that it had while nothing had interrupted it, and the account and the results agree at the end. (`test_gateway_faults` kills the
gateway alone there, by many seeds.)"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ccxt
import numpy as np
import pandas as pd
import pytest

from drivers.engine.engine import Engine
from drivers.run.journaled import Journaled, state_of
from drivers.run.replay import replay
from drivers.run.request import RunRequest
from drivers.run.stream import run_stream
from tests.drivers.exchanges import test_live_orders
from tests.drivers.exchanges.conftest import NOW
from tests.drivers.exchanges.test_live_orders import Killed, World, quiet, request, secrets_in
from tests.drivers.exchanges.test_live_swaps import SwapWorld

pytestmark = pytest.mark.long

MINUTE = 60_000
DAY = 86_400 * 10**9
BOUNDARIES = ("before journal", "after journal", "after send", "after acknowledgement", "in the checkpoint")
BARS = 75
WHICH = 3
"""The how manieth record, or order, it is."""


class Killing:
    """Ends the process at a boundary, once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, world: World, boundary: str) -> None:
        self.world, self.boundary, self.count, self.done = world, boundary, 0, False
        note, turn = Journaled.note, Journaled.turn

        def noted(journal: Journaled, about: Any, sync: bool) -> bool:
            ends = sync and self.reached("before journal", "after journal")
            if ends and boundary == "before journal":
                raise Killed
            written = note(journal, about, sync)
            if ends:
                raise Killed
            return written

        def turned(journal: Journaled, *given: Any) -> Any:
            made = turn(journal, *given)
            if boundary == "in the checkpoint" and not self.done:
                self.done = True
                raise Killed  # the segment has begun; what it begins with is not on the disk
            return made

        monkeypatch.setattr(Journaled, "note", noted)
        monkeypatch.setattr(Journaled, "turn", turned)

    def reached(self, *boundaries: str) -> bool:
        """Whether the process is to end here."""
        if self.boundary not in boundaries or self.done:
            return False
        self.count += 1
        self.done = self.count == WHICH
        return self.done

    def around(self, create: Callable[..., Any], client: Any) -> Callable[..., Any]:
        """Of orders that are sent."""

        def sent(*given: Any) -> Any:
            if self.reached("after send"):  # it arrives three seconds later, when nobody waits for it
                faults = self.world.practice.order_faults
                faults.kinds, faults.rate, client.timeout = ("slow",), 1.0, 500
                with pytest.raises(ccxt.RequestTimeout):
                    create(*given)
                faults.kinds, faults.rate = (), 0.0
                raise Killed
            made = create(*given)
            if self.reached("after acknowledgement"):
                raise Killed
            return made

        return sent


@contextmanager
def states(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[int, str]]]:
    """(time, digest of all that the layers remember) after each instant."""
    found: list[tuple[int, str]] = []
    with monkeypatch.context() as patch:
        for name in ("advance", "react"):
            patch.setattr(Engine, name, _noting(getattr(Engine, name), found))
        yield found


def _noting(call: Callable[..., Any], found: list[tuple[int, str]]) -> Callable[..., Any]:
    def noting(engine: Engine, *given: Any, **more: Any) -> Any:
        made = call(engine, *given, **more)
        if engine.last_time > NOW * 1_000_000 - 2 * DAY:  # the code is compiled with bars of another time
            found.append((engine.last_time, state_of(engine)))
        return made

    return noting


def stream(world: World, address: str, asked: RunRequest, killing: Killing | None = None) -> None:
    feed = world.feed(address, BARS)
    connect = world.connect(address, feed)

    def connected(session: Any) -> Any:
        gateway = connect(session)
        if killing is not None:
            client = gateway.runner.wire.client  # type: ignore[attr-defined]
            client.create_order = killing.around(client.create_order, client)
        return gateway

    run_stream(asked, quiet(), connect=connected, feed=feed)


@pytest.mark.parametrize("swap", [False, True], ids=["spot", "swap"])
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_the_restored_state_is_that_of_the_uninterrupted_stream(
    boundary: str, swap: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = SwapWorld if swap else World
    if boundary == "in the checkpoint":  # a day ends while it runs
        monkeypatch.setattr(test_live_orders, "NOW", NOW - 50 * MINUTE)
    world, out = kind(tmp_path / "killed"), tmp_path / "killed" / "out"
    with world.practice.serving() as address:
        killing = Killing(monkeypatch, world, boundary)
        with states(monkeypatch) as before, pytest.raises(Killed):
            stream(world, address, request(out), killing)
        with states(monkeypatch) as after:
            stream(world, address, RunRequest(out=out, resume=True))
    assert 900 < len(before)
    first = before.index(after[0])  # what its journal's last segment begins with
    assert after[: len(before) - first] == before[first:] and len(before) - first > 10
    agree(world, out)
    with np.load(out / "checkpoint.npz") as saved:
        np.testing.assert_array_equal(saved["f8"], replay(out).engine.arena.f8)
    assert secrets_in(tmp_path) == []


def agree(world: World, out: Path) -> None:
    """The results are what the exchange did."""
    gateway = world.gateway
    traded = [
        trade for trade in world.account.trades if trade.time < world.now
    ]  # the next start asks for those of the last moment
    assert gateway is not None and len(traded) >= 2
    fills, ledger = pd.read_parquet(out / "fills.parquet"), pd.read_parquet(out / "ledger.parquet")
    assert fills.order_id.notna().sum() == len(traded)
    for name, held in gateway.state.position.items():
        assert ledger[ledger.symbol == name].position.iloc[-1] == pytest.approx(float(held), abs=1e-9)
    assert all(gap == 0 for gap in gateway.reconciler.gaps.values())
    orders = [*world.account.orders, *getattr(world.account, "algos", ())]
    clients = [order.client for order in orders if not order.client.startswith("reached")]
    assert len(set(clients)) == len(clients) > 0
