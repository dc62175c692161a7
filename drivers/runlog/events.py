"""What happened in a run, as structured log lines with the ids that tie them together: run, epoch, symbol, layer, order.

The events, in the order in which they come at one bar:

- `data_anomaly` (L0): a gap, an outlier, a crossed book, duplicates, late data.
- `regime_change` (L1): the regime, and the one before.
- `fill`, `reject`, `expire`, `cancel` (L90): what the venue reports of an order.
- `bracket` (L96): a stop or a target of a position goes live; `parent` is the entry that it belongs to.
- `kill_switch` (L81): its state changes, of all (no symbol) or of one symbol.
- `refusal` (L3 or L4): an increase that may not be, and why. `entry`, `reduction`, `exit` (L4): what is approved, and why not
  more. `orders` names the orders that the decision sent, or canceled, at this bar.
- `operator`: a command that the operator or the watchdog sent between two bars; its consequences have lines of their own.
- `order` (L5): what the venue is told; `parent` is the entry whose position an order closes.

A line is written where something begins, not for every bar that it lasts, and for every bar at which a decision led to orders.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import numpy as np

from dataflows.execution import types as ex
from dataflows.fusion import types as fusion
from dataflows.panel import Bools, Ints
from dataflows.regime.types import REGIMES
from dataflows.risk import types as risk
from drivers.engine.chunk import Outputs

BRACKET_STOP: Final = 1
BRACKET_TARGET: Final = 2
"""What the ids of a bracket's two orders are beyond their entry's; those of all others are multiples of 4."""

_REPORTS: Final = {ex.FILL: "fill", ex.REJECT: "reject", ex.EXPIRE: "expire", ex.CANCELED_EVENT: "cancel"}

_SIDES: Final = {fusion.LONG: "LONG", fusion.SHORT: "SHORT"}


class EventLog(Protocol):
    """Where the lines go."""

    def lines(self, lines: Iterable[tuple[str, str, dict[str, Any]]]) -> None:
        """Several lines: (level, name, fields) of each. Level "warning" is for what a person should look at."""


class Event(NamedTuple):
    """One line to be: when, what, whether a person should look at it, and the rest."""

    time: int  # UTC ns
    name: str
    fields: dict[str, Any]
    warns: bool = False


def order_name(symbols: Sequence[str], column: int, order: int) -> str:
    """An order's id as people see it: symbol and sequence."""
    return f"{symbols[column]}-{order & 0xFFFFFFFF}"


def names_of(mask: int, names: Sequence[str]) -> list[str]:
    """The names of a bit mask's bits."""
    return list(_names_of(mask, tuple(names)))


@functools.lru_cache(4096)  # few masks come, and they come often
def _names_of(mask: int, names: tuple[str, ...]) -> list[str]:
    return [name for i, name in enumerate(names) if mask >> i & 1]


