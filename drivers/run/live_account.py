"""A stream's orders at a real account: what `--mode testnet` and `--mode live` connect to."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from drivers.feeds.base import step_of
from drivers.feeds.venue_facts import OWN_VENUES
from drivers.project.locate import locate
from drivers.run.assembly import PreparedRun
from drivers.run.request import RunRequest
from drivers.venues.base import Venue

if TYPE_CHECKING:
    from drivers.exchanges.account_access import Keys


def connection(request: RunRequest, notify: Callable[[str], None]) -> Callable[[PreparedRun], Venue] | None:
    """What connects to the account that a request names; None where its orders go to the simulated venue.

    Raises ExchangeFault, before anything is read, for whatever is missing: a word, a key, a limit.
    """
    if request.mode == "paper":
        return None
    from drivers.exchanges.access import exchange_rules
    from drivers.exchanges.account_access import check_mode, keys_of
    from drivers.exchanges.errors import ExchangeFault

    if request.venue is None:
        raise ExchangeFault(f"--mode {request.mode} trades at an exchange; name it with --venue")
    if not request.journaled:
        raise ExchangeFault(f"--mode {request.mode} needs the journal: without it an order could be sent twice after a crash")
    rules = exchange_rules(request.venue, [locate(request.project).config / "venues", OWN_VENUES])
    check_mode(request.venue, rules, request.mode, request.yes_live)
    keys = keys_of(request.venue)
    return lambda session: connected(session, keys, notify)


def connected(session: PreparedRun, keys: Keys, notify: Callable[[str], None]) -> Venue:
    from drivers.exchanges.account_access import Account
    from drivers.exchanges.live import LiveFeed

    feed = session.data
    assert isinstance(feed, LiveFeed)
    account = Account(
        feed.exchange, feed.wanted, keys, lambda: feed.time_ns() + feed.skew, step=step_of(feed), begins=feed.begins,
        cash=session.configs["execution"].start_cash, notify=notify, skew=lambda: feed.skew,
        wake=None if feed.streams is None else feed.wake,
    )  # fmt: skip
    if feed.streams is None:
        feed.wait = account.wait
    return account.gateway
