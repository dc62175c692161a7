"""A trader by seed at a `Desk`, and what must hold of the account after whatever went wrong."""

from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dataflows.execution.types import (
    CANCELED_EVENT,
    EXPIRE,
    FILL,
    FUNDING,
    IOC,
    LIMIT,
    MARKET,
    POST_ONLY,
    REJECT,
)
from drivers.exchanges import client_ids
from drivers.exchanges.legs import ENTRY
from drivers.exchanges.practice.market import HOUR
from drivers.exchanges.practice.order_faults import OrderFaults
from drivers.exchanges.state import State
from tests.drivers.exchanges.desk import MS, UIDS, Desk, entry, order, recorded, recover

LOT = Decimal("0.0001")
ENDS = (CANCELED_EVENT, EXPIRE, REJECT)


class Trader:
    """Enters, exits, cancels and moves stops by chance; knows only what was reported."""

    def __init__(self, desk: Desk, seed: int) -> None:
        self.desk, self.chance = desk, random.Random(seed)
        self.next = dict.fromkeys(UIDS, 4)
        self.entries: dict[str, int] = {}
        self.stop: dict[str, float] = {}
        self.opened: dict[str, int] = {}
        self.sizes: dict[int, float] = {}

    def held(self, symbol: str) -> float:
        fills = [r for r in self.desk.acted if r.kind == FILL and r.symbol == symbol]
        return sum(r.quantity - r.fee_base for r in fills)

    def lives(self, order_id: int) -> bool:
        return not any(r.id == order_id and r.kind in ENDS for r in self.desk.acted)

    def act(self) -> None:
        desk, symbol = self.desk, self.chance.choice(sorted(UIDS))
        price, held, roll = float(desk.walk.last(symbol, desk.now)), self.held(symbol), self.chance.random()
        working = self.entries.get(symbol, 0)
        filled = abs(sum(r.quantity for r in desk.acted if r.id == working and r.kind == FILL))
        alive = working and self.lives(working) and filled < self.sizes[working] - 1e-9
        stop_id = self.opened.get(symbol, 0) + 1
        if working and filled and abs(held) > 1e-9:
            self.opened[symbol] = working
            stop_id = working + 1
        if alive:
            if roll < 0.5:
                desk.ask("cancel", symbol, working)
            return
        if abs(held) * price < 10.0:
            self._enter(symbol, price)
        elif roll < 0.35:
            part = held if roll < 0.2 else round(held / 2, 4)
            self._exit(symbol, part, price)
        elif roll < 0.6 and symbol in self.stop and self.lives(stop_id):
            tighter = round(max(self.stop[symbol], price * 0.995) if held > 0 else min(self.stop[symbol], price * 1.005), 2)
            self.stop[symbol] = tighter
            desk.ask("modify", symbol, stop_id, {"limit_price": float("nan"), "stop_price": tighter, "quantity": 0.0})

    def _number(self, symbol: str) -> int:
        self.next[symbol] += 4
        return self.next[symbol] - 4

    def _enter(self, symbol: str, price: float) -> None:
        kind = self.chance.choice((MARKET, MARKET, LIMIT, POST_ONLY))
        number = self._number(symbol)
        sign = self.chance.choice((1, -1)) if self.desk.swap else 1
        offset = 1.0 + sign * {LIMIT: 0.0003, POST_ONLY: -0.0004}.get(kind, 0.0)
        size = round(self.chance.uniform(0.5, 1.0) * 3_000.0 / price, 4)
        made = entry(
            symbol, number, sign * size, self.desk.now, price, type=kind, time_in_force=IOC if kind == LIMIT and size > 0.7 else 0,
            limit_price=float("nan") if kind == MARKET else round(price * offset, 2), lifetime=0.5 if kind == POST_ONLY else 0.0,
            bracket_stop=round(price * (1.0 - 0.005 * sign), 2), bracket_target=round(price * (1.0 + 0.007 * sign), 2),
        )  # fmt: skip
        self.entries[symbol], self.stop[symbol] = made.id, made.bracket_stop
        self.sizes[made.id] = size
        self.desk.ask("submit", made)

    def _exit(self, symbol: str, size: float, price: float) -> None:
        number = self._number(symbol)
        self.desk.ask("submit", order(symbol, number, -size, self.desk.now, price, reduce_only=True, parent=1))


