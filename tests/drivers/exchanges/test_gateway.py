"""What the gateway does with one order, step by step, at the practice exchange in virtual time."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataflows.execution.types import CANCELED_EVENT, EVENTS, FILL, LIMIT, POST_ONLY, REJECT, REJECTIONS
from drivers.exchanges.errors import ExchangeFault
from drivers.exchanges.last_gate import LastGate
from drivers.exchanges.legs import stepped, text
from drivers.exchanges.limits import Used
from drivers.exchanges.practice.order_faults import OrderFaults
from drivers.exchanges.reconcile import SECOND, Reconciler
from drivers.exchanges.wire import LATER, Outcome
from drivers.venues.description import OrderLimits
from tests.drivers.exchanges.desk import LIMITS, MS, START, UIDS, Desk, entry, order

BTC = UIDS["BTCUSDT"] << 32
NAN = float("nan")


class Still:
    """A market that stands where it is put."""

    def __init__(self) -> None:
        self.price = {"BTCUSDT": Decimal(60_000), "ETHUSDT": Decimal(3_000), "BNBUSDT": Decimal(600)}
        self.trades: list[tuple[int, str, Decimal, Decimal]] = []

    def last(self, symbol: str, ms: int) -> Decimal:
        return self.price[symbol]

    def after(self, symbol: str, since: int, until: int) -> Any:
        return iter([(ms, p, q) for ms, s, p, q in self.trades if s == symbol and since < ms <= until])

    def move(self, desk: Desk, symbol: str, price: float, size: float = 10.0) -> None:
        desk.now += 500
        self.price[symbol] = Decimal(repr(price))
        self.trades.append((desk.now, symbol, self.price[symbol], Decimal(repr(size))))


@pytest.fixture
def still() -> Still:
    return Still()


def desk_of(folder: Path, still: Still, **more: Any) -> Desk:
    desk = Desk(folder, 1, tape=still, **more)
    desk.run(1.0)
    return desk


def events(desk: Desk, number: int) -> list[str]:
    return [EVENTS[r.kind] for r in desk.acted if r.id == BTC | number]


def resting(desk: Desk) -> list[tuple[str, Decimal, Decimal]]:
    return [(o.type, o.quantity, o.stop or o.price) for o in desk.account.orders if o.open]


def enter(desk: Desk, size: float = 0.05, **more: Any) -> None:
    price = float(desk.walk.last("BTCUSDT", desk.now))
    desk.ask("submit", entry("BTCUSDT", 4, size, desk.now, price, **more))
    desk.flush()
    desk.run(1.0)


def test_the_bracket_rests_within_one_round_trip_of_the_first_fill(tmp_path: Path, still: Still) -> None:
    desk = desk_of(tmp_path, still)
    begun = len(desk.api.asked)
    desk.ask("submit", entry("BTCUSDT", 4, 0.05, desk.now, 60_000.0))
    desk.flush()
    sent = [asked.partition("?")[0] for asked in desk.api.asked[begun:]]
    assert sent == ["POST /api/v3/order", "POST /api/v3/orderList/oco"], "nothing comes between the two"
    held = Decimal("0.05") * Decimal("0.999")  # the fee takes a thousandth of what is bought
    assert resting(desk) == [("LIMIT_MAKER", held // Decimal("0.0001") * Decimal("0.0001"), Decimal("60420")),
                             ("STOP_LOSS", Decimal("0.0499"), Decimal("59700"))]  # fmt: skip
    desk.run(1.0)
    assert events(desk, 4)[-1] == "FILL" and events(desk, 5) == ["ACCEPT"] and events(desk, 6) == ["ACCEPT"]


def test_a_target_that_is_reached_ends_the_stop_and_the_position(tmp_path: Path, still: Still) -> None:
    desk = desk_of(tmp_path, still)
    enter(desk)
    still.move(desk, "BTCUSDT", 60_500.0)
    desk.run(12.0)
    assert events(desk, 6)[:2] == ["ACCEPT", "FILL"] and "CANCELED" in events(desk, 5)
    assert resting(desk) == [] and desk.gateway.state.position["BTCUSDT"] == 0
    swept = next(r for r in desk.acted if r.id == 0)
    assert REJECTIONS[swept.reason] == "DUST_SWEPT"
    assert swept.quantity == pytest.approx(-0.00005) and swept.fee == pytest.approx(0.00005 * swept.price), "no money moves"
    assert desk.gateway.reconciler.gaps == {"BTC": 0, "ETH": 0, "USDT": 0}


def test_an_exit_takes_the_bracket_off_first_and_what_is_left_is_protected_again(tmp_path: Path, still: Still) -> None:
    desk = desk_of(tmp_path, still)
    enter(desk)
    begun = len(desk.api.asked)
    desk.ask("submit", order("BTCUSDT", 8, -0.02, desk.now, 60_000.0, reduce_only=True, parent=BTC | 4))
    desk.flush()
    desk.run(2.0)
    did = [a.partition("?")[0] for a in desk.api.asked[begun:] if not a.startswith("GET")]
    assert did == ["DELETE /api/v3/order", "POST /api/v3/order", "POST /api/v3/orderList/oco"]
    assert {kind: size for kind, size, _ in resting(desk)} == {"LIMIT_MAKER": Decimal("0.0299"), "STOP_LOSS": Decimal("0.0299")}
    assert events(desk, 8)[-1] == "FILL"


def test_a_stop_that_would_trigger_at_once_becomes_an_exit_at_the_market(tmp_path: Path, still: Still) -> None:
    desk = desk_of(tmp_path, still)
    desk.ask("submit", entry("BTCUSDT", 4, 0.05, desk.now, 60_000.0, type=LIMIT, limit_price=60_000.0, bracket_stop=60_100.0))
    desk.flush()
    desk.run(3.0)
    assert any("cannot rest" in said for said in desk.said)
    assert desk.account.free["BTC"] < Decimal("0.0001") and resting(desk) == []
    assert "FILL" in events(desk, 5)


def test_partial_fills_get_a_stop_each_and_a_moved_stop_is_one_again(tmp_path: Path, still: Still) -> None:
    desk = desk_of(tmp_path, still)
    enter(desk, 0.05, type=POST_ONLY, limit_price=59_990.0)
    for size in (0.01, 0.02):
        still.move(desk, "BTCUSDT", 59_980.0, size)
        desk.run(1.0)
    stops = [size for kind, size, _ in resting(desk) if kind == "STOP_LOSS"]
    assert sorted(stops) == [Decimal("0.0099"), Decimal("0.0200")] and sum(stops) == Decimal("0.0299")
    desk.ask("modify", "BTCUSDT", BTC | 5, {"limit_price": NAN, "stop_price": 59_800.0, "quantity": 0.0})
    desk.flush()
    desk.run(2.0)
    assert [(size, at) for kind, size, at in resting(desk) if kind == "STOP_LOSS"] == [(Decimal("0.0299"), Decimal(59_800))]
    assert events(desk, 5) == ["ACCEPT", "ACCEPT"], "accepted, and changed"


def test_an_entry_is_sent_once_when_its_answer_is_lost(tmp_path: Path, still: Still) -> None:
    desk = desk_of(tmp_path, still)
    desk.api.faults = OrderFaults(("lost_after",), 1.0, most=1)
    desk.ask("submit", entry("BTCUSDT", 4, 0.05, desk.now, 60_000.0))
    desk.flush()
    desk.run(3.0)
    buys = [o for o in desk.account.orders if o.side == "BUY"]
    assert len(buys) == 1 and buys[0].status == "FILLED"
    assert sum(r.quantity for r in desk.acted if r.kind == FILL) == pytest.approx(0.05)


def test_an_entry_that_never_arrived_is_dropped_once_it_is_old_and_an_exit_is_sent_until_it_arrives(
    tmp_path: Path, still: Still
) -> None:
    desk = desk_of(tmp_path, still)
    enter(desk)
    desk.api.faults = OrderFaults(("lost_request",), 1.0, most=10**6)
    at = desk.now
    desk.ask("submit", entry("ETHUSDT", 4, 1.0, at, 3_000.0))
    desk.ask("submit", order("BTCUSDT", 8, -0.0499, at, 60_000.0, reduce_only=True, parent=BTC | 4))
    desk.flush()
    desk.run(45.0)
    assert not [o for o in desk.account.orders if o.symbol == "ETHUSDT"]
    desk.api.faults = OrderFaults()
    desk.run(20.0)
    dropped = [r for r in desk.acted if r.symbol == "ETHUSDT"]
    assert [(r.kind, REJECTIONS[r.reason]) for r in dropped] == [(REJECT, "STALE")]
    assert events(desk, 8)[-1] == "FILL" and not [o for o in desk.account.orders if o.symbol == "ETHUSDT"]


def test_a_stream_that_is_behind_is_told_all_before_it_goes_on(still: Still, tmp_path: Path) -> None:
    desk = desk_of(tmp_path, still)
    desk.pass_time(300.0)  # the process stood still
    closes = (START + 60_000) * MS  # the first of the bars that it has missed
    desk.ask("submit", entry("BTCUSDT", 4, 0.05, START + 2_000, 60_000.0))
    desk.ask("submit", entry("ETHUSDT", 4, 0.5, desk.now, 3_000.0))
    desk.flush()
    told = list(desk.gateway.events(closes - 1))
    assert {(r.symbol, EVENTS[r.kind]) for r in told} >= {("BTCUSDT", "REJECT"), ("ETHUSDT", "FILL")}
    said = desk.gateway.snapshot(closes)
    assert said is not None and said.open_orders == {"ETHUSDT": 2} and said.position["ETHUSDT"] == pytest.approx(0.4995)
    assert list(desk.gateway.events(closes - 1)) == []
    desk.ask("cancel", "BTCUSDT", BTC | 404)
    assert list(desk.gateway.events(desk.now * MS - 1)) == [], "one that keeps up hears of it in its time"
    assert [EVENTS[r.kind] for r in desk.gateway.events(desk.now * MS)] == ["CANCEL_REJECT"]


def test_a_cancel_of_what_has_ended_is_refused_and_a_cancel_of_an_entry_is_confirmed(tmp_path: Path, still: Still) -> None:
    desk = desk_of(tmp_path, still)
    enter(desk, 0.05, type=POST_ONLY, limit_price=59_000.0)
    desk.ask("cancel", "BTCUSDT", BTC | 4)
    desk.flush()
    desk.run(1.0)
    desk.ask("cancel", "BTCUSDT", BTC | 4)
    desk.ask("cancel", "BTCUSDT", BTC | 400)
    desk.flush()
    desk.run(1.0)
    assert events(desk, 4) == ["ACCEPT", "CANCELED", "CANCEL_REJECT"] and events(desk, 400) == ["CANCEL_REJECT"]
    assert resting(desk) == []


def test_strangers_are_named_and_never_touched(tmp_path: Path, still: Still) -> None:
    desk = desk_of(tmp_path, still)
    desk.account.place("BTCUSDT", {"side": "BUY", "type": "LIMIT", "quantity": "0.01", "price": "50000",
                                   "newClientOrderId": "by-hand"})  # fmt: skip
    desk.gateway.reconciler.again()
    desk.run(3.0)
    assert [said for said in desk.said if "not of this stream" in said] == [
        "An order of BTCUSDT (1) is not of this stream; it is left alone"
    ]
    snapshot = desk.gateway.snapshot(desk.now * MS)
    assert snapshot is not None and not snapshot.unknown_orders and snapshot.position["BTCUSDT"] == 0.0
    assert [o.client for o in desk.account.orders if o.open] == ["by-hand"]


def test_a_trade_by_hand_is_a_position_that_differs(tmp_path: Path, still: Still) -> None:
    desk = desk_of(tmp_path, still)
    desk.account.place("BTCUSDT", {"side": "BUY", "type": "MARKET", "quantity": "0.01", "newClientOrderId": "by-hand"})
    desk.gateway.reconciler.again()
    desk.run(8.0)
    snapshot = desk.gateway.snapshot(desk.now * MS)
    assert snapshot is not None and snapshot.position["BTCUSDT"] == pytest.approx(0.01 * 0.999)
    assert any("differs from our books" in said for said in desk.said) and not desk.acted


def test_what_the_account_held_is_left_alone_or_adopted(tmp_path: Path, still: Still) -> None:
    held = {"USDT": "100000", "BTC": "0.5"}
    apart = desk_of(tmp_path / "apart", still, balances=held)
    assert apart.acted == [] and apart.gateway.snapshot(apart.now * MS).position["BTCUSDT"] == 0.0  # type: ignore[union-attr]
    taken = desk_of(tmp_path / "taken", Still(), balances=held, adopt=True)
    (fill,) = taken.acted
    assert (fill.id, fill.quantity, fill.price, REJECTIONS[fill.reason]) == (0, 0.5, 60_000.0, "ADOPTED")
    snapshot = taken.gateway.snapshot(taken.now * MS)
    assert snapshot is not None and snapshot.position["BTCUSDT"] == 0.5
    assert snapshot.cash == pytest.approx(100_000.0 - 0.5 * 60_000.0), "as if it had just been bought"


def test_an_account_with_too_little_is_refused(tmp_path: Path, still: Still) -> None:
    with pytest.raises(
        ExchangeFault, match=r"holds 900 USDT, and the run is to trade with 100000; write --set execution.start_cash=900"
    ):
        Desk(tmp_path, 1, tape=still, balances={"USDT": "900"})


def test_before_the_stream_begins_the_account_is_as_it_was_taken_over(tmp_path: Path, still: Still) -> None:
    desk = desk_of(tmp_path, still)
    said = desk.gateway.snapshot((START - 60_000) * MS)
    assert said is not None and (said.time, said.cash, said.open_orders) == ((START - 60_000) * MS, 100_000.0, {})


@pytest.mark.parametrize("how", ["keep", "cancel_all"])
def test_the_end_of_a_stream(tmp_path: Path, still: Still, how: str) -> None:
    desk = desk_of(tmp_path, still, on_stop=how)
    enter(desk)
    desk.ask("submit", entry("ETHUSDT", 4, 1.0, desk.now, 3_000.0, type=POST_ONLY, limit_price=2_990.0))
    desk.flush()
    desk.run(1.0)
    assert len(resting(desk)) == 3
    assert desk.gateway.stop() is False
    desk.run(2.0)
    assert desk.gateway.at_rest and len(resting(desk)) == (2 if how == "keep" else 0)
    assert CANCELED_EVENT in [r.kind for r in desk.acted if r.symbol == "ETHUSDT"]


def test_limits_leave_a_reserve_for_exits_and_cancels(tmp_path: Path, still: Still) -> None:
    desk = desk_of(tmp_path, still)
    enter(desk)
    desk.now = (desk.now // 60_000 + 1) * 60_000 + 100
    desk.look()
    desk.gateway.limits.learn(desk.now * MS, Used(weight=4_800))
    desk.ask("submit", entry("ETHUSDT", 4, 1.0, desk.now, 3_000.0))
    desk.ask("submit", order("BTCUSDT", 8, -0.0499, desk.now, 60_000.0, reduce_only=True, parent=BTC | 4))
    desk.flush()
    assert not [o for o in desk.account.orders if o.symbol == "ETHUSDT"], "the entry waits"
    assert [o.side for o in desk.account.orders if o.type == "MARKET"] == ["BUY", "SELL"], "the exit does not"


def test_an_exit_goes_on_when_the_journal_cannot_be_written_and_an_entry_does_not(tmp_path: Path, still: Still) -> None:
    desk = desk_of(tmp_path, still)
    enter(desk)
    desk.gateway.note = lambda about, sync: False
    desk.ask("submit", order("BTCUSDT", 8, -0.0499, desk.now, 60_000.0, reduce_only=True, parent=BTC | 4))
    desk.flush()
    desk.run(1.0)
    desk.ask("submit", entry("ETHUSDT", 4, 1.0, desk.now, 3_000.0))
    desk.flush()
    desk.run(1.0)
    assert events(desk, 8)[-1] == "FILL"
    assert [REJECTIONS[r.reason] for r in desk.acted if r.symbol == "ETHUSDT"] == ["LAST_GATE"]


GATE = OrderLimits(
    notional_per_order=1_000.0, notional_per_minute=1_500.0, price_band_bps=50.0, symbols=["BTC/USDT"], sides=["buy"]
)


@pytest.mark.parametrize(
    ("symbol", "side", "size", "price", "last", "why"),
    [
        ("BTC/USDT", "buy", "0.01", 60_000.0, 60_000.0, ""),
        ("ETH/USDT", "buy", "0.1", 3_000.0, 3_000.0, "not among the symbols"),
        ("BTC/USDT", "sell", "0.01", 60_000.0, 60_000.0, "lets no order sell"),
        ("BTC/USDT", "buy", "0.02", 60_000.0, 60_000.0, "more than notional_per_order"),
        ("BTC/USDT", "buy", "0.01", 60_301.0, 60_000.0, "not within 50 bps"),
        ("BTC/USDT", "buy", "0.01", 60_000.0, NAN, "not within 50 bps"),
        ("BTC/USDT", "buy", "0.01", NAN, 60_000.0, "more than notional_per_order"),
    ],
)
def test_the_last_gate(symbol: str, side: str, size: str, price: float, last: float, why: str) -> None:
    said = LastGate(GATE).refuses(symbol, side, Decimal(size), price, last, 0)
    assert (said == "") if not why else why in said


def test_the_last_gate_counts_a_minute() -> None:
    gate, second = LastGate(GATE), 1_000_000_000
    times = (0, second, 2 * second, 60 * second, 61 * second)
    asked = [gate.refuses("BTC/USDT", "buy", Decimal("0.01"), 60_000.0, 60_000.0, at) for at in times]
    assert [said == "" for said in asked] == [True, True, False, True, True]


def test_the_last_gate_lets_no_order_twice_in_a_moment_and_caps_what_is_there() -> None:
    gate = LastGate(GATE.model_copy(update={"notional_total": 1_000.0, "notional_per_minute": 1e6}))

    def asked(at: int, size: str = "0.01", exposure: float = 0.0) -> str:
        return gate.refuses("BTC/USDT", "buy", Decimal(size), 60_000.0, 60_000.0, at, exposure)

    assert asked(0) == "" and "the same order was sent less than" in asked(499_999_999) and asked(500_000_000) == ""
    assert asked(1, "0.011") == "", "another order"
    assert "more than notional_total" in asked(10**10, exposure=400.01) and asked(10**10, exposure=400.0) == ""
    assert "more than notional_total" in asked(10**11, exposure=NAN)


def test_an_entry_that_the_exchange_puts_off_is_sent_again_and_counts_once(tmp_path: Path, still: Still) -> None:
    desk = desk_of(tmp_path, still)
    desk.gateway.gate = LastGate(LIMITS.model_copy(update={"least_apart": 30.0, "notional_per_minute": 4_000.0}))
    wire, put_off = desk.gateway.runner.wire, [Outcome(LATER, "too many requests")] * 2  # type: ignore[attr-defined]
    place = wire.place
    wire.place = lambda leg, symbol: put_off.pop() if put_off else place(leg, symbol)
    enter(desk, 0.05)
    desk.run(5.0)
    assert put_off == [] and events(desk, 4)[:2] == ["ACCEPT", "FILL"]
    assert len([o for o in desk.account.orders if o.type == "MARKET"]) == 1


def test_positions_and_entries_under_way_count_for_the_cap(tmp_path: Path, still: Still) -> None:
    desk = desk_of(tmp_path, still)
    desk.gateway.gate = LastGate(LIMITS.model_copy(update={"notional_total": 5_000.0}))
    enter(desk, 0.05)
    desk.ask("submit", entry("ETHUSDT", 4, 0.6, desk.now, 3_000.0, type=POST_ONLY, limit_price=2_990.0))
    desk.flush()
    desk.run(1.0)
    desk.ask("submit", entry("ETHUSDT", 8, 0.1, desk.now, 3_000.0))
    desk.flush()
    desk.run(1.0)
    refused = [r.id & 0xFFFFFFFF for r in desk.acted if r.kind == REJECT]
    assert refused == [8] and any("with 4797" in said or "with 479" in said for said in desk.said)


def test_an_exit_that_is_refused_for_want_of_coins_is_sent_until_it_is_taken(tmp_path: Path, still: Still) -> None:
    desk = desk_of(tmp_path, still)
    enter(desk)
    desk.api.faults = OrderFaults(("reject",), 1.0, most=10**6)
    begun = len(desk.api.asked)
    desk.ask("submit", order("BTCUSDT", 8, -0.0499, desk.now, 60_000.0, reduce_only=True, parent=BTC | 4))
    desk.flush()
    desk.run(120.0)
    tries = len([a for a in desk.api.asked[begun:] if a.startswith("POST /api/v3/order?")])
    assert 6 <= tries <= 14 and events(desk, 8) == [], "less and less often, and the layers hear of no refusal"
    desk.api.faults = OrderFaults()
    desk.run(40.0)
    assert events(desk, 8)[-1] == "FILL" and desk.account.free["BTC"] < Decimal("0.0001")


def test_an_entry_leaves_with_its_record_or_not_at_all(tmp_path: Path, still: Still) -> None:
    desk = desk_of(tmp_path, still)
    desk.gateway.note = lambda about, sync: False
    desk.ask("submit", entry("BTCUSDT", 4, 0.05, desk.now, 60_000.0))
    desk.flush()
    desk.run(2.0)
    assert desk.account.orders == [] and events(desk, 4) == ["REJECT"]


@given(st.integers(1, 10**9), st.sampled_from(["0.01", "0.0001", "0.5", "1"]), st.booleans())
@settings(max_examples=200)
def test_a_price_on_a_step_stays_there_whatever_floating_point_made_of_it(count: int, step: str, up: bool) -> None:
    exact = Decimal(count) * Decimal(step)
    assert stepped(float(count) * float(step), Decimal(step), up) == exact
    assert Decimal(text(exact)) == exact and "E" not in text(exact)


@given(st.floats(1e-6, 1e9), st.sampled_from(["0.01", "0.0001", "0.5"]))
def test_rounding_goes_the_way_that_is_asked_for(value: float, step: str) -> None:
    low, high = stepped(value, Decimal(step), up=False), stepped(value, Decimal(step), up=True)
    hair = Decimal(step) * Decimal("1e-6")
    assert low - hair <= Decimal(repr(value)) <= high + hair and high - low in (0, Decimal(step))


@given(at=st.integers(0, 10**15), minutes=st.sampled_from([1, 5, 60]))
def test_the_account_is_read_away_from_closes(at: int, minutes: int) -> None:
    gateway = SimpleNamespace(step=minutes * 60 * SECOND, state=None)
    moment = Reconciler(gateway).calm_from(at)  # type: ignore[arg-type]
    assert at <= moment <= at + 7 * SECOND
    assert 2 * SECOND <= moment % gateway.step < gateway.step - 5 * SECOND
    assert moment == at or not 2 * SECOND <= at % gateway.step < gateway.step - 5 * SECOND


def test_bars_of_seconds_have_no_quiet_time() -> None:
    gateway = SimpleNamespace(step=SECOND, state=None)
    assert Reconciler(gateway).calm_from(12_345) == 12_345  # type: ignore[arg-type]
