"""Keys, and what must be said before an order may leave."""

from __future__ import annotations

import io
import json
import threading
import traceback
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import ccxt
import pytest
import requests
from requests.adapters import BaseAdapter

from drivers.exchanges.access import client_of
from drivers.exchanges.account_access import Keys, check_mode, keys_of, lock_account, names_of, with_keys
from drivers.exchanges.errors import ExchangeFault
from drivers.exchanges.legs import Leg
from drivers.exchanges.wire import (
    DONE,
    LATER,
    NOT_FOUND,
    REFUSED,
    UNKNOWN,
    CcxtWire,
    Outcome,
    Threads,
    hidden,
    refuse_withdrawals,
    with_bursts,
)
from drivers.project.own_process import without_keys
from drivers.run.live_account import connection
from drivers.run.request import RunRequest
from drivers.venues.description import OrderLimits, VenueError, VenueRules, read_venue
from tests.drivers.exchanges.desk import market

GATE = {"notional_per_order": 100.0, "notional_per_minute": 500.0}
CAPPED = {**GATE, "notional_total": 1_000.0}
BOTH = {"STRATOQUANT_MY_SPOT_KEY": "the-key", "STRATOQUANT_MY_SPOT_SECRET": "the-secret"}


def rules(**more: Any) -> VenueRules:
    return VenueRules(**{"about": "x", "kind": "spot", "exchange": "binance", "gate": GATE, **more})


def swaps(**more: Any) -> VenueRules:
    return rules(kind="perpetual", exchange="binanceusdm", market="swap", **more)


def test_keys_come_from_the_environment_and_are_not_shown() -> None:
    keys = keys_of("my-spot", {**BOTH, "STRATOQUANT_MY_SPOT_PASSWORD": "pass"})
    assert keys.all == ("the-key", "the-secret", "pass")
    assert "the-" not in repr(keys) and "pass" not in repr(keys)
    with pytest.raises(ExchangeFault, match="set STRATOQUANT_MY_SPOT_SECRET in the environment"):
        keys_of("my-spot", {"STRATOQUANT_MY_SPOT_KEY": "k"})


@pytest.mark.parametrize("part", ["KEY", "SECRET", "PASSWORD"])
@pytest.mark.parametrize("wrong", ["the-key\n", " the-key", "the-key\r", "the-\tkey", "the-k\u200bey", "th\xe9-key"])
def test_what_no_key_can_be_is_refused_and_not_shown(part: str, wrong: str) -> None:
    name = f"STRATOQUANT_MY_SPOT_{part}"
    with pytest.raises(ExchangeFault, match=f"^{name} has a space or a line break") as error:
        keys_of("my-spot", {**BOTH, name: wrong})
    assert "the-" not in str(error.value)


def test_a_secret_may_be_a_private_key_of_several_lines() -> None:
    lines = "-----BEGIN PRIVATE KEY-----\nMC4C\n-----END PRIVATE KEY-----"
    assert keys_of("my-spot", {**BOTH, "STRATOQUANT_MY_SPOT_SECRET": lines}).secret == lines


def test_the_page_s_process_is_given_no_keys() -> None:
    given = {**BOTH, "STRATOQUANT_MY_SPOT_PASSWORD": "p", "STRATOQUANT_PAGE_TOKEN": "t", "STRATOQUANT_CACHE": "c", "A_KEY": "k"}
    assert without_keys(given) == {"STRATOQUANT_PAGE_TOKEN": "t", "STRATOQUANT_CACHE": "c", "A_KEY": "k"}
    assert not set(names_of("my-spot")) & without_keys(dict.fromkeys(names_of("my-spot"), "x")).keys()


class Echo(BaseAdapter):
    """An exchange, or a proxy before it, that shows the request that it does not like, its headers too."""

    def __init__(self, status: int, form: str) -> None:
        super().__init__()
        self.status, self.form = status, form

    def send(self, request: Any, *given: Any, **more: Any) -> requests.Response:
        found = requests.Response()
        said = f"{request.method} {request.url} {dict(request.headers)} {request.body}"
        found.status_code, found.reason, found.request, found.url = self.status, "", request, request.url
        found.raw = io.BytesIO(self.form.format(json.dumps(said)).encode())
        return found

    def close(self) -> None:
        """Nothing."""


