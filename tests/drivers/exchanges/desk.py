"""A gateway at the practice exchange in virtual time: the real ccxt signs, sends and reads, and no socket is opened."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import ccxt
import ccxt.pro
import requests
from requests.adapters import BaseAdapter

from dataflows.execution.types import GTC, IOC, LIMIT, MARKET, POST_ONLY
from drivers.exchanges.access import json_alone
from drivers.exchanges.client_ids import new_nonce
from drivers.exchanges.gateway import Gateway, Market
from drivers.exchanges.last_gate import LastGate
from drivers.exchanges.practice.account import TYPES as SPOT_TYPES
from drivers.exchanges.practice.account import PracticeAccount
from drivers.exchanges.practice.futures import TYPES as SWAP_TYPES
from drivers.exchanges.practice.futures import FuturesAccount
from drivers.exchanges.practice.futures_api import FuturesApi
from drivers.exchanges.practice.order_faults import OrderFaults
from drivers.exchanges.practice.orders_api import OrdersApi
from drivers.exchanges.practice.user_stream import Subscription
from drivers.exchanges.seen import OrderSeen, TradeSeen
from drivers.exchanges.state import State
from drivers.exchanges.user_stream import read_frame
from drivers.exchanges.wire import AtOnce, CcxtWire
from drivers.store.journal import JournalReader
from drivers.store.segments import Segments, has_segments, last_beginning, segments_of
from drivers.venues.base import NAN, ExecutionReport, NewOrder
from drivers.venues.description import OrderLimits

START = 1_767_225_600_000  # ms
STEP = 60_000  # ms
MS = 1_000_000
TIMEOUT = 1_000  # ms that a client waits, less than a slow request takes
UIDS = {"BTCUSDT": 11, "ETHUSDT": 12}
FIRST = {"BTCUSDT": 60_000.0, "ETHUSDT": 3_000.0, "BNBUSDT": 600.0}
LIMITS = OrderLimits(notional_per_order=5_000.0, notional_per_minute=20_000.0, price_band_bps=200.0)


class Killed(Exception):
    """The process ends here."""


class Walk:
    """A market that moves every 250 ms, by seed."""

    def __init__(self, seed: int, sigma: float = 4e-4) -> None:
        self.seed, self.sigma = seed, sigma
        self._paths: dict[str, list[tuple[Decimal, Decimal]]] = {}

    def _at(self, symbol: str, number: int) -> tuple[Decimal, Decimal]:
        path = self._paths.setdefault(symbol, [])
        while len(path) <= number:
            rng = random.Random(f"{self.seed} {symbol} {len(path)}")
            before = float(path[-1][0]) if path else FIRST[symbol]
            price = before * (1.0 + rng.gauss(0.0, self.sigma))
            path.append((Decimal(f"{price:.2f}"), Decimal(f"{rng.uniform(0.002, 0.5):.4f}")))
        return path[number]

    def last(self, symbol: str, ms: int) -> Decimal:
        return self._at(symbol, max(0, ms - START) // 250)[0]

    def after(self, symbol: str, since: int, until: int) -> Iterator[tuple[int, Decimal, Decimal]]:
        for number in range(max(0, since - START) // 250 + 1, max(0, until - START) // 250 + 1):
            yield START + number * 250, *self._at(symbol, number)


class InProcess(BaseAdapter):
    """Hands ccxt's requests to the exchange, and takes the virtual time that they take."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk

    def send(self, request: Any, stream: bool = False, timeout: Any = None, **more: Any) -> requests.Response:
        desk = self.desk
        desk.now += 20
        path, _, query = request.path_url.partition("?")
        body = request.body.decode() if isinstance(request.body, bytes) else request.body or ""
        if path in ("/api/v3/time", "/fapi/v1/time"):
            status, text, headers = 200, json.dumps({"serverTime": desk.now + desk.skew}), {}
        else:
            if desk.due("after send", request.method):  # it is on its way, and arrives when nobody waits for it any more
                late = request.method, path, query or body, dict(request.headers)
                desk.account.deferred.append((desk.now + desk.skew + 1_500, lambda: desk.api.handle(*late)))
                raise Killed("after send")
            answer = desk.api.handle(request.method, path, query or body, dict(request.headers))
            status, text, headers = answer.status, answer.body, answer.headers
            if answer.hangs:
                desk.now += TIMEOUT
                raise requests.exceptions.ReadTimeout("timed out", request=request)
            if not answer.status:
                raise requests.exceptions.ConnectionError("connection reset", request=request)
            desk.reach("after acknowledgement", request.method)
        desk.now += 20
        found = requests.Response()
        found.status_code, found.raw, found.request, found.url = status, io.BytesIO(text.encode()), request, request.url
        found.headers.update({"content-type": "application/json", **headers})
        return found

    def close(self) -> None:
        pass


