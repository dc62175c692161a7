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
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias

import numpy as np

from dataflows.execution import types as ex
from dataflows.fusion import types as fusion
from dataflows.panel import Bools, Floats, Ints
from dataflows.regime.types import REGIMES
from dataflows.risk import types as risk
from drivers.engine.chunk import Outputs
from drivers.runlog.lines import Event, Fact, Lines, OneOf, Stated, What

BRACKET_STOP: Final = 1
BRACKET_TARGET: Final = 2
"""What the ids of a bracket's two orders are beyond their entry's; those of all others are multiples of 4."""

Told: TypeAlias = tuple[Fact, Sequence[Any]]
"""A fact with the keys of each line."""


class EventLog(Protocol):
    """Where the lines go."""

    def lines(self, forms: Sequence[Lines]) -> None:
        """Lines of several forms, in order of their bars; those of one bar as the forms come."""


def order_name(symbols: Sequence[str], column: int, order: int) -> str:
    """An order's id as people see it: symbol and sequence."""
    return f"{symbols[column]}-{order & 0xFFFFFFFF}"


def names_of(mask: int, names: Sequence[str]) -> list[str]:
    """The names of a bit mask's bits."""
    return list(_names_of(mask, tuple(names)))


@functools.lru_cache(4096)  # few masks come, and they come often
def _names_of(mask: int, names: tuple[str, ...]) -> list[str]:
    return [name for i, name in enumerate(names) if mask >> i & 1]


def _masked(name: str, names: Sequence[str]) -> OneOf:
    return OneOf(name, lambda mask: names_of(mask, names))


def _coded(name: str, names: Sequence[str], none: int | None = None) -> OneOf:
    return OneOf(name, lambda code: None if code == none else names[code])


_REPORTS: Final = {
    ex.FILL: What("fill"),
    ex.REJECT: What("reject", warns=True),
    ex.EXPIRE: What("expire"),
    ex.CANCELED_EVENT: What("cancel"),
}
_REFUSED: Final = What("refusal")
_SIDES: Final = {fusion.LONG: "LONG", fusion.SHORT: "SHORT"}

_EPOCH: Final = OneOf("epoch", int)
_LAYER: Final = OneOf("layer", str)
_ANOMALY: Final = OneOf("kind", str)
_REGIME, _REGIME_BEFORE = _coded("regime", REGIMES), _coded("before", REGIMES)
_REJECTION: Final = _coded("reason", ex.REJECTIONS, none=0)
_TYPE: Final = _coded("type", ex.ORDER_TYPES, none=-1)
_INTENT: Final = _coded("intent", ex.INTENTS)
_STATE: Final = _coded("state", risk.LEVELS)
_KILL_REASONS: Final = _masked("reasons", risk.KILL_REASONS)
_SIDE: Final = OneOf("side", lambda side: _SIDES.get(side, "FLAT"))
_REFUSALS: Final = _masked("reasons", fusion.REFUSALS)
_VERDICT: Final = _coded("verdict", risk.VERDICTS)
_REASONS: Final = _masked("reasons", risk.REASONS)
_ORDERS: Final = OneOf("orders", list)
_REDUCE_ONLY: Final = OneOf("reduce_only", lambda code: None if code < 0 else code == 1)
_ORDER, _PARENT = Stated("order"), Stated("parent")
_QUANTITY, _PRICE, _FEE = Stated("quantity"), Stated("price"), Stated("fee")
_LIMIT_PRICE, _STOP_PRICE = Stated("limit_price"), Stated("stop_price")
_TARGET_WEIGHT: Final = Stated("target_weight")


