"""What the watchdog does with an account, at the practice exchange in virtual time, while its stream lives, hangs or is dead."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dataflows.execution.types import FILL, POST_ONLY, REJECTIONS
from drivers.exchanges import client_ids
from drivers.exchanges.legs import ENTRY
from drivers.exchanges.practice.order_faults import ANSWERS, REQUESTS, OrderFaults
from drivers.exchanges.watchdog_hold import Hold
from drivers.exchanges.wire import REFUSED, UNKNOWN, CcxtWire, Outcome
from drivers.store.folder import NOBODY, WRITER
from drivers.watchdog.guard import Guard
from drivers.watchdog.notebook import Notebook, Sale
from drivers.watchdog.process import latch
from drivers.watchdog.rules import Action, WatchdogError, WatchdogRules, read_rules
from drivers.watchdog.watched import Watched
from tests.drivers.exchanges.desk import MS, START, Desk, entry
from tests.drivers.exchanges.scenario import LOT, Trader
from tests.drivers.exchanges.test_gateway import Still, events, resting
from tests.drivers.exchanges.test_gateway_swaps import Tape
from tests.drivers.exchanges.test_gateway_swaps import enter as enter_swap

HELD = Decimal("0.0499")  # of a purchase of 0.05, less the fee, in whole lots


class Dog:
    """A stream's account with orders, and a watchdog beside it."""

    def __init__(self, folder: Path, rules: WatchdogRules, **more: Any) -> None:
        self.place, self.rules, self.said, self.kill_at, self.calls = folder, rules, list[str](), 0, 0
        self.run = folder / "out.partial"
        self.desk = Desk(self.run / "journal", more.pop("seed", 1), **more)
        self.operator = folder / "commands.txt"
        self.operator.touch()
        self.hold = Hold(folder / "hold", lambda: self.desk.now / 1_000)
        self.desk.gateway.watchdog_acts = self.hold.active
        self.beat()
        self.guard = self.awake()

    def awake(self) -> Guard:
        """A watchdog as a process begins it."""
        desk, dog = self.desk, self

        class Mortal(CcxtWire):
            """Ends the process after so many calls."""

            def _outcome(self, call: Any) -> Any:
                found = super()._outcome(call)
                dog.calls += 1
                if dog.calls == dog.kill_at:
                    raise SystemExit
                return found

        notebook = Notebook(self.place / "notebook.json", self.said.append)
        return Guard(
            Watched(self.run, lambda: desk.now / 1_000), Mortal(desk._client(), ()), desk.gateway.markets, self.rules, notebook,
            self.hold, latch(self.operator), self.said.append, lambda: desk.now * MS,
        )  # fmt: skip

    def beat(self) -> None:
        (self.run / "heartbeat.json").write_text(json.dumps({"time": self.desk.now * MS}))

    def lives(self, seconds: int, every: float = 5.0) -> None:
        """The stream works, and the watchdog looks."""
        for _ in range(int(seconds / every)):
            self.desk.run(every)
            self.beat()
            assert self.guard.look()

    def dead(self, seconds: float) -> None:
        """The stream does nothing; the watchdog is started again where it is killed."""
        until = self.desk.now + seconds * 1_000
        while self.desk.now < until:
            self.desk.pass_time(1.0 if self.guard.acting else 5.0)
            try:
                self.guard.look()
            except SystemExit:
                self.guard = self.awake()

    def halts(self) -> list[str]:
        return [line.split("  #")[0] for line in self.operator.read_text().splitlines()]


def enter(dog: Dog) -> None:
    """A position in BTC with its bracket, and an entry in ETH that rests."""
    desk = dog.desk
    desk.run(1.0)
    desk.ask("submit", entry("BTCUSDT", 4, 0.05, desk.now, float(desk.walk.last("BTCUSDT", desk.now))))
    price = float(desk.walk.last("ETHUSDT", desk.now)) * 0.99
    desk.ask("submit", entry("ETHUSDT", 4, 1.0, desk.now, price, type=POST_ONLY, limit_price=round(price, 2)))
    desk.flush()
    desk.run(2.0)
    assert sorted(kind for kind, _, _ in resting(desk)) == ["LIMIT", "LIMIT_MAKER", "LIMIT_MAKER", "STOP_LOSS"]


