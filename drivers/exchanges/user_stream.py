"""The exchange's stream of the account's own events, through ccxt's WebSocket side, in a thread of its own."""

from __future__ import annotations

import asyncio
import json
import queue
import random
import threading
from collections.abc import Callable
from typing import Any, Final

import ccxt

from drivers.exchanges.dialects import streamed_trade
from drivers.exchanges.seen import OrderSeen, TradeSeen, order_seen, trade_seen

LONGEST_WAIT: Final = 30.0
"""Seconds between two attempts to connect."""
SETTLED: Final = 1.5
"""Seconds after which a connection that has not failed is one."""

ENDINGS: Final = ("eventStreamTerminated", "listenKeyExpired", "serverShutdown")
"""Events after which Binance sends no more over this connection, or soon will not; ccxt tells nobody who waits."""


def _attentive(client: Any) -> Any:
    """The same client, whose waits end where the exchange says that the stream does."""
    handle = client.handle_message

    def handled(connection: Any, message: Any) -> None:
        handle(connection, message)
        event = message.get("event", message) if isinstance(message, dict) else None
        if isinstance(event, dict) and event.get("e") in ENDINGS:
            connection.reject(ccxt.NetworkError("the exchange has ended the stream"))

    client.handle_message = handled
    return client


def read_order(order: Any) -> list[OrderSeen | TradeSeen]:
    """An order as ccxt's `watch_orders` gives it."""
    seen = order_seen(order)
    return [] if seen is None else [seen]


def read_frame(client: Any, frame: str) -> list[OrderSeen | TradeSeen] | None:
    """What a frame of Binance's user stream says, read by ccxt's own parsers; None where it cannot be read."""
    try:
        said = json.loads(frame)
        event = said.get("event", said)
        if event["e"] in ("ORDER_TRADE_UPDATE", "ALGO_UPDATE"):  # of futures
            event = {"T": event["T"], "x": "", **event["o"]}
        elif event["e"] != "executionReport":
            return []
        order = client.parse_ws_order(event)
        found = read_order(order)
        if event["x"] == "TRADE":
            trade = client.parse_ws_trade(event)
            found.insert(0, trade_seen(trade, trade["symbol"], str(order.get("clientOrderId") or "")))
        return found
    except (ValueError, KeyError, TypeError):
        return None


class UserStream:
    """Fulfils `Private`. make: a client of ccxt.pro with keys. wake: is called when something has come."""

    def __init__(self, make: Callable[[], Any], wake: Callable[[], None] = lambda: None) -> None:
        self._make, self._wake = make, wake
        self._seen: queue.SimpleQueue[OrderSeen | TradeSeen] = queue.SimpleQueue()
        self._alive = self._missed = self._ended = False
        self.connects = 0
        self._client: Any = None
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._unread)
        self._thread = threading.Thread(target=self._run, name="user-stream", daemon=True)
        self._thread.start()

    def take(self) -> tuple[list[OrderSeen | TradeSeen], bool]:
        """See `Private.take`."""
        found = []
        missed, self._missed = self._missed, False
        while not self._seen.empty():
            found.append(self._seen.get())
        return found, missed

    def alive(self) -> bool:
        """See `Private.alive`."""
        return self._alive

    def close(self) -> None:
        """See `Private.close`."""
        self._ended = True
        self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(self._loop)])
        self._thread.join(timeout=10.0)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._forever())
        except asyncio.CancelledError:
            pass
        finally:
            self._loop.close()

    async def _forever(self) -> None:
        failures = 0
        while not self._ended:
            client = self._client = _attentive(self._make())
            tasks = [asyncio.ensure_future(part(client)) for part in (self._orders, self._trades)]
            try:
                done, _ = await asyncio.wait(tasks, timeout=SETTLED, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    self._alive = self._missed = True
                    self.connects += 1
                    failures = 0
                    self._wake()
                await asyncio.gather(*tasks)
            except asyncio.CancelledError:
                raise
            except Exception:
                failures += 1  # whatever ends a stream: it is connected anew, and what was missed is polled
            finally:
                self._alive = False
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await client.close()
            self._wake()
            await asyncio.sleep(min(LONGEST_WAIT, 0.5 * 2.0 ** min(failures, 8)) * random.uniform(0.5, 1.0))

    def _unread(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A frame that cannot be read ends ccxt's receive loop without a word to whoever waits: the connection ends aloud."""
        if "handle" in context:
            for connection in self._client.clients.values():
                connection.reject(ccxt.NetworkError("a frame could not be read"))
        elif not isinstance(context.get("exception"), ccxt.BaseError):  # of ccxt: nobody waits for it any more
            loop.default_exception_handler(context)

    async def _orders(self, client: Any) -> None:
        while True:
            self._put(each for order in await client.watch_orders() for each in read_order(order))

    async def _trades(self, client: Any) -> None:
        while True:
            trades = [streamed_trade(client.id, trade) for trade in await client.watch_my_trades()]
            self._put([trade_seen(trade, trade["symbol"]) for trade in trades])

    def _put(self, seen: Any) -> None:
        for each in seen:
            self._seen.put(each)
        self._wake()
