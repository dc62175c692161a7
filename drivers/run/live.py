"""A stream's live market: its history is fetched, and the connection is kept as the feed."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.progress import Progress

from dataflows.config import spans_of
from dataflows.runtime.code_folder import cache_root, make_cache_root
from dataflows.spans import BarClock
from drivers.feeds.dataset import open_dataset
from drivers.feeds.description import DAY, parse_clock
from drivers.feeds.venue_facts import OWN_VENUES
from drivers.project.configs import Configs, load_configs
from drivers.project.locate import Project
from drivers.project.machine_specs import MachineSpec
from drivers.run.request import RunRequest
from drivers.text.times import parse_duration

if TYPE_CHECKING:
    from drivers.exchanges.access import Exchange
    from drivers.exchanges.frames import FrameRecorder
    from drivers.exchanges.live import LiveFeed

HALF_LIVES: Final = 2
"""After so many, three quarters of a weight have been seen."""
CLOCK: Final = "1m"
WHERE: Final = {"paper": "on paper", "testnet": "with orders at a test net", "live": "with real orders"}


def live_feed(
    request: RunRequest, project: Project, spec: MachineSpec | None, progress: Progress, notify: Callable[[str], None]
) -> LiveFeed:
    """The live market that a request names, with its history fetched. Raises ExchangeFault for what stands in the way."""
    from drivers.exchanges.access import Exchange, exchange_rules
    from drivers.exchanges.frames import FrameRecorder

    assert request.venue is not None and request.live_from is not None
    rules = exchange_rules(request.venue, [project.config / "venues", OWN_VENUES])
    if request.record is None:
        return feed_of(Exchange(request.venue, rules), request, project, spec, progress, notify)
    record = FrameRecorder(request.record)
    return feed_of(Exchange(request.venue, rules, through=record.through), request, project, spec, progress, notify, record)


def feed_of_frames(frames: Path, notify: Callable[[str], None]) -> LiveFeed:
    """The live market that a folder has recorded. Raises ExchangeFault, and ValueError, where it has none."""
    from drivers.exchanges.played import played_feed

    return played_feed(frames, notify)


def feed_of(
    exchange: Exchange,
    request: RunRequest,
    project: Project,
    spec: MachineSpec | None,
    progress: Progress,
    notify: Callable[[str], None],
    record: FrameRecorder | None = None,
) -> LiveFeed:
    """The same over a connection that is there. record: takes what comes of it."""
    from drivers.exchanges.errors import ExchangeFault
    from drivers.exchanges.fetch import FetchRequest, fetch
    from drivers.exchanges.live import LiveFeed
    from drivers.exchanges.markets import in_order
    from drivers.exchanges.played import HISTORY, write_session
    from drivers.exchanges.streams import Streams

    wanted = request.symbols or tuple(exchange.rules.symbols or ())
    if not wanted:
        raise ExchangeFault(f"name the symbols with --symbols, or under `symbols` in {exchange.name}.yml")
    step = parse_clock(request.clock or CLOCK)
    day = DAY // step
    clock = BarClock(step // 1_000_000_000, day, 7 * day)
    warm = (
        parse_duration(request.warm)
        if request.warm
        else step * warm_bars(load_configs(project, request.overrides, spec, clock), clock)
    )
    begins = request.live_from or 0
    folder = request.warm_from or _kept(exchange.name, step, wanted)
    task = progress.add_task("Fetching the history", total=1.0)
    with record.apart() if record is not None else nullcontext():
        asked = FetchRequest(tuple(wanted), begins - warm, exchange.now(), step, folder)
        fetch(exchange, asked, lambda what, share: progress.update(task, description=f"Fetching {what}", completed=share))
    progress.remove_task(task)
    if record is not None:
        write_session(record.folder, exchange, tuple(wanted), begins, begins - warm)
        shutil.copytree(folder, record.folder / HISTORY, dirs_exist_ok=True)
    history = open_dataset(folder, start=begins - warm)
    streams = Streams(exchange, in_order(wanted), step, notify=notify, record=record) if exchange.rules.streams else None
    feed = LiveFeed(exchange, tuple(wanted), history, begins, request.end, notify=notify, streams=streams, record=record)
    feed.orders = WHERE[request.mode]
    return feed


def warm_bars(configs: Configs, clock: BarClock) -> int:
    """Bars of history that the graph needs: the longest window of its configuration, or two of the longest half-life."""
    longest = 1.0
    timeframes = configs["data"].timeframes
    for record in configs.values():
        kind: Any = type(record)
        for key, span in spans_of(kind).items():
            value = getattr(record, key)
            most = max(value) if isinstance(value, tuple) else value
            base = clock._replace(timeframes=timeframes).base_bars(span.unit)
            longest = max(longest, most * base * (HALF_LIVES if "halflife" in key else 1))
    return int(longest)


def _kept(venue: str, step: int, symbols: tuple[str, ...]) -> Path:
    """Where the history of a live market is kept between streams."""
    make_cache_root()
    digest = hashlib.sha256("\n".join(sorted(symbols)).encode()).hexdigest()[:10]
    folder = cache_root() / "markets" / f"{venue}-{step // 1_000_000_000}s-{digest}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    return folder
