"""What charts send while they run, compared with what the engine said of the same bars; silence is a fault.

A message is known by (symbol, bar, model): TradingView may send it again, which changes nothing. Nothing here can reach an
order.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

from dataflows.panel import Ints
from dataflows.regime.types import REGIMES
from drivers.pine.message import Message
from drivers.pine.recorded import read_symbol
from drivers.pine.settings import Settings
from drivers.store.reader import RecordedRun
from drivers.text.times import SECOND_NS, stamp

KEPT: Final = 100_000
"""Bars of all symbols that are remembered."""
DIGITS: Final = 2.0
"""Units of the last digit by which a number may differ: the message and the sum are both rounded."""


class Said(NamedTuple):
    """What Python said of a bar. comparable: whether a chart can be held to it."""

    side: int
    regime: int
    z: float
    atr: float
    comparable: bool


class Source(Protocol):
    """Where what Python said comes from."""

    symbols: Sequence[str]

    def said(self, symbol: str, t: int) -> Said | None:
        """Of the bar that opened at t, seconds since 1970; None: not known, or not yet."""


class EventLog(Protocol):
    """Where the events go."""

    def event(self, name: str, **fields: Any) -> None:
        """One line."""

    def warning(self, name: str, **fields: Any) -> None:
        """One line that a person should look at."""


class Recording:
    """A finished run."""

    def __init__(self, run: RecordedRun) -> None:
        self.symbols: Sequence[str] = run.symbols
        self._run = run
        self._known: dict[str, dict[int, Said]] = {}

    def said(self, symbol: str, t: int) -> Said | None:
        """As `Source` says."""
        if symbol not in self._known:
            found = read_symbol(self._run, symbol)
            columns = [found.column[name] for name in ("chart_side", "chart_regime", "trend_z", "atr", "comparable")]
            self._known[symbol] = {
                int(at): Said(int(side), int(regime), float(z), float(atr), bool(ok))
                for at, side, regime, z, atr, ok in zip(found.opened, *columns, strict=True)
            }
        return self._known[symbol].get(t)


class Following:
    """An engine that is running: `take` hands in what L99 said. Threads may share it."""

    def __init__(self, symbols: Sequence[str], clock: int) -> None:
        self.symbols: Sequence[str] = tuple(symbols)
        self._clock, self._lock = clock, threading.Lock()
        self._known: OrderedDict[tuple[str, int], Said] = OrderedDict()

    def take(self, time: Ints, mirror: Any) -> None:
        """L99 of successive bars: time (T,) UTC ns of their closes, mirror its record of panels."""
        with self._lock:
            for row, closed in enumerate(time):
                for n, symbol in enumerate(self.symbols):
                    self._known[symbol, int(closed) // SECOND_NS - self._clock] = Said(
                        int(mirror.chart_side[row, n]),
                        int(mirror.chart_regime[row, n]),
                        float(mirror.trend_z[row, n]),
                        float(mirror.atr[row, n]),
                        bool(mirror.comparable[row, n]),
                    )
            while len(self._known) > KEPT:
                self._known.popitem(last=False)

    def said(self, symbol: str, t: int) -> Said | None:
        """As `Source` says."""
        with self._lock:
            return self._known.get((symbol, t))


class Watch:
    """Compares messages with a source and writes what is wrong to a log, as events of layer L99.

    `chart_agrees`: the first message of a symbol that agrees, and the first after a fault. `chart_mismatch`: what differs.
    `chart_silent`: no message for `patience` seconds, once until one comes; or bars whose message never came.
    `chart_ahead`: a message for whose bar the source had nothing for `patience` seconds. now: seconds of any steady clock.
    """

    def __init__(self, source: Source, settings: Settings, log: EventLog, patience: float, now: float) -> None:
        self.source, self.settings, self.log, self.patience = source, settings, log, patience
        self.counts = dict.fromkeys(("agree", "mismatch", "silent", "ahead", "again"), 0)
        self._lock = threading.RLock()
        self._heard: dict[str, float] = {}
        self._last: dict[str, int] = {}
        self._silent: set[str] = set()
        self._well: set[str] = set()
        self._seen: OrderedDict[tuple[str, int, int], None] = OrderedDict()
        self._waiting: dict[tuple[str, int], tuple[Message, float]] = {}
        self._begun = now
        self._anyone_silent = False

    def take(self, message: Message, now: float) -> str:
        """One message; returns what it came to: a key of `counts`, or `waits`. Raises ValueError for an unknown symbol."""
        with self._lock:
            if message.symbol not in self.source.symbols:
                raise ValueError(f"the run has no symbol {message.symbol!r}")
            key = (message.symbol, message.t, message.model)
            self._heard[message.symbol] = now
            self._silent.discard(message.symbol)
            self._anyone_silent = False
            if key in self._seen:
                self.counts["again"] += 1
                return "again"
            self._seen[key] = None
            if len(self._seen) > KEPT:
                self._seen.popitem(last=False)
            self._gap(message)
            said = self.source.said(message.symbol, message.t)
            if said is None:
                self._waiting[message.symbol, message.t] = message, now
                return "waits"
            return self._compare(message, said)

    def due(self, now: float) -> None:
        """To be called every second or so: what waited and can be compared now, and what has been silent for too long."""
        with self._lock:
            for key, (message, since) in list(self._waiting.items()):
                said = self.source.said(*key)
                if said is not None:
                    del self._waiting[key]
                    self._compare(message, said)
                elif now - since > self.patience:
                    del self._waiting[key]
                    self._fault("ahead", message.symbol, message.t, why="the engine has said nothing of this bar")
            if not self._heard and not self._anyone_silent and now - self._begun > self.patience:
                self._anyone_silent = True
                self.counts["silent"] += 1
                self.log.warning("chart_silent", layer="L99", why=f"no chart has sent anything for {self.patience:g} s")
            for symbol, at in self._heard.items():
                if symbol not in self._silent and now - at > self.patience:
                    self._silent.add(symbol)
                    self._fault("silent", symbol, self._last.get(symbol), why=f"no message for {self.patience:g} s")

    def _gap(self, message: Message) -> None:
        """Bars between the last message and this one that a chart has, and nothing came of."""
        last, clock = self._last.get(message.symbol), self.settings.clock_seconds
        self._last[message.symbol] = max(message.t, last or 0)
        if last is None or message.t <= last + clock or message.t - last > KEPT * clock:
            return
        lost = 0
        for t in range(last + clock, message.t, clock):
            said = self.source.said(message.symbol, t)
            lost += said is not None and said.comparable
        if lost:
            self._fault("silent", message.symbol, last, why=f"{lost} bars without a message")

    def _compare(self, message: Message, said: Said) -> str:
        wrong: dict[str, Any] = {}
        if message.model != self.settings.model:
            wrong["settings"] = [message.model, self.settings.model]
        elif not said.comparable:
            wrong["bar"] = "the run does not have it"
        else:
            if message.side != said.side:
                wrong["side"] = [message.side, said.side]
            if message.regime != said.regime:
                wrong["regime"] = [_regime(message.regime), _regime(said.regime)]
            for name, chart, python, unit in (
                ("trend_z", message.z, said.z, 1e-6),
                ("atr", message.atr, said.atr, max(message.unit, 1e-9 * abs(said.atr))),
            ):
                if not math.fabs(chart - python) <= DIGITS * unit:
                    wrong[name] = [chart, python]
        if wrong:
            self._fault("mismatch", message.symbol, message.t, chart_then_python=wrong)
            return "mismatch"
        self.counts["agree"] += 1
        if message.symbol not in self._well:
            self._well.add(message.symbol)
            self.log.event("chart_agrees", layer="L99", symbol=message.symbol, time=_closed(message.t, self.settings))
        return "agree"

    def _fault(self, kind: str, symbol: str, t: int | None, **fields: Any) -> None:
        self._well.discard(symbol)
        self.counts[kind] += 1
        when: Mapping[str, Any] = {} if t is None else {"time": _closed(t, self.settings)}
        self.log.warning(f"chart_{kind}", layer="L99", symbol=symbol, **when, **fields)


def _closed(t: int, settings: Settings) -> str:
    """The close of a bar as logs have it."""
    return stamp((t + settings.clock_seconds) * SECOND_NS)


def _regime(code: int) -> str:
    return REGIMES[code] if code >= 0 else "UNKNOWN"