class Watcher:
    """At every event of the account: no entry may trade, or rest, for more than was asked."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.wrong: list[str] = []
        desk.account.listeners.append(self.look)

    def look(self, report: Any) -> None:
        asked = {given[1].id: given[1] for given in self.desk.asked if given[0] == "submit"}
        total: Counter[int] = Counter()
        for each in self.desk.account.orders:
            said = client_ids.read(each.client)
            if each.client.startswith("reached"):
                continue
            assert said is not None
            owner = UIDS[each.symbol] << 32 | said.sequence
            if owner in asked and not asked[owner].reduce_only:
                total[owner] += each.executed + (each.left if each.open else 0)
        for owner, size in total.items():
            if size > abs(Decimal(repr(asked[owner].quantity))) + LOT / 2:
                self.wrong.append(f"{owner & 0xFFFFFFFF}: {size} of {asked[owner].quantity}")


def play(folder: Path, seed: int, faults: OrderFaults | None = None, seconds: int = 60, **more: Any) -> tuple[Desk, Watcher]:
    """A trader for so long, with what goes wrong; then a while in which nothing does."""
    kill = more.pop("kill", None)
    desk = Desk(folder, seed, faults, **more)
    desk.kill = kill
    trader, watcher = Trader(desk, seed), Watcher(desk)
    kinds = faults.kinds if faults is not None else ()
    skews, desk.account.broken_off = "skew" in kinds, 0.5 if "part" in kinds else 0.0
    for second in range(seconds):
        desk.pass_time(1.0)
        if skews and second % 20 == 19:
            desk.skew = 3_000 - desk.skew
        desk.look()
        if second % 3 == 2:
            desk.survive(trader.act)
            desk.flush()
        if second % 15 == 14:
            desk.checkpoint()
    desk.kill, desk.api.faults.rate = None, 0.0
    desk.account.broken_off = 0.0
    if desk.swap:
        desk.account.funding_every = 8 * HOUR
    for _ in range(34):  # no entry lives longer
        desk.pass_time(1.0)
        desk.look()
    desk.survive(desk.gateway.reconciler.again)
    for _ in range(6):
        desk.pass_time(1.0)
        desk.look()
    desk.look()  # what was said while the last look asked
    return desk, watcher


def whole(desk: Desk, watcher: Watcher) -> None:
    """All that must hold."""
    gateway, account = desk.gateway, desk.account
    assert watcher.wrong == []
    sent = [*account.orders, *(account.algos if desk.swap else ())]
    ours = {order.client: order for order in sent if client_ids.read(order.client) is not None}
    reached = {order.became: order.client for order in sent if order.became}
    clients = [order.client for order in sent if order.id not in reached]
    assert all(client in ours for client in clients)
    assert len(set(clients)) == len(clients), "no id twice"
    reported = {(r.symbol, r.fill_id) for r in desk.acted if r.kind == FILL}
    fills = [r for r in desk.acted if r.kind == FILL]
    assert len(reported) == len(fills), "no fill twice"
    for symbol, uid in UIDS.items():
        numbers = sorted(r.fill_id & 0xFFFFFFFF for r in desk.acted if r.kind in (FILL, FUNDING) and r.symbol == symbol)
        assert numbers == list(range(1, len(numbers) + 1))
        traded = sum(
            (t.order.sign * t.quantity - (t.fee if t.fee_asset == account.base(symbol) else 0)
             for t in account.trades if t.order.symbol == symbol), Decimal(0)
        )  # fmt: skip
        swept = sum((Decimal(repr(-r.quantity)) for r in fills if r.symbol == symbol and r.id == 0), Decimal(0))
        held = gateway.state.position.get(symbol, Decimal(0))
        assert held + swept == traded, "every fill, once"
        by_reports = sum(Decimal(repr(r.quantity)) - Decimal(repr(r.fee_base)) for r in fills if r.symbol == symbol)
        assert abs(by_reports - held) < Decimal("1e-9")
        resting = [o for o in ours.values() if o.symbol == symbol and o.open]
        covered = sum((o.left for o in resting if o.type.startswith("STOP")), Decimal(0))
        due = abs(held) // LOT * LOT
        assert all((o.side == "SELL") == (held > 0) for o in resting if o.type.startswith("STOP"))
        if due * Decimal(repr(float(desk.walk.last(symbol, desk.now)))) >= 6:
            assert covered == due, "what is held has its stop at the exchange"
        else:
            assert covered == 0 or covered == due
        for each in resting:
            said = client_ids.read(each.client)
            assert said is not None and uid << 32 | said.sequence in gateway.state.books
            assert gateway.state.books[uid << 32 | said.sequence].live
    assert gateway.at_rest, "nothing is left undone"
    for what, *given in desk.asked:
        book = gateway.state.books.get(given[0].id if what == "submit" else given[1])
        if book is not None and (what == "cancel" or (what == "submit" and given[0].reduce_only)):
            assert not book.live, "what is to end has ended"
    for each in ours.values():
        said = client_ids.read(each.client)
        if each.open and each.type.startswith("STOP") and said is not None:
            book = gateway.state.books[UIDS[each.symbol] << 32 | said.sequence]
            assert each.stop == Decimal(book.trigger), "a stop that was moved is where it was moved to"
    here = {leg.client for leg in gateway.state.legs.values() if leg.live}
    assert here == {reached.get(o.id, o.client) for o in sent if o.open}, "orders at the exchange are those that we know"
    for book in gateway.state.books.values():
        if book.role == ENTRY and not book.live:
            assert all(leg.settled for leg in gateway.state.legs_of(book))
    if desk.swap:
        assert {s: p.amount for s, p in account.positions.items() if p.amount} == {
            s: p for s, p in gateway.state.position.items() if p
        }
        worth = sum((p.cost for p in account.positions.values()), Decimal(0))
        money = account.wallet - worth - Decimal(100_000)
        near = Decimal("0.02")  # funding within what counts as rounding is fetched at the next full hour
        assert gateway.state.cash == pytest.approx(money, abs=near), "cash is the wallet less what is entered"
    snapshot = gateway.snapshot(desk.now * MS)
    assert snapshot is not None and not snapshot.missing_orders and not snapshot.unknown_orders
    assert snapshot.time > (desk.now - 30_000) * MS, "the account was read of late"
    assert gateway.reconciler.gaps and all(gap == 0 for gap in gateway.reconciler.gaps.values()), gateway.reconciler.gaps
    restored = State("")
    recover(restored, recorded(desk.folder))
    assert by_name(restored.memory()) == by_name(gateway.memory()), "what the journal gives back is what was there"


def by_name(memory: dict[str, Any]) -> dict[str, Any]:
    """A memory whose lists are in one order."""
    return {key: sorted(map(str, value)) if isinstance(value, list) else value for key, value in memory.items()}