def dog_of(folder: Path, tape: Any = None, **rules: Any) -> Dog:
    dog = Dog(folder, WatchdogRules(**rules), tape=tape or Still(), balances={"USDT": "100000", "BTC": "0.5"})
    dog.desk.account.place("ETHUSDT", {"side": "BUY", "type": "LIMIT", "quantity": "0.1", "price": "1000",
                                       "newClientOrderId": "by-hand"})  # fmt: skip
    dog.desk.account.orders[-1].time = START  # long ago
    return dog


def test_a_stream_that_lives_is_left_alone(tmp_path: Path) -> None:
    dog = dog_of(tmp_path, loss=100.0)
    dog.desk.run(1.0)
    dog.desk.ask("submit", entry("BTCUSDT", 4, 0.05, dog.desk.now, 60_000.0))
    dog.desk.flush()
    dog.lives(300)
    assert (dog.said, dog.halts()) == ([], [])
    assert sorted(kind for kind, _, _ in resting(dog.desk)) == ["LIMIT", "LIMIT_MAKER", "STOP_LOSS"]


def flat(dog: Dog) -> None:
    """All that is the stream's is gone, and nothing else."""
    desk = dog.desk
    assert [o.client for o in desk.account.orders if o.open] == ["by-hand"]
    assert Decimal("0.5") <= desk.account.free["BTC"] < Decimal("0.5001"), "what was there before stays"
    sold = [o for o in desk.account.orders if o.side == "SELL" and o.type == "MARKET"]
    assert sum(o.executed for o in sold) == HELD
    assert len({o.client for o in desk.account.orders}) == len(desk.account.orders)
    for each in sold:
        said = client_ids.read(each.client, client_ids.WATCHDOG)
        assert said is not None and said.nonce == desk.gateway.state.nonce and len(each.client) == 18
    assert dog.halts() == ["HALT"]


def test_a_stream_that_is_dead_is_flattened_and_knows_it_when_it_is_resumed(tmp_path: Path) -> None:
    dog = dog_of(tmp_path)
    enter(dog)
    dog.dead(50)
    assert not dog.halts()
    dog.dead(600)
    flat(dog)
    assert [said for said in dog.said if "done" in said] == ["done: orders are canceled and positions closed"]
    begun = len(dog.desk.account.orders)
    dog.desk.restart()
    dog.desk.run(40.0)
    sold = [r for r in dog.desk.acted if r.kind == FILL and REJECTIONS[r.reason] == "WATCHDOG"]
    assert {(r.id, r.symbol) for r in sold} == {(0, "BTCUSDT")} and sum(r.quantity for r in sold) == pytest.approx(-0.0499)
    assert events(dog.desk, 5)[-1] == events(dog.desk, 6)[-1] == "CANCELED"
    assert abs(dog.desk.gateway.state.position["BTCUSDT"]) < LOT
    assert all(gap == 0 for gap in dog.desk.gateway.reconciler.gaps.values()) and dog.desk.gateway.reconciler.ready
    assert not [said for said in dog.desk.said if "not ours" in said or "differs" in said]
    assert len(dog.desk.account.orders) == begun and dog.desk.gateway.at_rest


@pytest.mark.parametrize("call", range(1, 16))
def test_a_watchdog_that_is_killed_after_any_call_goes_on_and_sells_once(call: int, tmp_path: Path) -> None:
    dog = dog_of(tmp_path)
    enter(dog)
    dog.guard.look()
    dog.desk.pass_time(61.0)
    dog.kill_at = dog.calls + call
    dog.dead(100)
    flat(dog)


def answered(kind: str, seed: int, folder: Path) -> None:
    """It sells once, whatever the exchange answers."""
    dog = dog_of(folder)
    enter(dog)
    dog.guard.look()
    dog.desk.pass_time(61.0)
    dog.desk.api.faults = OrderFaults((kind,), 0.5, seed)
    dog.dead(60)
    dog.desk.api.faults = OrderFaults()
    dog.dead(40)
    flat(dog)


