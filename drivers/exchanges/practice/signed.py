"""Signed requests of the practice exchange: weights, signatures, clocks, and what goes wrong with them on purpose."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Generic, NamedTuple, TypeVar
from urllib.parse import parse_qsl

from aiohttp import web

from drivers.exchanges.practice.core import AccountCore, Refused
from drivers.exchanges.practice.order_faults import OrderFaults

A = TypeVar("A", bound=AccountCore)

MOST_AHEAD: Final = 1_000
"""ms by which a request may be ahead of the exchange's clock."""
MINUTE: Final = 60_000
SLOW: Final = 2_800
"""ms after which a request that is late is done."""


class Answer(NamedTuple):
    """status 0: there is no answer, and the connection ends. hangs: it never comes."""

    status: int
    body: str
    headers: dict[str, str]
    hangs: bool = False


@dataclass
class SignedApi(Generic[A]):
    """account: whose requests these are. faults: what goes wrong. most_weight: of the requests of one minute."""

    weights: ClassVar[dict[str, int]]
    """What each request, `METHOD /path`, counts."""
    public: ClassVar[frozenset[str]]
    """Those that nobody signs."""
    keyed: ClassVar[frozenset[str]] = frozenset()
    """Those that bear a key and no signature."""
    placing: ClassVar[frozenset[str]]
    """Those that the fault `reject` refuses."""
    rejection: ClassVar[tuple[int, str]]

    account: A
    symbols: tuple[str, ...]
    faults: OrderFaults = field(default_factory=OrderFaults)
    most_weight: int = 6_000
    used: int = 0
    asked: list[str] = field(default_factory=list)
    _minute: int = -1

    def routes(self, app: web.Application) -> None:
        """Serves them."""
        for name in self.weights:
            method, path = name.split(" ")
            app.router.add_route(method, path, self._serve)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        text = await request.text()
        answer = self.handle(request.method, request.path, request.query_string or text, dict(request.headers))
        if answer.hangs:
            await asyncio.sleep(3_600)
        if not answer.status:
            assert request.transport is not None
            request.transport.close()
        return web.Response(
            text=answer.body, status=answer.status or 500, content_type="application/json", headers=answer.headers
        )

    def handle(self, method: str, path: str, query: str, headers: dict[str, str]) -> Answer:
        """The answer to a request. query: as it was signed."""
        name = f"{method} {path}"
        self.asked.append(f"{name}?{query.partition('&signature=')[0]}")
        fault = self.faults.next(name)
        if fault in ("429", "418"):
            return self._answer(int(fault), _error(-1003, "Too many requests."), {"Retry-After": "1"})
        if fault == "slow":
            given = dict(headers)
            self.account.deferred.append((self.account.now() + SLOW, lambda: self._sound(name, query, given)))
            return _wrong("hang")
        if fault in ("hang", "502", "html", "lost_request"):
            return _wrong(fault)
        if fault == "reject" and name in self.placing:
            return self._answer(400, _error(*self.rejection))
        answer = self._sound(name, query, headers)
        if fault == "broken":
            return answer._replace(body=answer.body[: len(answer.body) // 2])
        return _wrong(fault.removesuffix("_after")) if fault.endswith("_after") else answer

    def _sound(self, name: str, query: str, headers: dict[str, str]) -> Answer:
        minute = self.account.now() // MINUTE
        self.used = self.used if minute == self._minute else 0
        self._minute = minute
        self.used += self.weights[name]
        if self.used > self.most_weight:
            wait = str((MINUTE - self.account.now() % MINUTE) // 1_000 + 1)
            text = f"Too much request weight used; current limit is {self.most_weight} request weight per 1 MINUTE."
            return self._answer(429, _error(-1003, text), {"Retry-After": wait})
        try:
            self.account.advance()
            return self._answer(200, self._do(name, self._given(name, query, headers)))
        except Refused as refused:
            return self._answer(refused.status, _error(refused.code, refused.message))

    def _do(self, name: str, given: dict[str, str]) -> Any:
        """What a sound request is answered. Raises Refused."""
        raise NotImplementedError

    def _answer(self, status: int, body: Any, headers: dict[str, str] | None = None) -> Answer:
        return Answer(status, json.dumps(body), {"x-mbx-used-weight-1m": str(self.used), **(headers or {})})

    def _given(self, name: str, query: str, headers: dict[str, str]) -> dict[str, str]:
        """The parameters of a request. Raises Refused."""
        if name not in (self.public | self.keyed):
            return self._authentic(query, headers)
        if name in self.keyed:
            self._has_key(headers)
        return dict(parse_qsl(query))

    def _has_key(self, headers: dict[str, str]) -> None:
        keys = {name.lower(): value for name, value in headers.items()}
        if keys.get("x-mbx-apikey") != self.account.key:
            raise Refused(-2015, "Invalid API-key, IP, or permissions for action.", 401)

    def _authentic(self, query: str, headers: dict[str, str]) -> dict[str, str]:
        """The parameters of a request that is signed and of this time. Raises Refused for another."""
        self._has_key(headers)
        signed, _, signature = query.rpartition("&signature=")
        if not hmac.compare_digest(
            signature, hmac.new(self.account.secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
        ):
            raise Refused(-1022, "Signature for this request is not valid.")
        given = dict(parse_qsl(signed, keep_blank_values=True))
        stamp, window, now = int(given["timestamp"]), int(given.get("recvWindow", 5_000)), self.account.now()
        if stamp > now + MOST_AHEAD or stamp < now - window:
            where = "ahead of the server's time" if stamp > now else "outside of the recvWindow"
            raise Refused(-1021, f"Timestamp for this request is {where}.")
        return given

    def _known(self, given: dict[str, str]) -> str:
        symbol = given.get("symbol", "")
        if symbol not in self.symbols:
            raise Refused(-1121, "Invalid symbol.")
        return symbol

    def _ticker(self, given: dict[str, str]) -> dict[str, Any]:
        symbol, now = self._known(given), self.account.now()
        last = f"{self.account.tape.last(symbol, now):.8f}"
        return {"symbol": symbol, "lastPrice": last, "bidPrice": last, "askPrice": last, "openTime": now - 86_400_000,
                "closeTime": now, "count": 1}  # fmt: skip

    def _made(self, symbol: str, given: dict[str, str]) -> list[Any]:
        """The trades that a request asks for."""
        first, order, limit = int(given.get("fromId", 0)), given.get("orderId"), int(given.get("limit", 500))
        found = [
            t for t in self.account.trades
            if t.order.symbol == symbol and t.id >= first and order in (None, str(t.order.id))
            and t.time >= int(given.get("startTime", 0))
        ]  # fmt: skip
        return found[:limit] if "fromId" in given or "startTime" in given else found[-limit:]


def _wrong(kind: str) -> Answer:
    if kind == "502":
        return Answer(502, "<html><h1>502 Bad Gateway</h1></html>", {})
    if kind == "html":
        return Answer(200, "<html><body>Be right back</body></html>", {})
    return Answer(0, "", {}, hangs=kind in ("hang", "hung"))


def _error(code: int, message: str) -> dict[str, Any]:
    return {"code": code, "msg": message}