class Events:
    """Finds the events in successive outputs. It remembers the last bar, so that how the bars are cut changes no line.

    symbols: names of the columns. epoch_ns: the length of an epoch.
    """

    def __init__(self, symbols: Sequence[str], epoch_ns: int) -> None:
        self.symbols, self.epoch_ns = tuple(symbols), epoch_ns
        self._symbol = _coded("symbol", self.symbols)
        self._last: dict[str, Any] = {}

    def memory(self) -> dict[str, list[int]]:
        """What it remembers as JSON has it, for `recall`."""
        return {key: row.tolist() for key, row in self._last.items()}

    def recall(self, memory: Mapping[str, list[int]]) -> None:
        """Goes on from the `memory` of another."""
        self._last = {key: np.array(row, np.int64) for key, row in memory.items()}

    def write(self, log: EventLog, outputs: Outputs) -> Bools:
        """The events of successive bars into a log, by time. Returns which bars and symbols they are about, (T, N); one that
        names no symbol is about all."""
        noted = np.zeros((len(outputs.time), len(self.symbols)), np.bool_)
        forms = [form for form in self.forms(outputs) if len(form.bar)]
        for form in forms:
            noted[form.bar, slice(None) if form.column is None else form.column] = True
        log.lines([form._replace(facts=[*when, *form.facts]) for form, when in self._dated(forms, noted, outputs.time)])
        return noted

    def _dated(self, forms: Sequence[Lines], noted: Bools, time: Ints) -> Iterator[tuple[Lines, list[Told]]]:
        """Each form with time and epoch of its lines. Several lines are about one bar, of which the text is made once."""
        bars = np.flatnonzero(noted.any(axis=1))
        texts = np.datetime_as_string(time[bars].astype("M8[ns]"), unit="s").tolist()  # as `stamp` writes each
        stamps = {bar: f"{text}Z" for bar, text in zip(bars.tolist(), texts, strict=True)}
        stamp = OneOf("time", stamps.__getitem__)
        stamp.update(zip(stamps, Stated("time").texts_of(list(stamps.values())), strict=True))
        epoch = (time - 1) // self.epoch_ns
        for form in forms:
            yield form, [(stamp, form.bar.tolist()), (_EPOCH, epoch[form.bar].tolist())]

    def of(self, outputs: Outputs) -> Iterator[Event]:
        """The events of successive bars, kind by kind; what the graph has no layer for is left out."""
        for form in self.forms(outputs):
            yield from form.events(outputs.time)

    def forms(self, outputs: Outputs) -> Iterator[Lines]:
        """The same as columns."""
        values, at = outputs.values, outputs.offsets
        if "l0_market_feed" in values:
            yield from self._anomalies(values["l0_market_feed"].quality)
        if "l1_regime" in values and "l100_decision_audit" in values:
            yield self._regimes(values["l1_regime"].label, values["l100_decision_audit"].regime_changed)
        if "l90_fills" in values:
            yield self._reports(values["l90_fills"], at["l90_fills"])
        if "l96_order_lifecycle" in values:
            yield from self._brackets(values["l96_order_lifecycle"])
        if "l81_kill_switch" in values:
            yield from self._kills(values["l81_kill_switch"])
        if "l3_action_proposal" in values:
            yield self._refusals(values["l3_action_proposal"])
        if "l5_execution_bridge" in values:
            log, offsets = values["l5_execution_bridge"], at["l5_execution_bridge"]
            if "l4_risk_gate" in values:
                yield self._decisions(values["l4_risk_gate"], log, offsets)
            yield self._orders(log, offsets)

    def _lines(self, layer: str, bar: Ints, column: Ints | None, what: What | Sequence[What], *facts: Told) -> Lines:
        """The lines of a layer about so many bars and symbols."""
        many = len(bar)
        about: list[Told] = [(_LAYER, [layer] * many)]
        if column is not None:
            about.append((self._symbol, column.tolist()))
        return Lines(bar, column, [what] * many if isinstance(what, What) else what, [*about, *facts])

    def _ids(self, column: Ints, order: Ints, parent: Ints) -> tuple[Told, Told]:
        """The ids of orders of these symbols; a parent 0 is none."""
        columns = column.tolist()
        orders = [order_name(self.symbols, n, i) for n, i in zip(columns, order.tolist(), strict=True)]
        parents = [order_name(self.symbols, n, i) if i else None for n, i in zip(columns, parent.tolist(), strict=True)]
        return (_ORDER, orders), (_PARENT, parents)

    def _before(self, key: str, rows: Any, start: int) -> Any:
        """Each bar's row as it was one bar before; `start` before the first."""
        rows = np.asarray(rows, np.int64)
        first = self._last.get(key, np.full(rows.shape[1:], start, np.int64))
        self._last[key] = rows[-1].copy()
        return np.concatenate([first[None], rows[:-1]])

    def _anomalies(self, quality: Any) -> Iterator[Lines]:
        first_missing = (quality.missing == 1) & (quality.stale == 1.0) & (quality.listed == 1)
        kinds = {"gap": first_missing, "outlier": quality.outlier == 1, "crossed_book": quality.crossed == 1}
        kinds |= {"duplicate": quality.duplicates > 0, "late": quality.late > 0}
        for kind, mask in kinds.items():
            t, n = np.nonzero(mask)
            yield self._lines("L0", t, n, What("data_anomaly", warns=True), (_ANOMALY, [kind] * len(t)))

    def _regimes(self, label: Ints, changed: Ints) -> Lines:
        known = np.maximum.accumulate(np.where(label >= 0, np.arange(len(label))[:, None], -1), axis=0)
        last = self._last.get("label", np.full(label.shape[1], -1, np.int64))
        held = np.where(known >= 0, np.take_along_axis(label, np.maximum(known, 0), axis=0), last)
        before = self._before("label", held, -1)
        t, n = np.nonzero(changed == 1)
        facts = ((_REGIME, label[t, n].tolist()), (_REGIME_BEFORE, before[t, n].tolist()))
        return self._lines("L1", t, n, What("regime_change"), *facts)

    def _reports(self, log: Any, offsets: Ints) -> Lines:
        told = np.flatnonzero(np.isin(log.kind[: offsets[-1]], list(_REPORTS)))
        kind, id_, symbol, reason = (getattr(log, name)[told] for name in ("kind", "id", "symbol", "reason"))
        filled = kind == ex.FILL
        numbers = [(fact, _where(filled, getattr(log, fact.name)[told])) for fact in (_QUANTITY, _PRICE, _FEE)]
        return self._lines(
            "L90",
            _bars(offsets)[told],
            symbol,
            [_REPORTS[k] for k in kind.tolist()],
            *self._ids(symbol, id_, np.where(id_ & 3, id_ - (id_ & 3), 0)),
            *numbers,
            (_REJECTION, np.where(filled, 0, reason).tolist()),
        )

    def _brackets(self, orders: Any) -> Iterator[Lines]:
        for ids, prices, offset, key in (
            (orders.stop_id, orders.stop_price, BRACKET_STOP, "stop"),
            (orders.target_id, orders.target_price, BRACKET_TARGET, "target"),
        ):
            t, n = np.nonzero((ids != self._before(key, ids, 0)) & (ids & 3 == offset))
            own, limit = ids[t, n], orders.stop_limit[t, n]
            limited = np.full(len(t), offset == BRACKET_STOP) & (limit == limit)
            plain = ex.TAKE_PROFIT if offset == BRACKET_TARGET else ex.STOP_MARKET
            yield self._lines(
                "L96",
                t,
                n,
                What("bracket"),
                *self._ids(n, own, own - offset),
                (_TYPE, np.where(limited, ex.STOP_LIMIT, plain).tolist()),
                (_PRICE, prices[t, n].tolist()),
                (_LIMIT_PRICE, _where(limited, limit)),
            )

    def _kills(self, kill: Any) -> Iterator[Lines]:
        level = np.asarray(kill.overall)
        t = np.flatnonzero(level != self._before("level", level, risk.RUN))
        yield self._kill(t, None, level[t], np.asarray(kill.overall_reason)[t])
        own = np.where(kill.level > level[:, None], kill.level, risk.RUN)  # beyond what holds for all
        t, n = np.nonzero(own != self._before("own level", own, risk.RUN))
        yield self._kill(t, n, own[t, n], np.where(own[t, n] != risk.RUN, kill.reason[t, n], 0))

    def _kill(self, t: Ints, n: Ints | None, level: Ints, reason: Ints) -> Lines:
        what = [What("kill_switch", warns=state != risk.RUN) for state in level.tolist()]
        return self._lines("L81", t, n, what, (_STATE, level.tolist()), (_KILL_REASONS, reason.tolist()))

    def _refusals(self, proposal: Any) -> Lines:
        why = np.where(fusion.with_an_edge(proposal) & (proposal.may_enter == 0), proposal.refusal, 0)
        t, n = np.nonzero((why != self._before("refusal", why, 0)) & (why != 0))
        facts = ((_SIDE, proposal.side[t, n].tolist()), (_REFUSALS, why[t, n].tolist()))
        return self._lines("L3", t, n, _REFUSED, *facts)

    def _decisions(self, gate: Any, log: Any, offsets: Ints) -> Lines:
        verdict, reasons = gate.verdict, gate.reasons
        began = verdict != self._before("verdict", verdict, risk.HOLD)
        began |= reasons != self._before("reasons", reasons, 0)
        told = np.flatnonzero(log.kind[: offsets[-1]] != ex.MODIFY)
        bars, symbol = _bars(offsets)[told], log.symbol[told]
        began[bars, symbol] = True
        sent: dict[tuple[int, int], tuple[str, ...]] = {}
        for bar, n, id_ in zip(bars.tolist(), symbol.tolist(), log.id[told].tolist(), strict=True):
            sent[bar, n] = (*sent.get((bar, n), ()), order_name(self.symbols, n, id_))
        t, n = np.nonzero(began & (verdict != risk.HOLD))
        said = verdict[t, n].tolist()
        return self._lines(
            "L4",
            t,
            n,
            [_decision(what, reduces) for what, reduces in zip(said, gate.reduce_only[t, n].tolist(), strict=True)],
            (_VERDICT, said),
            (_REASONS, reasons[t, n].tolist()),
            (_TARGET_WEIGHT, [round(weight, 6) + 0.0 for weight in gate.target_weight[t, n].tolist()]),  # no -0
            (_ORDERS, [sent.get(place, ()) for place in zip(t.tolist(), n.tolist(), strict=True)]),
        )

    def _orders(self, log: Any, offsets: Ints) -> Lines:
        of = {name: getattr(log, name)[: offsets[-1]] for name in log._fields if name != "n"}
        symbol, kind = of["symbol"], of["kind"]
        placed = kind == ex.PLACE
        return self._lines(
            "L5",
            _bars(offsets),
            symbol,
            What("order"),
            *self._ids(symbol, of["id"], of["parent"]),
            (_INTENT, kind.tolist()),
            (_TYPE, np.where(placed, of["type"], -1).tolist()),
            (_QUANTITY, _where(placed, of["quantity"])),
            (_REDUCE_ONLY, np.where(placed, of["reduce_only"] != 0, -1).tolist()),
            (_LIMIT_PRICE, _where(~np.isnan(of["limit_price"]), of["limit_price"])),
            (_STOP_PRICE, _where(~np.isnan(of["stop_price"]), of["stop_price"])),
            (_REASONS, of["reason"].tolist()),
        )


def _decision(verdict: int, reduce_only: int) -> What:
    """What a verdict of L4 other than HOLD is called."""
    if verdict == risk.REJECTED:
        return _REFUSED
    if verdict == risk.EXIT:
        return What("exit")
    return What("reduction") if reduce_only else What("entry")


def _bars(offsets: Ints) -> Ints:
    """Which bar each entry of a log is of."""
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))


def _where(mask: Bools, numbers: Floats) -> list[float | None]:
    """Numbers as Python has them; None where the mask is not set."""
    return [number if there else None for number, there in zip(numbers.tolist(), mask.tolist(), strict=True)]