@pytest.mark.parametrize("kind", (*REQUESTS, *ANSWERS))
def test_whatever_the_exchange_answers_it_sells_once(kind: str, tmp_path: Path) -> None:
    answered(kind, 1, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("kind", (*REQUESTS, *ANSWERS))
def test_whatever_the_exchange_answers_it_sells_once_by_many_seeds(kind: str, tmp_path: Path) -> None:
    for seed in range(2, 52):
        answered(kind, seed, tmp_path / str(seed))


def test_cancel_takes_entries_and_leaves_stops(tmp_path: Path) -> None:
    dog = dog_of(tmp_path, on_stale="cancel")
    enter(dog)
    dog.dead(200)
    assert sorted(kind for kind, _, _ in resting(dog.desk)) == ["LIMIT", "LIMIT_MAKER", "STOP_LOSS"]
    assert [o.client for o in dog.desk.account.orders if o.open and o.symbol == "ETHUSDT"] == ["by-hand"]
    assert dog.halts() == ["HALT"] and dog.said[-1] == "done: entries are canceled"


def test_alert_only_says_it_once(tmp_path: Path) -> None:
    dog = dog_of(tmp_path, on_stale="alert")
    enter(dog)
    dog.dead(300)
    assert len(resting(dog.desk)) == 4 and dog.halts() == []
    assert dog.said == ["the stream has given no sign of life for more than 60 s"]


def test_a_loss_within_a_bar_flattens_beside_a_stream_that_lives(tmp_path: Path) -> None:
    still = Still()
    dog = dog_of(tmp_path, still, loss=100.0)
    enter(dog)
    dog.lives(30)
    still.price["BTCUSDT"] = Decimal(59_000)  # it falls through the stop, and nothing trades there
    dog.lives(5)
    assert dog.halts() == [] or dog.hold.active()
    still.price["BTCUSDT"] = Decimal(57_500)
    for _ in range(20):
        dog.desk.run(0.5)
        dog.beat()
        dog.guard.look()
    flat(dog)
    assert any("lost more than 100 within one bar" in said for said in dog.said)
    assert any("places nothing until" in said for said in dog.desk.said)
    dog.lives(120)
    assert abs(dog.desk.gateway.state.position["BTCUSDT"]) < LOT and not dog.hold.active()
    assert all(gap == 0 for gap in dog.desk.gateway.reconciler.gaps.values())


def test_a_slow_fall_is_no_loss_within_one_bar(tmp_path: Path) -> None:
    still = Still()
    dog = dog_of(tmp_path, still, loss=100.0)
    enter(dog)
    for minute in range(6):
        still.price["BTCUSDT"] = Decimal(60_000 - 1_500 * minute)  # 75 a bar
        dog.lives(60)
    assert dog.halts() == []


def test_an_account_that_differs_from_the_journal_loses_its_entries(tmp_path: Path) -> None:
    dog = dog_of(tmp_path)
    enter(dog)
    dog.desk.account.place("BTCUSDT", {"side": "BUY", "type": "MARKET", "quantity": "0.01", "newClientOrderId": "other-hand"})
    dog.lives(50)
    assert dog.halts() == []
    dog.lives(30)
    assert dog.halts() == ["HALT"]
    assert any("differs from the stream's journal by 0.00999 BTC" in said for said in dog.said)
    assert [o.client for o in dog.desk.account.orders if o.open and o.symbol == "ETHUSDT"] == ["by-hand"]
    assert [kind for kind, _, _ in resting(dog.desk) if kind == "STOP_LOSS"] == ["STOP_LOSS"]


def test_what_a_hand_has_bought_is_not_sold(tmp_path: Path) -> None:
    dog = dog_of(tmp_path)
    enter(dog)
    dog.desk.account.place("BTCUSDT", {"side": "BUY", "type": "MARKET", "quantity": "0.01", "newClientOrderId": "other-hand"})
    dog.dead(300)
    sold = [o for o in dog.desk.account.orders if o.side == "SELL" and o.type == "MARKET"]
    assert sum(o.executed for o in sold) == HELD


def test_a_stream_that_comes_back_ends_the_episode_and_the_next_one_halts_again(tmp_path: Path) -> None:
    dog = dog_of(tmp_path)
    enter(dog)
    dog.dead(300)
    dog.desk.restart()
    dog.desk.gateway.watchdog_acts = dog.hold.active
    dog.lives(60)
    with dog.operator.open("a") as file:
        file.write("RELEASE\n")
    dog.dead(300)
    assert dog.halts() == ["HALT", "RELEASE", "HALT"]
    dog.dead(300)
    assert dog.halts() == ["HALT", "RELEASE", "HALT"]


@pytest.mark.parametrize("seed", range(1, 5))
@pytest.mark.parametrize("action", ["cancel", "flatten"])
def test_wherever_a_stream_dies(seed: int, action: Action, tmp_path: Path) -> None:
    died(seed, action, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("action", ["cancel", "flatten"])
def test_wherever_a_stream_dies_by_many_seeds(action: Action, tmp_path: Path) -> None:
    for seed in range(5, 205):
        died(seed, action, tmp_path / str(seed))


def killed(desk: Desk) -> bool:
    return desk.kill is None


def died(seed: int, action: Action, tmp_path: Path) -> None:
    """A trader by seed, whose stream dies at any moment with orders under way, and an exchange that answers as it likes."""
    dog = Dog(tmp_path, WatchdogRules(on_stale=action), seed=seed, sigma=1e-4)
    desk, trader = dog.desk, Trader(dog.desk, seed)
    desk.kill = (("after journal", "after send", "after acknowledgement")[seed % 3], 3 + seed)
    before = desk.restarts
    desk.restart = lambda: None  # type: ignore[method-assign]
    for second in range(40):
        desk.pass_time(1.0)
        desk.look()
        if killed(desk):
            break
        if second % 3 == 2:
            desk.survive(trader.act)
            desk.flush()
    desk.kill, desk.api.faults = None, OrderFaults((*REQUESTS, *ANSWERS), 0.3, seed)
    guarded = {o.client: o for o in desk.account.orders if o.open and o.type.startswith("STOP")}
    dog.dead(150)
    desk.api.faults = OrderFaults()
    dog.dead(40)
    assert desk.restarts == before and dog.halts() == ["HALT"]
    left = [o for o in desk.account.orders if o.open]
    if action == "cancel":
        canceled = {said.split()[1] for said in dog.said if said.startswith("canceled ")}
        assert not canceled & set(guarded), "no stop is canceled"
        state = dog.guard.watched.state
        assert state is not None
        for order in left:
            leg = state.legs[order.client]
            assert state.books[leg.owner].role != ENTRY
        return
    assert left == []
    state = dog.guard.watched.state
    assert state is not None
    for symbol in ("BTC", "ETH"):
        held = desk.account.free.get(symbol, Decimal(0)) - Decimal(state.baseline.get(symbol, "0"))
        assert held < LOT or held * desk.walk.last(f"{symbol}USDT", desk.now) < 5, "no more than dust"


def test_the_notebook_is_on_the_disk_before_an_order_leaves_and_a_damaged_one_begins_again(tmp_path: Path) -> None:
    dog = dog_of(tmp_path)
    enter(dog)
    place = dog.guard.wire.place
    there: list[bool] = []

    def placed(leg: Any, symbol: str) -> Any:
        there.append(leg.client in (tmp_path / "notebook.json").read_text())
        return place(leg, symbol)

    dog.guard.wire.place = placed  # type: ignore[method-assign]
    dog.dead(200)
    assert there == [True]
    (tmp_path / "notebook.json").write_text('{"sales": [{"client"')
    dog.awake()
    assert "cannot be read" in dog.said[-1]


def test_a_disk_that_takes_nothing_stops_no_sale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dog = dog_of(tmp_path)
    enter(dog)

    def full(*given: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("drivers.watchdog.notebook.write_atomic", full)
    dog.guard.halt = full
    dog.dead(200)
    assert [o.client for o in dog.desk.account.orders if o.open] == ["by-hand"]
    assert any("HALT cannot be written" in said for said in dog.said)
    assert any("notebook" in said and "no space left" in said for said in dog.said)


@pytest.mark.parametrize("sign", [1, -1])
def test_longs_and_shorts_of_swaps_are_closed_with_orders_that_only_reduce(sign: int, tmp_path: Path) -> None:
    dog = Dog(tmp_path, WatchdogRules(loss=100.0), swap=True, tape=Tape())
    desk = dog.desk
    enter_swap(desk, sign)
    dog.lives(10)
    assert dog.said == [] and resting(desk)
    begun = len(desk.api.asked)
    dog.dead(150)
    assert desk.account.positions["BTCUSDT"].amount == 0 and resting(desk) == []
    assert desk.account.algos and not [each for each in desk.account.algos if each.open], "its stop has gone too"
    closing = [a for a in desk.api.asked[begun:] if a.startswith("POST /fapi/v1/order?")]
    assert len(closing) == 1 and "reduceOnly=true" in closing[0] and f"side={'SELL' if sign > 0 else 'BUY'}" in closing[0]
    assert dog.halts() == ["HALT"]
    desk.restart()
    desk.run(10.0)
    assert desk.gateway.state.position["BTCUSDT"] == 0 and desk.gateway.at_rest
    assert REJECTIONS[[r for r in desk.acted if r.kind == FILL][-1].reason] == "WATCHDOG"
    assert all(abs(gap) < Decimal("1e-6") for gap in desk.gateway.reconciler.gaps.values())


def test_a_short_that_loses_within_a_bar_is_closed(tmp_path: Path) -> None:
    dog = Dog(tmp_path, WatchdogRules(loss=100.0), swap=True, tape=Tape())
    enter_swap(dog.desk, -1, stop=0.2)
    dog.lives(10)
    dog.desk.walk.set(dog.desk.now, 61_500.0)  # 75
    dog.lives(10)
    assert dog.halts() == []
    dog.desk.walk.set(dog.desk.now, 62_500.0)  # 125
    dog.lives(15)
    assert dog.desk.account.positions["BTCUSDT"].amount == 0 and dog.halts() == ["HALT"]


@pytest.mark.parametrize("looks", [True, False])
def test_what_is_entered_again_in_the_same_size_is_closed_again(looks: bool, tmp_path: Path) -> None:
    dog = dog_of(tmp_path)
    enter(dog)
    dog.dead(300)
    flat(dog)
    desk = dog.desk
    desk.restart()
    desk.gateway.watchdog_acts = dog.hold.active
    desk.run(40.0)
    assert abs(desk.gateway.state.position["BTCUSDT"]) < LOT
    if looks:  # else the position has come back before the watchdog sees that it went
        dog.lives(10)
    desk.ask("submit", entry("BTCUSDT", 12, 0.05, desk.now, 60_000.0))
    desk.flush()
    desk.run(2.0)
    assert desk.account.free["BTC"] + sum(
        o.quantity for o in desk.account.orders if o.open and o.type == "STOP_LOSS"
    ) > Decimal("0.549")
    dog.beat()
    dog.dead(300)
    sold = [o for o in desk.account.orders if o.side == "SELL" and o.type == "MARKET"]
    assert [o.executed for o in sold] == [HELD, HELD]
    assert [o.client for o in desk.account.orders if o.open] == ["by-hand"]
    assert dog.said.count("done: orders are canceled and positions closed") == 2


def test_a_slow_normal_end_is_no_silence_and_one_that_fails_is(tmp_path: Path) -> None:
    dog = dog_of(tmp_path)
    enter(dog)
    dog.lives(10)
    (dog.run / WRITER).write_text(str(os.getpid()))
    (dog.run / "heartbeat.json").unlink()
    dog.dead(300)
    assert dog.halts() == [] and dog.said == [], "its process lives, and writes the results"
    (dog.run / WRITER).write_text(str(NOBODY))
    dog.dead(50)
    assert dog.halts() == []
    dog.dead(100)
    flat(dog)


def test_a_watchdog_that_begins_after_the_heartbeat_has_gone_flattens_too(tmp_path: Path) -> None:
    dog = dog_of(tmp_path)
    enter(dog)
    (dog.run / "heartbeat.json").unlink()
    dog.guard = dog.awake()
    dog.dead(150)
    flat(dog)


def test_a_stream_that_has_ended_normally_ends_the_watchdog(tmp_path: Path) -> None:
    dog = dog_of(tmp_path)
    enter(dog)
    dog.lives(10)
    (dog.run / "heartbeat.json").unlink()
    dog.run.rename(tmp_path / "out")
    dog.desk.pass_time(300.0)
    assert not dog.guard.look() and dog.guard.watched.silent_for == 0.0 and dog.halts() == []


def test_the_stream_stands_back_while_a_sale_or_the_account_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dog = dog_of(tmp_path)
    enter(dog)
    dog.guard.look()
    with monkeypatch.context() as patch:
        for name in ("place", "ask"):
            patch.setattr(dog.guard.wire, name, lambda *given: Outcome(UNKNOWN))
        dog.dead(150)
        assert dog.guard.acting and dog.hold.active(), "the fate of its sale is unknown"
        patch.setattr(dog.guard.wire, "account", lambda: Outcome(UNKNOWN))
        dog.guard.notebook.sales.clear()  # it never arrived
        dog.dead(100)
        assert dog.guard.acting and dog.hold.active(), "the account cannot be read"
    dog.dead(60)
    flat(dog)
    assert not dog.guard.acting and not dog.hold.active()


def test_sales_that_are_refused_leave_no_record_and_push_none_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dog = dog_of(tmp_path)
    enter(dog)
    dog.guard.look()
    unknown = Sale("w-of-eth", "ETHUSDT", "sell", "1", dog.desk.now * MS, "1")
    dog.guard.notebook.sales.append(unknown)
    tried: list[str] = []

    def refused(leg: Any, symbol: str) -> Outcome:
        tried.append(leg.client)
        return Outcome(REFUSED, "no")

    with monkeypatch.context() as patch:
        patch.setattr(dog.guard.wire, "place", refused)
        patch.setattr(dog.guard.wire, "ask", lambda *given: Outcome(UNKNOWN))
        dog.dead(300)
    assert len(tried) == len(set(tried)) > 202
    assert dog.guard.notebook.sales == [unknown]
    assert [sale["client"] for sale in json.loads((tmp_path / "notebook.json").read_text())["sales"]] == ["w-of-eth"]


@pytest.mark.parametrize("content", [None, '{"sales": [{"client"'])
def test_a_notebook_that_is_lost_or_damaged_repeats_no_client_id(content: str | None, tmp_path: Path) -> None:
    path, begun = tmp_path / "notebook.json", int(time.time())
    if content is not None:
        path.write_text(content)
    notebook = Notebook(path)
    notebook.recall()
    assert begun <= notebook.number <= time.time()
    said = client_ids.read(client_ids.written(0, notebook.number, 0, "abcde", client_ids.WATCHDOG), client_ids.WATCHDOG)
    assert said is not None and said.sequence == notebook.number
    notebook.number += 3
    notebook.write()
    again = Notebook(path)
    again.recall()
    assert again.number == notebook.number


def test_closing_a_swap_asks_for_no_price(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dog = Dog(tmp_path, WatchdogRules(), swap=True, tape=Tape())
    enter_swap(dog.desk, 1)
    asked: list[str] = []
    price = dog.guard.wire.price
    monkeypatch.setattr(dog.guard.wire, "price", lambda symbol: asked.append(symbol) or price(symbol))
    dog.dead(150)
    assert dog.desk.account.positions["BTCUSDT"].amount == 0 and asked == []


def said_of(call: Callable[[], object]) -> str:
    with pytest.raises(WatchdogError) as error:
        call()
    return str(error.value)


def test_its_file(tmp_path: Path) -> None:
    path = tmp_path / "dog.yml"
    path.write_text("stale_after: 30\non_stale: cancel\nloss: 250\n")
    assert read_rules(path) == WatchdogRules(stale_after=30.0, on_stale="cancel", loss=250.0)
    path.write_text("stale: 30\n")
    assert "stale is not a key; did you mean stale_after" in said_of(lambda: read_rules(path))
    path.write_text("on_loss: sell\n")
    assert "on_loss" in said_of(lambda: read_rules(path))
    path.write_text("loss: -1\n")
    assert "loss" in said_of(lambda: read_rules(path))
