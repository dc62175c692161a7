"""The connection to an exchange that a venue's file names."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import ccxt

from drivers.exchanges.errors import ExchangeFault, Malformed, Patience
from drivers.text.suggestions import did_you_mean
from drivers.venues.description import VenueRules, read_venue

T = TypeVar("T")


class Exchange:
    """One exchange, asked by REST without keys. name: of the venue's file. Close it at the end.

    sleep: waits for so many seconds. through: what ccxt's `fetch` goes through, to be recorded or played.
    """

    def __init__(
        self,
        name: str,
        rules: VenueRules,
        sleep: Callable[[float], None] = time.sleep,
        through: Callable[[Callable[..., Any]], Callable[..., Any]] = lambda fetch: fetch,
    ) -> None:
        self.name, self.rules = name, rules
        self.client = client_of(name, rules)
        self.client.fetch = through(self.client.fetch)
        self.patience = Patience(name, sleep, self._retry_after)
        self.ask(self.client.load_markets)

    def ask(self, call: Callable[[], T]) -> T:
        """The answer of a call of the client, asked for again after outages, limits and nonsense."""
        return self.patience.ask(call)

    def market(self, symbol: str) -> dict[str, Any]:
        """What the exchange says of a symbol. Raises ExchangeFault for one that it does not have."""
        found = self.client.markets.get(symbol)
        if found is None or found["type"] != self.rules.market:
            there = [name for name, market in self.client.markets.items() if market["type"] == self.rules.market]
            raise ExchangeFault(f"{self.name} has no {self.rules.market} symbol {symbol!r}; {did_you_mean(symbol, there)}")
        return dict(found)

    def now(self) -> int:
        """UTC ns by the exchange's clock, or by ours where it has none to ask."""
        if self.client.has.get("fetchTime"):
            return int(self.ask(self.client.fetch_time)) * 1_000_000
        return time.time_ns()

    def close(self) -> None:
        """Ends the connection."""
        session = getattr(self.client, "session", None)
        if session is not None:
            session.close()

    def _retry_after(self) -> float:
        """Seconds that the last answer asked to wait; 0 where it did not."""
        headers: Mapping[str, str] = self.client.last_response_headers or {}
        asked = next((value for key, value in headers.items() if key.lower() == "retry-after"), "0")
        return float(asked) if asked.isdecimal() else 0.0


def client_of(name: str, rules: VenueRules) -> Any:
    """ccxt's client for a venue, at the addresses that its file names. Raises ExchangeFault for an exchange that ccxt lacks."""
    if rules.exchange not in ccxt.exchanges:
        raise ExchangeFault(f"{name}.yml: exchange is {rules.exchange!r}; {did_you_mean(rules.exchange, ccxt.exchanges)}")
    kind = getattr(ccxt, rules.exchange)
    client = kind(settings_of(rules))
    place(client, rules)
    client.fetch = json_alone(client.fetch)
    return client


def place(client: Any, rules: VenueRules) -> None:
    """Points ccxt's client to the addresses that the venue's file names."""
    if rules.sandbox:
        if not client.urls.get("test"):
            raise ExchangeFault(f"{rules.exchange} has no test net; use `stratoquant exchange simulate` instead")
        if rules.market == "swap" and rules.exchange.startswith("binance"):
            client.enable_demo_trading(True)  # Binance's futures have no other test net any more
        else:
            client.set_sandbox_mode(True)
    client.urls["api"] = moved(client.urls["api"], rules.endpoints.rest, rules.endpoints.ws)
    client.hostname = urlsplit(rules.endpoints.rest).netloc or client.hostname


def settings_of(rules: VenueRules) -> dict[str, Any]:
    """What ccxt's client is made with. Its time limit is in ms."""
    return {"enableRateLimit": True, "timeout": 10_000, "options": {"defaultType": rules.market, **rules.options}}


def json_alone(fetch: Callable[..., Any]) -> Callable[..., Any]:
    """ccxt takes a page with status 200, or half of an answer, for a text, and its characters for rows."""

    def checked(*arguments: Any, **more: Any) -> Any:
        answer = fetch(*arguments, **more)
        if not isinstance(answer, (dict, list)):
            raise Malformed("the answer is no JSON")
        return answer

    return checked


def moved(urls: Any, rest: str, ws: str) -> Any:
    """The same addresses, nested as ccxt has them, at other hosts. Empty: as they are."""
    if isinstance(urls, Mapping):
        return {key: moved(value, rest, ws) for key, value in urls.items()}
    if not isinstance(urls, str):
        return urls
    parts = urlsplit(urls)
    host = urlsplit(ws if parts.scheme in ("ws", "wss") else rest)
    return urlunsplit((host.scheme, host.netloc, *parts[2:])) if host.netloc else urls


def exchange_rules(name: str, places: list[Path]) -> VenueRules:
    """The file of a venue that names an exchange. places: folders in which it may be, the first goes before.

    Raises ExchangeFault for a name that has no file, or one without `exchange`.
    """
    for place in places:
        if (path := place / f"{name}.yml").is_file():
            rules = read_venue(path)
            if not rules.exchange:
                raise ExchangeFault(f"{path.name} describes rules and names no exchange; give it `exchange:`, e.g. binance")
            return rules
    known = sorted({path.stem for place in places if place.is_dir() for path in place.glob("*.yml")})
    raise ExchangeFault(f"config/venues has no {name}.yml; {did_you_mean(name, known)}")
