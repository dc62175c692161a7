"""The way to an account: keys from the environment, what must be so before an order may leave, and one program at a time."""

from __future__ import annotations

import fcntl
import hashlib
import inspect
import os
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Final
from urllib.parse import urlsplit

import ccxt
import ccxt.pro

from dataflows.runtime.code_folder import cache_root, make_cache_root
from drivers.exchanges.access import Exchange, client_of, place, settings_of
from drivers.exchanges.client_ids import new_nonce
from drivers.exchanges.dialects import APART, IN_ORDER
from drivers.exchanges.dialects import SPOKEN as SPOT
from drivers.exchanges.errors import ExchangeFault
from drivers.exchanges.gateway import Gateway, Market
from drivers.exchanges.last_gate import LastGate
from drivers.exchanges.markets import name_of
from drivers.exchanges.state import State
from drivers.exchanges.swaps import SPOKEN, prepare, refuse_contracts
from drivers.exchanges.user_stream import UserStream
from drivers.exchanges.watchdog_hold import Hold
from drivers.exchanges.wire import CcxtWire, Threads, hidden, refuse_withdrawals, with_bursts
from drivers.feeds.reading import symbol_uid
from drivers.project.own_process import KEY_PARTS
from drivers.venues.description import VenueRules

AT_ONCE: Final = 4
"""Calls under way side by side: of entries and readings, and as many of exits, stops and cancels."""
WATCHDOG_HOLD: Final = "watchdog-hold"


@dataclass(frozen=True, repr=False)
class Keys:
    """Of an account. Neither shown nor written anywhere."""

    key: str
    secret: str
    password: str

    @property
    def all(self) -> tuple[str, ...]:
        """Those that there are."""
        return tuple(part for part in (self.key, self.secret, self.password) if part)


def names_of(venue: str) -> tuple[str, ...]:
    """The environment's names of a venue's keys: STRATOQUANT_BINANCE_SPOT_KEY, …_SECRET, …_PASSWORD."""
    stem = re.sub(r"[^A-Z0-9]", "_", venue.upper())
    return tuple(f"STRATOQUANT_{stem}_{part}" for part in KEY_PARTS)


def keys_of(venue: str, environment: Mapping[str, str] = os.environ) -> Keys:
    """A venue's keys. Raises ExchangeFault naming the variables that are not set, or that no key can be."""
    names = names_of(venue)
    missing = [name for name in names[:2] if not environment.get(name)]
    if missing:
        raise ExchangeFault(f"orders need the keys of an account: set {' and '.join(missing)} in the environment")
    for name in names:
        said = environment.get(name, "")
        if said != said.strip() or not said.isascii() or ("PRIVATE KEY" not in said and not said.isprintable()):
            raise ExchangeFault(f"{name} has a space or a line break at an end, or a character that no key has; set it again")
    return Keys(*(environment.get(name, "") for name in names))


def check_mode(venue: str, rules: VenueRules, mode: str, yes: bool) -> None:
    """Raises ExchangeFault, a sentence, for whatever is missing before orders may leave. mode: testnet or live. yes: --yes-live
    was given."""
    file = f"{venue}.yml"
    if rules.market == "spot" and rules.exchange not in SPOT:
        raise ExchangeFault(
            f"{file}: orders go to the spot markets of {', '.join(SPOT)} so far, not to that of {rules.exchange}"
        )
    if rules.market == "swap" and rules.exchange not in SPOKEN:
        raise ExchangeFault(f"{file}: orders go to the swaps of {', '.join(SPOKEN)} so far, not to those of {rules.exchange}")
    if mode == "live" and not (rules.live and yes):
        lacks = [*(["`live: true` in " + file] if not rules.live else []), *(["--yes-live"] if not yes else [])]
        raise ExchangeFault(f"real orders with real money need {' and '.join(lacks)}")
    if rules.gate is None:
        raise ExchangeFault(
            f"{file} has no last gate, and no order leaves without one; write `gate: {{notional_per_order: 100, "
            "notional_per_minute: 500}` with your own limits in quote currency"
        )
    if mode == "live" and rules.gate.notional_total is None:
        raise ExchangeFault(f"{file} caps no position: real money needs `notional_total` in its gate, in quote currency")
    if mode == "live" and rules.sandbox:
        raise ExchangeFault(f"{file} says `sandbox: true`; --mode testnet trades there")
    if mode == "testnet":
        client = client_of(venue, rules)
        real = getattr(ccxt, rules.exchange)()
        if (client.headers or {}).get("x-simulated-trading") == "1":  # OKX: its test net is at the same host
            return
        if _hosts(client) & _hosts(real):
            raise ExchangeFault(f"{file} reaches the real market; write `sandbox: true`, or `endpoints` of a test server")


def _hosts(client: Any) -> set[str]:
    """The hosts that signed requests go to."""
    urls = client.urls["api"]
    found = urls.get("private", urls.get("rest", "")) if isinstance(urls, Mapping) else urls
    addresses = found.values() if isinstance(found, Mapping) else [found]
    return {urlsplit(str(url).replace("{hostname}", str(client.hostname))).netloc for url in addresses}


def account_file(rules: VenueRules, keys: Keys, ending: str) -> Path:
    """A file of this machine about an account, whatever the venue's file is called. Its name does not tell the key."""
    make_cache_root()
    folder = cache_root() / "accounts"
    folder.mkdir(exist_ok=True)
    account = f"{rules.exchange} {rules.sandbox} {urlsplit(rules.endpoints.rest).netloc} {keys.key}"
    return folder / f"{rules.exchange}-{hashlib.sha256(account.encode()).hexdigest()[:12]}.{ending}"


