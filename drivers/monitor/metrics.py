"""The state of a stream as Prometheus reads it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from dataflows.risk.types import LEVELS
from drivers.monitor.heartbeat import is_alive
from drivers.monitor.state import LiveState

GAUGES: Final = {
    "equity": ("stratoquant_equity", "Equity, in the account's currency"),
    "peak": ("stratoquant_equity_peak", "Highest equity, in the account's currency"),
    "drawdown": ("stratoquant_drawdown_ratio", "1 - equity / peak"),
    "day": ("stratoquant_day_return_ratio", "Profit of the UTC day, as a fraction of equity"),
    "gross": ("stratoquant_gross_exposure", "Sum of absolute notionals, in the account's currency"),
    "fees": ("stratoquant_fees_paid", "Fees since the start, in the account's currency"),
    "open_orders": ("stratoquant_open_orders", "Orders at the venue, brackets included"),
}
BY_SYMBOL: Final = {
    "price": ("stratoquant_price", "Last close, in quote currency"),
    "position": ("stratoquant_position", "Position, signed base units"),
    "weight": ("stratoquant_weight_ratio", "Position as a signed fraction of equity"),
    "unrealised": ("stratoquant_unrealised_profit", "In the account's currency"),
    "score": ("stratoquant_score", "Score of the proposal, -1 to 1"),
}
FEED: Final = {
    "skew_ms": ("stratoquant_clock_skew_seconds", "The exchange's clock less ours", 1e-3),
    "delay_ms": ("stratoquant_feed_delay_seconds", "From the newest event at the exchange to its receipt", 1e-3),
}
FEED_COUNTS: Final = {
    "outages": "REST requests that were not answered",
    "missing_bars": "Bars that did not come in time",
    "streamed_bars": "Bars that the streams brought",
    "asked_bars": "Bars that were asked for by REST",
    "malformed": "Frames that could not be read",
    "late": "Trades that came after their bar",
    "differing": "Bars of which trades and candle say different things",
    "gaps": "Updates of books that were missed",
    "wrong": "Books that were crossed or differed from a snapshot",
}


class StreamCollector(Collector):
    """What a scrape gets. state: of the stream. heartbeat: reads the last one."""

    def __init__(self, state: Callable[[], LiveState | None], heartbeat: Callable[[], dict[str, Any]]) -> None:
        self.state, self.heartbeat = state, heartbeat

    def collect(self) -> Iterator[Metric]:
        """The metrics as they are now."""
        state, beat = self.state(), self.heartbeat()
        yield _gauge("stratoquant_up", "1 while the stream's process writes its heartbeat", float(is_alive(beat)))
        if state is not None and (now := state.now()):
            for key, (name, about) in GAUGES.items():
                yield _gauge(name, about, now[key])
            yield _gauge("stratoquant_kill_level", f"Kill switch: {_numbered(LEVELS)}", float(LEVELS.index(now["level"])))
            yield _gauge("stratoquant_reconciled", "1 while our books agree with the venue's", float(now["reconciled"]))
            yield _gauge("stratoquant_bar_age_seconds", "Since the last bar's close", time.time() - now["at"] / 1e3)
            for key, (name, about) in BY_SYMBOL.items():
                family = GaugeMetricFamily(name, about, labels=["symbol"])
                for row in now["positions"]:
                    if row[key] is not None:
                        family.add_metric([row["symbol"]], row[key])
                yield family
            yield CounterMetricFamily("stratoquant_bars", "Bars that were run since the page began", value=float(state.bars))
            events = CounterMetricFamily("stratoquant_events", "Events since the page began", labels=["event"])
            for event, count in state.counts.items():
                events.add_metric([event], float(count))
            yield events
        for quantile, value in (beat.get("bar_ms") or {}).items():
            if value is not None:
                name = f"stratoquant_bar_seconds_{quantile}"
                yield _gauge(name, "From a bar's delivery to its orders, of the last 1,000 bars", value * 1e-3)
        yield from _feed(beat.get("feed") or {})


def _feed(feed: dict[str, Any]) -> Iterator[Metric]:
    for key, (name, about, scale) in FEED.items():
        if feed.get(key) is not None:
            yield _gauge(name, about, feed[key] * scale)
    for key, about in FEED_COUNTS.items():
        if key in feed:
            yield CounterMetricFamily(f"stratoquant_feed_{key}", about, value=float(feed[key]))
    if streams := feed.get("streams"):
        up = GaugeMetricFamily("stratoquant_stream_up", "1 while the stream brings frames", labels=["stream"])
        again = CounterMetricFamily("stratoquant_stream_reconnects", "Times it was dialed again", labels=["stream"])
        for name, stream in streams.items():
            up.add_metric([name], float(stream["up"]))
            again.add_metric([name], float(stream["reconnects"]))
        yield up
        yield again


def _gauge(name: str, about: str, value: float | None) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, about)
    if value is not None:
        family.add_metric([], value)
    return family


def _numbered(names: tuple[str, ...]) -> str:
    return ", ".join(f"{i} {name}" for i, name in enumerate(names))


def exposition(collector: StreamCollector) -> bytes:
    """The text that Prometheus scrapes."""
    registry = CollectorRegistry()
    registry.register(collector)
    return generate_latest(registry)