@pytest.mark.parametrize("status", [200, 400, 401, 418, 429, 500])
@pytest.mark.parametrize("form", ["<html>{}</html>", '{{"code": -2015, "msg": {}}}', '{{"code": 1, "half": {}'])
@pytest.mark.parametrize("exchange", ["binance", "okx"])
def test_no_error_says_a_key_whatever_the_exchange_answers(exchange: str, status: int, form: str) -> None:
    keys = Keys("the-key", "the-secret", "the-password")
    client = with_keys(client_of("v", rules(exchange=exchange)), keys)
    client.enableRateLimit = False
    client.set_markets([market("BTCUSDT")])
    client.session.mount("https://", Echo(status, form))
    with pytest.raises(ccxt.BaseError) as error:
        client.fetch_balance()
    assert "the-" not in "".join(traceback.format_exception(error.value))
    outcome = CcxtWire(client, keys.all).account()
    assert outcome.kind in (UNKNOWN, LATER, REFUSED) and "the-" not in outcome.said


@pytest.mark.parametrize(
    ("mode", "yes", "more", "says"),
    [
        ("live", False, {}, "need `live: true` in v.yml and --yes-live"),
        ("live", True, {}, "need `live: true` in v.yml$"),
        ("live", False, {"live": True}, "need --yes-live$"),
        ("live", True, {"live": True, "gate": None}, "has no last gate"),
        ("live", True, {"live": True}, "caps no position: real money needs `notional_total`"),
        ("live", True, {"live": True, "gate": CAPPED, "sandbox": True}, "--mode testnet trades there"),
        ("testnet", False, {}, "reaches the real market; write `sandbox: true`"),
        ("testnet", False, {"exchange": "bybit"}, "reaches the real market"),
        ("testnet", False, {"exchange": "kraken", "sandbox": True}, "kraken has no test net"),
        ("testnet", False, {"market": "swap", "kind": "perpetual"}, "orders go to the swaps of binanceusdm so far"),
    ],
)
def test_one_sentence_says_what_is_missing(mode: str, yes: bool, more: dict[str, Any], says: str) -> None:
    with pytest.raises(ExchangeFault, match=says):
        check_mode("v", rules(**more), mode, yes)


def test_nothing_is_missing() -> None:
    check_mode("v", rules(live=True, gate=CAPPED), "live", True)
    check_mode("v", rules(exchange="okx", sandbox=True), "testnet", False)
    check_mode("v", rules(exchange="bybit", sandbox=True), "testnet", False)
    check_mode("v", rules(sandbox=True), "testnet", False)
    check_mode("v", swaps(sandbox=True), "testnet", False)
    check_mode("v", rules(endpoints={"rest": "http://127.0.0.1:1"}), "testnet", False)


def test_the_test_net_of_binance_s_futures_is_its_demo_trading() -> None:
    client = client_of("v", swaps(sandbox=True))
    client.apiKey, client.secret = "the-key", "the-secret"
    assert client.sign("order", ["fapiPrivate"], "POST", {"symbol": "BTCUSDT"})["url"].startswith(
        "https://demo-fapi.binance.com/"
    )


def test_the_last_gate_has_a_file_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "venues").mkdir()
    (tmp_path / "gates").mkdir()
    venue, gate = tmp_path / "venues" / "v.yml", tmp_path / "gates" / "v.yml"
    venue.write_text("about: x\nkind: spot\nexchange: binance\n")
    gate.write_text("notional_per_order: 100\nnotional_per_minute: 500\nnotional_total: 1000\n")
    assert read_venue(venue).gate == OrderLimits(**CAPPED)
    gate.write_text("notional_per_order: 100\nnotional_per_hour: 500\n")
    with pytest.raises(VenueError, match=r"gates.v.yml: notional_per_"):
        read_venue(venue)
    venue.write_text("about: x\nkind: spot\nexchange: binance\ngate: {notional_per_order: 1, notional_per_minute: 1}\n")
    with pytest.raises(VenueError, match=r"the last gate stands here and in .*leave one out"):
        read_venue(venue)


def test_a_run_on_paper_connects_to_nobody_and_others_need_a_venue_and_a_journal() -> None:
    assert connection(RunRequest(), print) is None
    with pytest.raises(ExchangeFault, match="name it with --venue"):
        connection(RunRequest(mode="testnet"), print)
    with pytest.raises(ExchangeFault, match="needs the journal"):
        connection(RunRequest(mode="testnet", venue="binance_spot", journaled=False), print)


def test_one_program_for_an_account(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path))
    keys = keys_of("my-spot", BOTH)
    held = lock_account(rules(about="one file of it"), keys)
    with pytest.raises(ExchangeFault, match="another stream trades at binance with this key"):
        lock_account(rules(about="another file of it", symbols=("BTC/USDT",)), keys)
    for other in (rules(sandbox=True), rules(endpoints={"rest": "http://127.0.0.1:1"}), swaps()):  # accounts of their own
        lock_account(other, keys).close()
    lock_account(rules(), keys_of("my-spot", {**BOTH, "STRATOQUANT_MY_SPOT_KEY": "other"})).close()
    held.close()
    lock_account(rules(), keys).close()
    assert not any("the-key" in path.name for path in tmp_path.rglob("*"))