def lock_account(rules: VenueRules, keys: Keys, ending: str = "lock", who: str = "stream trades") -> IO[str]:
    """Keeps others on this machine from the same account, until it is closed. Raises ExchangeFault where one has it."""
    file = account_file(rules, keys, ending).open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise ExchangeFault(f"another {who} at {rules.exchange} with this key; one at a time: end it first") from None
    return file


def account_client(exchange: Exchange, keys: Keys) -> Any:
    """A client of its own for the account, which knows the markets that the connection for market data has read."""
    client = with_bursts(with_keys(client_of(exchange.name, exchange.rules), keys))
    client.set_markets(exchange.client.markets, exchange.client.currencies)
    return client


def _wires(exchange: Exchange, keys: Keys, count: int) -> list[CcxtWire]:
    """Wires for calls that are made side by side. They keep one limit of requests and know one offset of the clocks."""
    clients = [account_client(exchange, keys) for _ in range(count)]
    for client in clients[1:]:
        client.throttle, client.options = clients[0].throttle, clients[0].options
    exchange.ask(clients[0].load_time_difference)
    return [CcxtWire(client, keys.all) for client in clients]


def with_keys(client: Any, keys: Keys) -> Any:
    """The same client, which signs from now on. No error of it says a key, whatever the exchange answers."""
    client.apiKey, client.secret, client.password = keys.key, keys.secret, keys.password or None
    client.logger.disabled = True  # at its lowest level it writes headers
    if not inspect.iscoroutinefunction(client.fetch):  # of the user stream nobody is told why it ended
        client.fetch = _discreet(client.fetch, keys.all)
    return client


def _discreet(fetch: Callable[..., Any], secrets: tuple[str, ...]) -> Callable[..., Any]:
    def call(*arguments: Any, **more: Any) -> Any:
        try:
            return fetch(*arguments, **more)
        except ccxt.BaseError as error:
            if not any(secret in str(error) for secret in secrets):
                raise
            raise type(error)(hidden(str(error), secrets)) from None

    return call


class Account:
    """The gateway to one account, with all that stands behind it.

    exchange: the connection for market data, whose description of markets is used. clock: UTC ns by the exchange. skew: ns.
    wake: is called, from any thread, when something has come; None: `wait` returns then.
    """

    def __init__(
        self, exchange: Exchange, symbols: tuple[str, ...], keys: Keys, clock: Callable[[], int], *, step: int, begins: int,
        cash: float, notify: Callable[[str], None], skew: Callable[[], int] = lambda: 0,
        wake: Callable[[], None] | None = None,
    ) -> None:  # fmt: skip
        rules = exchange.rules
        assert rules.gate is not None
        self._woken = threading.Event()
        apart = rules.market == "spot" and rules.exchange in APART
        markets = tuple(market_of(exchange.market(symbol))._replace(apart=apart) for symbol in symbols)
        if len({market.quote for market in markets}) > 1:
            raise ExchangeFault(f"the symbols have several quote currencies; trade those of one: {', '.join(symbols)}")
        at_once = 1 if rules.exchange in IN_ORDER else AT_ONCE
        usual, urgent = (_wires(exchange, keys, at_once) for _ in range(2))
        if rules.market == "swap":
            refuse_contracts(exchange.name, [exchange.market(symbol) for symbol in symbols])
            exchange.ask(lambda: prepare(usual[0].client, exchange.name, rules, symbols))
        exchange.ask(lambda: refuse_withdrawals(usual[0].client, exchange.name, rules.may_withdraw))
        self._lock = lock_account(rules, keys)
        come = wake or self._woken.set
        runner = Threads(urgent, usual, come)
        stream = UserStream(lambda: self._streaming(exchange, keys), come)
        self.gateway = Gateway(
            runner, markets, LastGate(rules.gate), clock, step, begins, cash, State(new_nonce()), stream=stream,
            can_pair=usual[0].can_pair, adopt=rules.adopt, on_stop=rules.on_stop, weight=rules.request_weight,
            most_orders=rules.order_rate, notify=notify,
            wait=self.wait, skew=skew, most_skew=int(rules.max_skew * 1e9),
            watchdog_acts=Hold(account_file(rules, keys, WATCHDOG_HOLD)).active,
        )  # fmt: skip
        close = self.gateway.close
        self.gateway.close = lambda: (close(), self._lock.close())  # type: ignore[method-assign, assignment]

    @staticmethod
    def _streaming(exchange: Exchange, keys: Keys) -> Any:
        client = getattr(ccxt.pro, exchange.rules.exchange)(settings_of(exchange.rules))
        place(client, exchange.rules)
        client.set_markets(exchange.client.markets, exchange.client.currencies)
        client.newUpdates = True
        client.options["watchPositions"] = {"fetchPositionsSnapshot": False}  # nobody reads it
        return with_keys(client, keys)

    def wait(self, seconds: float) -> None:
        """Sleeps, or until something has come of the account."""
        self._woken.wait(seconds)
        self._woken.clear()


def market_of(market: Mapping[str, Any]) -> Market:
    """What an order of a symbol must be. market: as ccxt has it."""
    name = name_of(market["symbol"])
    return Market(
        symbol=market["symbol"],
        name=name,
        uid=symbol_uid(name),
        base=market["base"],
        quote=market["quote"],
        tick=Decimal(str(market["precision"]["price"] or 0)),
        lot=Decimal(str(market["precision"]["amount"] or 0)),
        least=Decimal(str(market["limits"]["cost"].get("min") or 0)),
        fee=float(market.get("taker") or 0.001),
        swap=bool(market.get("swap")),
        multiplier=Decimal(str(market.get("contractSize") or 1)),
    )