class Events:
    """Finds the events in successive outputs. It remembers the last bar, so that how the bars are cut changes no line.

    symbols: names of the columns. epoch_ns: the length of an epoch.
    """

    def __init__(self, symbols: Sequence[str], epoch_ns: int) -> None:
        self.symbols, self.epoch_ns = tuple(symbols), epoch_ns
        self._columns = {name: n for n, name in enumerate(self.symbols)}
        self._last: dict[str, Any] = {}

    def memory(self) -> dict[str, list[int]]:
        """What it remembers as JSON has it, for `recall`."""
        return {key: row.tolist() for key, row in self._last.items()}

    def recall(self, memory: Mapping[str, list[int]]) -> None:
        """Goes on from the `memory` of another."""
        self._last = {key: np.array(row, np.int64) for key, row in memory.items()}

    def write(self, log: EventLog, outputs: Outputs) -> list[Event]:
        """The events of successive bars into a log, by time. Returns them."""
        found = sorted(self.of(outputs), key=lambda e: e.time)
        times = np.array([event.time for event in found], np.int64)
        texts = np.datetime_as_string(times.astype("M8[ns]"), unit="s").tolist()  # as `stamp` writes each
        epochs = ((times - 1) // self.epoch_ns).tolist()
        log.lines(
            ("warning" if event.warns else "info", event.name, {"time": f"{text}Z", "epoch": epoch, **event.fields})
            for event, text, epoch in zip(found, texts, epochs, strict=True)
        )
        return found

    def noted(self, events: Sequence[Event], time: Ints) -> Bools:
        """(T, N): whether one of the events is about that bar and symbol. One that names no symbol is about all."""
        made = np.zeros((len(time), len(self.symbols)), np.bool_)
        bars = np.searchsorted(time, np.array([event.time for event in events], np.int64))
        for bar, event in zip(bars.tolist(), events, strict=True):
            name = event.fields.get("symbol")
            if name is None:
                made[bar] = True
            else:
                made[bar, self._columns[name]] = True
        return made

    def of(self, outputs: Outputs) -> Iterator[Event]:
        """The events of successive bars, kind by kind; what the graph has no layer for is left out."""
        values, time, at = outputs.values, outputs.time, outputs.offsets
        if "l0_market_feed" in values:
            yield from self._anomalies(values["l0_market_feed"].quality, time)
        if "l1_regime" in values and "l100_decision_audit" in values:
            yield from self._regimes(values["l1_regime"].label, values["l100_decision_audit"].regime_changed, time)
        if "l90_fills" in values:
            yield from self._reports(values["l90_fills"], at["l90_fills"], time)
        if "l96_order_lifecycle" in values:
            yield from self._brackets(values["l96_order_lifecycle"], time)
        if "l81_kill_switch" in values:
            yield from self._kills(values["l81_kill_switch"], time)
        if "l3_action_proposal" in values:
            yield from self._refusals(values["l3_action_proposal"], time)
        if "l5_execution_bridge" in values:
            log, offsets = values["l5_execution_bridge"], at["l5_execution_bridge"]
            if "l4_risk_gate" in values:
                yield from self._decisions(values["l4_risk_gate"], log, offsets, time)
            yield from self._orders(log, offsets, time)

    def _before(self, key: str, rows: Any, start: int) -> Any:
        """Each bar's row as it was one bar before; `start` before the first."""
        rows = np.asarray(rows, np.int64)
        first = self._last.get(key, np.full(rows.shape[1:], start, np.int64))
        self._last[key] = rows[-1].copy()
        return np.concatenate([first[None], rows[:-1]])

    def _anomalies(self, quality: Any, time: Ints) -> Iterator[Event]:
        first_missing = (quality.missing == 1) & (quality.stale == 1.0) & (quality.listed == 1)
        kinds = {"gap": first_missing, "outlier": quality.outlier == 1, "crossed_book": quality.crossed == 1}
        kinds |= {"duplicate": quality.duplicates > 0, "late": quality.late > 0}
        for kind, mask in kinds.items():
            for t, n in np.argwhere(mask):
                yield Event(time[t], "data_anomaly", {"layer": "L0", "symbol": self.symbols[n], "kind": kind}, warns=True)

    def _regimes(self, label: Ints, changed: Ints, time: Ints) -> Iterator[Event]:
        known = np.maximum.accumulate(np.where(label >= 0, np.arange(len(label))[:, None], -1), axis=0)
        last = self._last.get("label", np.full(label.shape[1], -1, np.int64))
        held = np.where(known >= 0, np.take_along_axis(label, np.maximum(known, 0), axis=0), last)
        before = self._before("label", held, -1)
        for at, n, now, then in _where(changed == 1, time, label, before):
            fields = {"regime": REGIMES[now], "before": REGIMES[then]}
            yield Event(at, "regime_change", {"layer": "L1", "symbol": self.symbols[n], **fields})

    def _reports(self, log: Any, offsets: Ints, time: Ints) -> Iterator[Event]:
        told = _entries(log, offsets, time, "kind", "id", "symbol", "reason", "quantity", "price", "fee")
        for at, kind, id_, symbol, reason, quantity, price, fee in told:
            if kind not in _REPORTS:
                continue
            fields = {"layer": "L90", **self._order(symbol, id_, id_ - (id_ & 3) if id_ & 3 else 0)}
            if kind == ex.FILL:
                fields |= {"quantity": quantity, "price": price, "fee": fee}
            elif reason:
                fields["reason"] = ex.REJECTIONS[reason]
            yield Event(at, _REPORTS[kind], fields, warns=kind == ex.REJECT)

    def _order(self, column: int, order: int, parent: int) -> dict[str, Any]:
        """The ids of an order."""
        found = {"symbol": self.symbols[column], "order": order_name(self.symbols, column, order)}
        return found | ({"parent": order_name(self.symbols, column, parent)} if parent else {})

    def _brackets(self, orders: Any, time: Ints) -> Iterator[Event]:
        for ids, prices, offset, key in (
            (orders.stop_id, orders.stop_price, BRACKET_STOP, "stop"),
            (orders.target_id, orders.target_price, BRACKET_TARGET, "target"),
        ):
            new = (ids != self._before(key, ids, 0)) & (ids & 3 == offset)
            for t, n in np.argwhere(new):
                fields = self._order(n, int(ids[t, n]), int(ids[t, n]) - offset)
                limited = offset == BRACKET_STOP and orders.stop_limit[t, n] == orders.stop_limit[t, n]
                type_ = ex.TAKE_PROFIT if offset == BRACKET_TARGET else ex.STOP_LIMIT if limited else ex.STOP_MARKET
                fields |= {"type": ex.ORDER_TYPES[type_], "price": float(prices[t, n])}
                if limited:
                    fields["limit_price"] = float(orders.stop_limit[t, n])
                yield Event(time[t], "bracket", {"layer": "L96", **fields})

    def _kills(self, kill: Any, time: Ints) -> Iterator[Event]:
        level = np.asarray(kill.overall)
        for t in np.flatnonzero(level != self._before("level", level, risk.RUN)):
            reasons = names_of(int(kill.overall_reason[t]), risk.KILL_REASONS)
            state = risk.LEVELS[level[t]]
            yield Event(time[t], "kill_switch", {"layer": "L81", "state": state, "reasons": reasons}, level[t] != risk.RUN)
        own = np.where(kill.level > level[:, None], kill.level, risk.RUN)  # beyond what holds for all
        for t, n in np.argwhere(own != self._before("own level", own, risk.RUN)):
            halted = own[t, n] != risk.RUN
            reasons = names_of(int(kill.reason[t, n]), risk.KILL_REASONS) if halted else []
            fields = {"symbol": self.symbols[n], "state": risk.LEVELS[own[t, n]], "reasons": reasons}
            yield Event(time[t], "kill_switch", {"layer": "L81", **fields}, bool(halted))

    def _refusals(self, proposal: Any, time: Ints) -> Iterator[Event]:
        why = np.where(fusion.with_an_edge(proposal) & (proposal.may_enter == 0), proposal.refusal, 0)
        new = (why != self._before("refusal", why, 0)) & (why != 0)
        for at, n, side, mask in _where(new, time, proposal.side, why):
            fields = {"symbol": self.symbols[n], "side": _SIDES.get(side, "FLAT"), "reasons": names_of(mask, fusion.REFUSALS)}
            yield Event(at, "refusal", {"layer": "L3", **fields})

    def _decisions(self, gate: Any, log: Any, offsets: Ints, time: Ints) -> Iterator[Event]:
        verdict, reasons = gate.verdict, gate.reasons
        began = verdict != self._before("verdict", verdict, risk.HOLD)
        began |= reasons != self._before("reasons", reasons, 0)
        sent: dict[tuple[int, int], list[str]] = {}
        for at, kind, n, id_ in _entries(log, offsets, time, "kind", "symbol", "id"):
            if kind != ex.MODIFY:
                sent.setdefault((at, n), []).append(order_name(self.symbols, n, id_))
        if sent:
            bars, columns = np.array(list(sent), np.int64).T
            began[np.searchsorted(time, bars), columns] = True
        decided = (verdict, gate.reduce_only, reasons, gate.target_weight)
        for at, n, what, reduces, mask, weight in _where(began & (verdict != risk.HOLD), time, *decided):
            yield Event(
                at,
                _decision(what, reduces),
                {
                    "layer": "L4",
                    "symbol": self.symbols[n],
                    "verdict": risk.VERDICTS[what],
                    "reasons": names_of(mask, risk.REASONS),
                    "target_weight": round(weight, 6) + 0.0,  # no -0
                    "orders": sent.get((at, n), []),
                },
            )

    def _orders(self, log: Any, offsets: Ints, time: Ints) -> Iterator[Event]:
        ids = ("kind", "symbol", "id", "parent")
        terms = ("type", "quantity", "reduce_only", "limit_price", "stop_price", "reason")
        for at, kind, n, id_, parent, type_, quantity, reduces, limit, stop, why in _entries(log, offsets, time, *ids, *terms):
            fields = {"layer": "L5", **self._order(n, id_, parent), "intent": ex.INTENTS[kind]}
            if kind == ex.PLACE:
                fields |= {"type": ex.ORDER_TYPES[type_], "quantity": quantity, "reduce_only": bool(reduces)}
            if limit == limit:
                fields["limit_price"] = limit
            if stop == stop:
                fields["stop_price"] = stop
            fields["reasons"] = names_of(why, risk.REASONS)
            yield Event(at, "order", fields)


def _decision(verdict: int, reduce_only: int) -> str:
    """What a verdict of L4 other than HOLD is called."""
    if verdict == risk.REJECTED:
        return "refusal"
    if verdict == risk.EXIT:
        return "exit"
    return "reduction" if reduce_only else "entry"


def _entries(log: Any, offsets: Ints, time: Ints, *names: str) -> Iterator[tuple[Any, ...]]:
    """Time of each entry of a log, and its fields of those names, as Python has numbers."""
    columns = [getattr(log, name)[: offsets[-1]].tolist() for name in names]
    return zip(np.repeat(time, np.diff(offsets)).tolist(), *columns, strict=True)


def _where(mask: Bools, time: Ints, *panels: Any) -> Iterator[tuple[Any, ...]]:
    """Time and column of each place of a mask (T, N) that is set, and the values of panels there, as Python has numbers."""
    t, n = np.nonzero(mask)
    return zip(time[t].tolist(), n.tolist(), *(panel[t, n].tolist() for panel in panels), strict=True)
