"""The practice exchange's user streams: of spot the WebSocket API, to which a client subscribes with a signature; of futures a
socket that is opened with a listen key, which ends when that expires."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any, Final

from aiohttp import WSMsgType, web

from drivers.exchanges.practice.core import AccountCore
from drivers.exchanges.practice.futures import FuturesAccount
from drivers.exchanges.practice.order_faults import OrderFaults

LATE: Final = 3
"""Reports after which a late one comes."""
EVERY: Final = 0.02
"""Seconds between two looks at the account."""


class Subscription:
    """The frames that one subscriber gets. ended: the connection has been dropped. wrapped: each says whose it is, as the
    WebSocket API has it."""

    def __init__(self, account: AccountCore, faults: OrderFaults, wrapped: bool = True) -> None:
        self.account, self.faults, self.ended, self.wrapped = account, faults, False, wrapped
        self._frames: list[str] = []
        self._late: list[tuple[int, str]] = []
        self._count = 0
        account.listeners.append(self._hear)

    def _hear(self, report: dict[str, Any]) -> None:
        if self.ended:
            return
        frame = json.dumps({"subscriptionId": 0, "event": report} if self.wrapped else report)
        fault = self.faults.of_report()
        self._count += 1
        if fault == "drop":
            self.close()
            return
        if fault == "late":
            self._late.append((self._count + LATE, frame))
        elif fault == "malformed":
            self._frames.append(frame[: len(frame) // 2])
        elif fault != "lost":
            self._frames += [frame] * (2 if fault == "duplicate" else 1)
        due = [late for at, late in self._late if at <= self._count]
        self._late = [(at, late) for at, late in self._late if at > self._count]
        self._frames += due

    def take(self) -> list[str]:
        """The frames since the last call."""
        found, self._frames = self._frames, []
        return found

    def close(self) -> None:
        """No more frames come."""
        self.ended = True
        if self._hear in self.account.listeners:
            self.account.listeners.remove(self._hear)


def authentic(account: AccountCore, given: dict[str, Any]) -> bool:
    """Whether a subscription is signed: HMAC of its parameters, by name."""
    signed = "&".join(f"{key}={given[key]}" for key in sorted(given) if key != "signature")
    wanted = hmac.new(account.secret.encode(), signed.encode(), hashlib.sha256).hexdigest()
    return given.get("apiKey") == account.key and hmac.compare_digest(str(given.get("signature", "")), wanted)


class UserStream:
    """Serves it at /ws-api/v3."""

    def __init__(self, account: AccountCore, faults: OrderFaults) -> None:
        self.account, self.faults = account, faults

    def routes(self, app: web.Application) -> None:
        """Serves it."""
        app.router.add_get("/ws-api/v3", self._serve)

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(heartbeat=30.0)
        await socket.prepare(request)
        told: asyncio.Task[None] | None = None
        async for message in socket:
            if message.type != WSMsgType.TEXT:
                continue
            asked = json.loads(message.data)
            if asked.get("method") != "userDataStream.subscribe.signature" or not authentic(self.account, asked["params"]):
                error = {"code": -1022, "msg": "Signature for this request is not valid."}
                await socket.send_json({"id": asked.get("id"), "status": 400, "error": error})
                continue
            await socket.send_json({"id": asked["id"], "status": 200, "result": {"subscriptionId": 0}})
            told = asyncio.create_task(_tell(Subscription(self.account, self.faults), socket, lambda: False))
        if told is not None:
            told.cancel()
        return socket


class FuturesStream:
    """Serves it at /private/ws?listenKey=..."""

    def __init__(self, account: FuturesAccount, faults: OrderFaults) -> None:
        self.account, self.faults = account, faults

    def routes(self, app: web.Application) -> None:
        """Serves it."""
        app.router.add_get("/private/ws", self._serve)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        account, key = self.account, request.query.get("listenKey", "")
        if not key or key != account.listen_key or account.now() >= account.listens_until:
            return web.Response(status=400, text="no such listenKey")
        socket = web.WebSocketResponse(heartbeat=30.0)
        await socket.prepare(request)
        subscription = Subscription(account, self.faults, wrapped=False)
        told = asyncio.create_task(_tell(subscription, socket, lambda: account.now() >= account.listens_until))
        async for _ in socket:
            pass
        told.cancel()
        return socket


async def _tell(subscription: Subscription, socket: web.WebSocketResponse, expired: Callable[[], bool]) -> None:
    account = subscription.account
    try:
        while not socket.closed:
            account.advance()
            for frame in subscription.take():
                await socket.send_str(frame)
            if expired():
                await socket.send_json({"e": "listenKeyExpired", "E": account.now()})
            if subscription.ended or expired():
                await socket.close()
                return
            await asyncio.sleep(EVERY)
    finally:
        subscription.close()