class PrivateStream:
    """The user stream in virtual time: its frames are read as ccxt reads them."""

    def __init__(self, desk: Desk) -> None:
        self.desk, self.since_drop = desk, 0
        self.connect()

    def connect(self) -> None:
        self.frames = Subscription(self.desk.account, self.desk.api.faults, wrapped=not self.desk.swap)

    def take(self) -> tuple[list[OrderSeen | TradeSeen], bool]:
        self.desk.account.advance()
        missed = False
        if self.frames.ended and self.desk.now > self.since_drop + 1_500:
            if self.since_drop:
                self.connect()
                missed, self.since_drop = True, 0
            else:
                self.since_drop = self.desk.now
        seen: list[OrderSeen | TradeSeen] = []
        for frame in self.frames.take():
            found = read_frame(self.desk.reader, frame)
            missed = missed or found is None
            seen += found or []
        return seen, missed

    def alive(self) -> bool:
        return not self.frames.ended

    def close(self) -> None:
        self.frames.close()


def market(name: str, swap: bool = False) -> dict[str, Any]:
    """A symbol of the practice exchange, as ccxt describes it."""
    base, kinds = name.removesuffix("USDT"), list(SWAP_TYPES if swap else SPOT_TYPES)
    return {
        "id": name, "symbol": f"{base}/USDT:USDT" if swap else f"{base}/USDT", "base": base, "quote": "USDT", "baseId": base,
        "quoteId": "USDT", "type": "swap" if swap else "spot", "spot": not swap, "swap": swap, "future": False, "option": False,
        "margin": False, "contract": swap, "linear": swap or None, "inverse": False if swap else None, "active": True,
        "settle": "USDT" if swap else None, "taker": 0.001, "maker": 0.001, "contractSize": 1.0 if swap else None,
        "subType": "linear" if swap else None, "lowercaseId": name.lower(),
        "precision": {"price": 0.01, "amount": 0.0001}, "info": {"orderTypes": kinds},
        "limits": {"amount": {"min": 0.0001}, "price": {}, "cost": {"min": 5.0}},
    }  # fmt: skip


@cache
def reader(swap: bool = False) -> Any:
    """What reads the user stream's frames; it remembers nothing."""
    client = ccxt.pro.binanceusdm() if swap else ccxt.pro.binance()
    client.set_markets([market(name, swap) for name in FIRST])
    return client


