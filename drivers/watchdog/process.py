"""A watchdog as a process: what it connects to, and its looks until the stream has ended."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from drivers.exchanges.access import Exchange, exchange_rules
from drivers.exchanges.account_access import (
    WATCHDOG_HOLD,
    account_client,
    account_file,
    check_mode,
    keys_of,
    lock_account,
    market_of,
)
from drivers.exchanges.errors import ExchangeFault
from drivers.exchanges.markets import in_order
from drivers.exchanges.watchdog_hold import Hold
from drivers.exchanges.wire import CcxtWire
from drivers.feeds.venue_facts import OWN_VENUES
from drivers.monitor.server import append
from drivers.project.locate import locate
from drivers.store.folder import REQUEST, Awaited
from drivers.watchdog.guard import Guard
from drivers.watchdog.notebook import Notebook
from drivers.watchdog.rules import WatchdogError, WatchdogRules
from drivers.watchdog.watched import Watched

SOON: Final = 1.0
"""Seconds between two looks while something is under way."""


def stamped(say: Callable[[str], None]) -> Callable[[str], None]:
    """The same, with the time before it."""
    return lambda text: say(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} watchdog: {text}")


def asked_of(
    folder: Path, stopped: Callable[[], bool], live_from: int | None = None, say: Callable[[str], None] = lambda text: None
) -> dict[str, Any] | None:
    """What the stream was asked for, once it has begun; None where `stopped` says so first. live_from: when it was started, UTC
    ns; None: any. say: told once where the stream has not begun after some seconds."""
    awaited = Awaited(folder, say)
    while not stopped():
        awaited.look()
        with suppress(FileNotFoundError, NotADirectoryError):
            found: dict[str, Any] = json.loads((folder / REQUEST).read_text(encoding="utf-8"))
            if live_from in (None, found.get("live_from")):
                return found
        time.sleep(0.5)
    return None


def latch(operator: Path) -> Callable[[str], None]:
    """What appends HALT to an operator file, whatever stands there: which latches are released and when is the stream's to say,
    and a second HALT changes nothing."""
    return lambda why: append(operator, f"HALT  # watchdog: {' '.join(why.split())}")


def run_watchdog(
    folder: Path,
    rules: WatchdogRules,
    say: Callable[[str], None],
    stopped: Callable[[], bool],
    operator: Path | None = None,
    project: Path | None = None,
    live_from: int | None = None,
) -> None:
    """Watches the stream of a folder, `<out>.partial`, until it has ended normally or `stopped` says so.

    operator: the stream's operator file, where the stream does not say it. live_from: see `asked_of`. Raises WatchdogError and
    ExchangeFault, a sentence, for what stands in the way before it begins.
    """
    asked = asked_of(folder, stopped, live_from, say)
    if asked is None:
        return
    venue, named = asked.get("venue"), asked.get("operator_file")
    if venue is None or asked.get("mode") == "paper":
        raise WatchdogError(f"{folder.stem} trades on paper: there is no account to watch")
    channel = operator or (Path(named) if named not in (None, "-") else None)
    if channel is None:
        raise WatchdogError("HALT goes to the stream through its operator file; start the stream with --operator FILE")
    project = project or (Path(asked["project"]) if asked.get("project") else None)
    about = exchange_rules(venue, [locate(project).config / "venues", OWN_VENUES])
    check_mode(venue, about, asked["mode"], bool(asked.get("yes_live")))
    keys = keys_of(venue)
    with ExitStack() as stack:
        lock = stack.enter_context(lock_account(about, keys, "watchdog-lock", "watchdog guards the account"))
        assert lock
        exchange = Exchange(venue, about)
        stack.callback(exchange.close)
        symbols = in_order(asked.get("symbols") or about.symbols or ())
        if not symbols:
            raise ExchangeFault(f"the stream of {folder.stem} names no symbols")
        client = account_client(exchange, keys)
        guard = Guard(
            Watched(folder), CcxtWire(client, keys.all), tuple(market_of(exchange.market(symbol)) for symbol in symbols), rules,
            Notebook(account_file(about, keys, "watchdog.json"), say), Hold(account_file(about, keys, WATCHDOG_HOLD)),
            latch(channel), say, lambda: client.milliseconds() * 1_000_000 - _ahead(client),
        )  # fmt: skip
        say(f"guards {venue} for {folder.stem}")
        while not stopped() and guard.look():
            _pause(SOON if guard.acting else rules.every, stopped)
        say("the stream has ended normally" if not stopped() else "ended; nobody guards the account now")


def _ahead(client: Any) -> int:
    """By how much our clock is ahead of the exchange's, ns."""
    return int(client.options.get("timeDifference") or 0) * 1_000_000


def _pause(seconds: float, stopped: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while not stopped() and time.monotonic() < end:
        time.sleep(0.1)
