"""What is shown of a stream: bars, equity, positions, orders, decisions and their reasons, as JSON has it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from dataflows.fusion.types import LONG, SHORT
from dataflows.regime.types import REGIMES
from dataflows.risk.types import KILL_REASONS, LEVELS, REASONS, VERDICTS
from drivers.engine.chunk import Outputs
from drivers.runlog.events import Events, names_of
from drivers.runlog.lines import Event

KEPT_BARS: Final = 720
KEPT_EVENTS: Final = 300
SHOWN_EVENTS: Final = 100
MINOR: Final = frozenset({"refusal", "regime_change"})
"""Events that come with most bars: they push no others off the list."""
COUNTED: Final = ("fill", "reject", "entry", "exit", "reduction", "refusal", "kill_switch", "data_anomaly")


class LiveState:
    """The state of one stream, written by the thread that follows it and read by those that show it.

    symbols: names of the columns. step: seconds of a bar. epoch_ns: of the events. kept: bars that are shown. `version` grows
    with each change.
    """

    def __init__(self, symbols: Sequence[str], step: int, epoch_ns: int, kept: int = KEPT_BARS) -> None:
        self.symbols, self.step = tuple(symbols), step
        self.version = 0
        self.lock = threading.Lock()
        self.counts = dict.fromkeys(COUNTED, 0)
        self.bars = 0
        self._events = Events(symbols, epoch_ns)
        self._kept = kept
        self._candles = {name: deque[list[float | None]](maxlen=kept) for name in self.symbols}
        self._marks = {name: deque[dict[str, Any]](maxlen=KEPT_EVENTS) for name in self.symbols}
        self._equity = deque[list[float | None]](maxlen=kept)
        self._log = {minor: deque[tuple[int, dict[str, Any]]](maxlen=SHOWN_EVENTS) for minor in (False, True)}
        self._events_seen = 0
        self._now: dict[str, Any] = {}
        self._working: dict[str, dict[str, Any]] = {}
        self._columns = {name: n for n, name in enumerate(self.symbols)}

    def bar(self, outputs: Outputs) -> list[Event]:
        """Bars have been run. Returns what happened in them."""
        return self._take(outputs, candles=True)

    def between(self, outputs: Outputs) -> list[Event]:
        """An instant between two bars: the operator's word, or a report of the venue."""
        return self._take(outputs, candles=False)

    def _take(self, outputs: Outputs, *, candles: bool) -> list[Event]:
        found = sorted(self._events.of(outputs), key=lambda event: event.time)
        with self.lock:
            if candles:
                self._add_candles(outputs)
            for event in found:
                if event.name in self.counts:
                    self.counts[event.name] += 1
                self._events_seen += 1
                entry = {"at": event.time // 1_000_000, "event": event.name, "warns": event.warns, **event.fields}
                self._log[event.name in MINOR].append((self._events_seen, entry))
                self._ordered(event)
                if event.name == "fill":
                    self._marks[event.fields["symbol"]].append(self._mark(event))
            self._now = self._status(outputs)
            self.version += 1
        return found

    def _mark(self, event: Event) -> dict[str, Any]:
        """A fill on the chart. Its bar is the one that closes at or after it."""
        step = self.step * 1_000_000_000
        opens = -(-event.time // step) * step - step
        fields = event.fields
        return {
            "time": opens // 1_000_000_000,
            "quantity": fields["quantity"],
            "price": fields["price"],
            "order": fields["order"],
        }

    def _add_candles(self, outputs: Outputs) -> None:
        market, mirror = outputs.values["l0_market_feed"], outputs.values["l99_pine_mirror"]
        for t, close in enumerate(outputs.time.tolist()):
            self.bars += 1
            at = close // 1_000_000_000 - self.step
            for n, name in enumerate(self.symbols):
                seen = market.quality.missing[t, n] == 0
                row = [_known(getattr(market.bars, key)[t, n]) if seen else None for key in ("open", "high", "low", "close")]
                self._candles[name].append([at, *row, _known(mirror.stop[t, n]), _known(mirror.target[t, n])])
            self._equity.append([at, _known(mirror.equity[t])])

    def _status(self, outputs: Outputs) -> dict[str, Any]:
        mirror, ledger = outputs.values["l99_pine_mirror"], outputs.values["l97_ledger"]
        t = len(outputs.time) - 1
        sides = {LONG: "long", SHORT: "short"}
        positions = [
            {
                "symbol": name,
                "price": _known(ledger.mark[t, n]),
                "position": _known(mirror.position[t, n]),
                "average": _known(mirror.average_price[t, n]),
                "unrealised": _known(ledger.unrealised[t, n]),
                "weight": _known(mirror.weight[t, n]),
                "target_weight": _known(mirror.target_weight[t, n]),
                "stop": _known(mirror.stop[t, n]),
                "target": _known(mirror.target[t, n]),
                "regime": REGIMES[mirror.regime[t, n]] if mirror.regime[t, n] >= 0 else "UNKNOWN",
                "signal": sides.get(int(mirror.signal[t, n]), "flat" if mirror.signal[t, n] == 0 else "unknown"),
                "score": _known(mirror.score[t, n]),
                "verdict": VERDICTS[mirror.verdict[t, n]],
                "reasons": names_of(int(mirror.reasons[t, n]), REASONS),
                "level": LEVELS[mirror.risk_state[t, n]],
                "kill_reasons": names_of(int(mirror.kill_reasons[t, n]), KILL_REASONS),
            }
            for n, name in enumerate(self.symbols)
        ]
        kill = outputs.values["l81_kill_switch"]
        count = outputs.values["l96_order_lifecycle"].open_orders[t]
        return {
            "at": int(outputs.time[t]) // 1_000_000,
            "equity": _known(mirror.equity[t]),
            "peak": _known(mirror.peak[t]),
            "day": _known(mirror.day_pnl[t]),
            "drawdown": _known(ledger.drawdown[t]),
            "gross": _known(ledger.gross[t]),
            "cash": _known(ledger.cash[t]),
            "fees": _known(ledger.fees[t]),
            "level": LEVELS[int(kill.overall[t])],
            "kill_reasons": names_of(int(kill.overall_reason[t]), KILL_REASONS),
            "reconciled": bool(outputs.values["l98_reconciliation"].matched[t]),
            "positions": positions,
            "orders": [row for row in self._working.values() if count[self._columns[row["symbol"]]] > 0],
            "open_orders": int(count.sum()),
        }

    def _ordered(self, event: Event) -> None:
        """Keeps what is at work at the venue, by what the log says of it."""
        fields, name = event.fields, str(event.fields.get("order"))
        if event.name == "order" and fields["intent"] == "PLACE":
            row = {key: fields.get(key) for key in ("symbol", "order", "type", "quantity", "limit_price", "stop_price")}
            self._working[name] = row | {"filled": 0.0, "reduce_only": fields["reduce_only"]}
        elif event.name == "bracket":
            row = {key: fields.get(key) for key in ("symbol", "order", "type", "limit_price")}
            self._working[name] = row | {"stop_price": fields["price"], "quantity": None, "filled": 0.0, "reduce_only": True}
        elif event.name == "fill" and name in self._working:
            there = self._working[name]
            there["filled"] += fields["quantity"]
            if there["quantity"] is None or abs(there["filled"]) >= abs(there["quantity"]) * (1.0 - 1e-9):
                del self._working[name]
        elif event.name in ("cancel", "expire", "reject"):
            self._working.pop(name, None)

    def _shown_log(self) -> list[dict[str, Any]]:
        """The newest events and the newest minor ones, in their order."""
        return [entry for _, entry in sorted([*self._log[False], *self._log[True]], key=lambda numbered: numbered[0])]

    def whole(self) -> dict[str, Any]:
        """Everything, for a page that opens."""
        with self.lock:
            return {
                "version": self.version,
                "symbols": list(self.symbols),
                "step": self.step,
                "candles": {name: list(rows) for name, rows in self._candles.items()},
                "marks": {name: list(rows) for name, rows in self._marks.items()},
                "equity": list(self._equity),
                "log": self._shown_log(),
                "counts": dict(self.counts),
                "bars": self.bars,
                "now": self._now,
            }

    def news(self, since: int) -> dict[str, Any]:
        """What has come after so many bars, for a page that is open."""
        with self.lock:
            fresh = min(self.bars - since, self._kept)
            return {
                "version": self.version,
                "candles": {name: list(rows)[len(rows) - fresh :] for name, rows in self._candles.items()},
                "marks": {name: list(rows) for name, rows in self._marks.items()},
                "equity": list(self._equity)[len(self._equity) - fresh :],
                "log": self._shown_log(),
                "counts": dict(self.counts),
                "bars": self.bars,
                "now": self._now,
            }

    def now(self) -> dict[str, Any]:
        """The last status; empty before the first bar."""
        with self.lock:
            return self._now


def _known(x: Any) -> float | None:
    value = float(x)
    return value if np.isfinite(value) else None