class Desk:
    """An exchange, an account, and a gateway with a journal, which may be killed and started again.

    kill: (boundary, how many times it is reached before) at which the process ends.
    """

    def __init__(self, folder: Path, seed: int, faults: OrderFaults | None = None, **more: Any) -> None:
        self.now, self.skew, self.seed, self.folder = START + 1_000, 0, seed, folder
        self.kill: tuple[str, int] | None = None
        self.reached: dict[str, int] = {}
        self.walk = more.pop("tape", None) or Walk(seed, more.pop("sigma", 4e-4))
        self.options = {
            "can_pair": True,
            "on_stop": "keep",
            **{k: more.pop(k) for k in ("can_pair", "on_stop", "adopt") if k in more},
        }
        self.streams = more.pop("streams", True)
        self.swap: bool = more.pop("swap", False)
        self.account: Any
        self.api: OrdersApi | FuturesApi
        if self.swap:
            more = {key: value for key, value in more.items() if key not in ("fee_asset", "balances")}
            self.account = FuturesAccount(self.walk, lambda: self.now + self.skew, seed=seed, **more)
            self.api = FuturesApi(self.account, tuple(FIRST), faults or OrderFaults(), most_weight=6_000)
        else:
            self.account = PracticeAccount(self.walk, lambda: self.now + self.skew, seed=seed, **more)
            self.api = OrdersApi(self.account, tuple(FIRST), faults or OrderFaults())
        self.said: list[str] = []
        self.acted: list[ExecutionReport] = []
        self.asked: list[tuple[Any, ...]] = []
        self.reader = reader(self.swap)
        self.restarts = 0
        folder.mkdir(parents=True, exist_ok=True)
        self.start()

    def _client(self) -> Any:
        kind = ccxt.binanceusdm if self.swap else ccxt.binance
        client = kind({"apiKey": self.account.key, "secret": self.account.secret, "enableRateLimit": False})
        client.set_markets([market(name, self.swap) for name in FIRST])
        client.milliseconds = lambda: self.now
        client.session.mount("https://", InProcess(self))
        client.fetch = json_alone(client.fetch)
        return client

    # -- the process ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """The gateway, with what its journal remembers; then the intents that it was not told."""
        state = State(f"{self.seed % 36**3:05d}"[-5:] if self.seed >= 0 else new_nonce())
        records = list(recorded(self.folder)) if has_segments(self.folder) else []
        self.writer = Segments(self.folder)
        markets = tuple(
            Market(market(name, self.swap)["symbol"], name, uid, name.removesuffix("USDT"), "USDT", Decimal("0.01"),
                   Decimal("0.0001"), Decimal(5), 0.001, swap=self.swap)
            for name, uid in UIDS.items()
        )  # fmt: skip
        wire = CcxtWire(self._client(), (self.account.key, self.account.secret))
        self.stream = PrivateStream(self) if self.streams else None
        self.gateway = Gateway(
            AtOnce(wire), markets, LastGate(LIMITS), lambda: self.now * MS, STEP * MS, START * MS, 100_000.0, state,
            stream=self.stream, note=self._note, notify=self.said.append, wait=self.pass_time, **self.options,
        )  # fmt: skip
        recover(self.gateway, records)
        if records:
            self.writer.go_on()
        else:
            self.writer.begin({"kind": "begin", "venue": self.gateway.memory()}, {})
        for asked in self.asked[self.gateway.sent :]:
            self._tell(*asked)
        self.gateway.begin()

    def due(self, boundary: str, method: str = "POST") -> bool:
        """Whether the process is to end here."""
        if method == "GET":
            return False
        self.reached[boundary] = self.reached.get(boundary, 0) + 1
        if self.kill != (boundary, self.reached[boundary]):
            return False
        self.kill = None
        return True

    def reach(self, boundary: str, method: str = "POST") -> None:
        """Ends the process where `kill` says so."""
        if self.due(boundary, method):
            raise Killed(boundary)

    def _note(self, about: Mapping[str, Any], sync: bool) -> bool:
        if sync:
            self.reach("before journal")
        self.writer.append(about, sync=False)  # a test ends the process, not the machine
        if sync:
            self.reach("after journal")
        return True

    def survive(self, do: Callable[[], None]) -> None:
        """Does something; when the process is killed, starts it again."""
        try:
            do()
        except Killed:
            self.restart()

    def restart(self) -> None:
        """The process has ended, and is started again 3 s later."""
        self.restarts += 1
        if self.stream is not None:
            self.stream.close()
        self.writer.close()
        self.now += 3_000
        self.survive(self.start)

    # -- what a stream does --------------------------------------------------------------------------------------------------

    def pass_time(self, seconds: float) -> None:
        self.now += max(1, int(seconds * 1_000))

    def _tell(self, what: str, *given: Any, **more: Any) -> None:
        getattr(self.gateway, what)(*given, **(given[-1] if what == "modify" else more)) if what != "modify" else (
            self.gateway.modify(*given[:-1], **given[-1])
        )

    def ask(self, what: str, *given: Any) -> None:
        """An intent: remembered as the layers would decide it again, then told."""
        self.asked.append((what, *given))
        self._tell(what, *given)

    def look(self) -> None:
        """What is reported acts, once it is in the journal."""

        def do() -> None:
            handed = list(self.gateway.events(self.now * MS))
            if handed:
                self.reach("before acting")
                self.writer.append({"kind": "instant", "events": len(handed)})
                self.acted += handed

        self.survive(do)

    def flush(self) -> None:
        self.survive(self.gateway.flush)

    def checkpoint(self) -> None:
        """The next segment of the journal."""

        def do() -> None:
            self.reach("before checkpoint")
            if self.due("in the checkpoint"):
                (self.folder / f".{len(segments_of(self.folder)) + 1:06d}.journal").write_bytes(b"STRATOQUANT JOURNAL 1\nhalf")
                raise Killed("in the checkpoint")
            self.writer.begin({"kind": "begin", "venue": self.gateway.memory()}, {})
            self.reach("after checkpoint")

        self.survive(do)

    def run(self, seconds: float, every: float = 0.25) -> None:
        """So much time, with a look now and then."""
        until = self.now + int(seconds * 1_000)
        while self.now < until:
            self.pass_time(every)
            self.look()