@pytest.mark.parametrize("may", [True, False])
def test_a_key_that_may_withdraw_is_refused_unless_the_file_allows_it(may: bool) -> None:
    client = SimpleNamespace(
        sapiGetAccountApiRestrictions=lambda: {"enableWithdrawals": may}, safe_bool=lambda d, key, default: d.get(key, default)
    )
    refuse_withdrawals(client, "v", allowed=True)
    refuse_withdrawals(SimpleNamespace(), "v", allowed=False)  # it does not tell
    if not may:
        refuse_withdrawals(client, "v", allowed=False)
        return
    with pytest.raises(ExchangeFault, match="may withdraw"):
        refuse_withdrawals(client, "v", allowed=False)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ccxt.RequestTimeout("x"), UNKNOWN),
        (ccxt.NetworkError("x"), UNKNOWN),
        (ccxt.ExchangeNotAvailable("x"), UNKNOWN),
        (ccxt.BadResponse("x"), UNKNOWN),
        (ccxt.OnMaintenance("x"), UNKNOWN),
        (KeyError("orderId"), UNKNOWN),
        (ccxt.OrderNotFound("x"), NOT_FOUND),
        (ccxt.RateLimitExceeded("x"), LATER),
        (ccxt.DDoSProtection("x"), LATER),
        (ccxt.InvalidNonce("x"), LATER),
        (ccxt.InsufficientFunds("x"), REFUSED),
        (ccxt.InvalidOrder("x"), REFUSED),
        (ccxt.AuthenticationError("x"), REFUSED),
    ],
)
def test_an_error_says_no_more_than_it_says(error: Exception, kind: str) -> None:
    def fail(*given: Any) -> None:
        raise error

    client = SimpleNamespace(id="binance", options={}, last_response_headers={}, create_order=fail)
    leg = Leg("s" * 18, 4, "BTCUSDT", "market", "buy", "1", "", "", "GTC", 0)
    assert CcxtWire(client, ()).place(leg, "BTC/USDT").kind == kind


def test_secrets_are_hidden_in_what_is_said() -> None:
    def fail(*given: Any) -> None:
        raise ccxt.NetworkError("GET https://x?key=the-key&signature=abc the-secret")

    client = SimpleNamespace(id="binance", options={}, last_response_headers={}, create_order=fail)
    leg = Leg("s" * 18, 4, "BTCUSDT", "market", "buy", "1", "", "", "GTC", 0)
    assert "the-" not in CcxtWire(client, ("the-key", "the-secret")).place(leg, "BTC/USDT").said
    assert hidden("a b", ("",)) == "a b"


def test_a_wire_does_not_show_its_keys() -> None:
    assert "the-secret" not in repr(CcxtWire(ccxt.binance(), ("the-key", "the-secret")))


def test_a_few_requests_go_at_once_and_many_at_the_rate_of_ccxt() -> None:
    waits: list[float] = []
    now = [0.0]

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        now[0] += seconds

    client = with_bursts(SimpleNamespace(rateLimit=50.0), lambda: now[0], sleep)
    for _ in range(10):
        client.throttle(1)
    assert waits == []
    for _ in range(20):
        client.throttle(2)
    assert now[0] == pytest.approx(20 * 2 * 0.050), "after the burst each waits for its cost"
    now[0] += 60.0
    waits.clear()
    client.throttle()
    assert waits == []


def test_calls_go_side_by_side_each_over_a_wire_of_its_own() -> None:
    wires: list[Any] = [SimpleNamespace(name=name) for name in "abcd"]
    together, woken = threading.Barrier(4, timeout=20.0), threading.Semaphore(0)
    runner = Threads(wires[:2], wires[2:], woken.release)
    got: list[tuple[str, str]] = []

    def call(wire: Any) -> Outcome:
        together.wait()  # returns once four calls are under way
        if wire.name == "a":
            raise RuntimeError
        return Outcome(DONE, wire.name)

    for _ in range(2):
        for urgent in (True, True, False, False):
            runner.run(call, lambda outcome: got.append((outcome.kind, outcome.said)), urgent)
        for _ in range(4):
            assert woken.acquire(timeout=20.0)
        for then, outcome in runner.finished():
            then(outcome)
    runner.close()
    once = [(DONE, "b"), (DONE, "c"), (DONE, "d"), (UNKNOWN, "RuntimeError in this program")]
    assert sorted(got) == sorted(2 * once), "a wire whose call failed serves again"