def recorded(folder: Path) -> Iterator[Any]:
    """The records from the last beginning on."""
    segments, _ = last_beginning(segments_of(folder), "venue")
    for segment in segments:
        yield from JournalReader(segment)


def recover(gateway: Any, records: Iterable[Any]) -> None:
    """Hands a gateway, or a state, what its journal remembers."""
    take = gateway.take if isinstance(gateway, State) else gateway.recover
    for record in records:
        about = record.about
        if about["kind"] == "instant":
            gateway.acted(about["events"])
        else:
            take(about["venue"] if about["kind"] == "begin" else about)


def entry(symbol: str, number: int, quantity: float, at: int, price: float, **more: Any) -> NewOrder:
    """An entry with a bracket 0.5 % below and 0.7 % above; at: ms."""
    return order(
        symbol, number, quantity, at, price,
        **{"bracket_stop": round(price * 0.995, 2), "bracket_target": round(price * 1.007, 2), **more},
    )  # fmt: skip


def order(symbol: str, number: int, quantity: float, at: int, price: float, **more: Any) -> NewOrder:
    """An order at the market, unless told otherwise."""
    values: dict[str, Any] = {
        "symbol": symbol, "id": UIDS[symbol] << 32 | number, "parent": 0, "type": MARKET, "quantity": quantity,
        "limit_price": NAN, "stop_price": NAN, "reduce_only": False, "time_in_force": GTC, "lifetime": 0.0,
        "bracket_stop": NAN, "bracket_limit": NAN, "bracket_target": NAN, "decision_time": at * MS, "decision_price": price,
    }  # fmt: skip
    return NewOrder(**{**values, **more})


TYPES = (MARKET, LIMIT, POST_ONLY)
__all__ = [
    "IOC",
    "LIMIT",
    "LIMITS",
    "MARKET",
    "MS",
    "POST_ONLY",
    "START",
    "STEP",
    "TYPES",
    "UIDS",
    "Desk",
    "Killed",
    "Walk",
    "entry",
    "order",
]
