"""What happened in a chunk, as structured log lines with the ids that tie them together: run, epoch, symbol, layer, order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from dataflows.execution import types as ex
from dataflows.panel import Ints
from dataflows.regime.types import REGIMES
from dataflows.risk import types as risk
from drivers.engine.engine import Outputs


class EventLog(Protocol):
    """Where the lines go."""

    def event(self, name: str, **fields: Any) -> None:
        """One line."""


def order_name(symbols: Sequence[str], column: int, order: int) -> str:
    """An order's id as people see it: symbol and sequence."""
    return f"{symbols[column]}-{order & 0xFFFFFFFF}"


def names_of(mask: int, names: Sequence[str]) -> list[str]:
    """The names of a bit mask's bits."""
    return [name for i, name in enumerate(names) if mask >> i & 1]


def stamp(ns: int) -> str:
    """UTC, ISO 8601."""
    return f"{np.datetime_as_string(np.datetime64(int(ns), 'ns'), unit='s')}Z"


def log_events(log: EventLog, outputs: Outputs, symbols: Sequence[str], epoch: int) -> None:
    """Data anomalies (L0), regime changes (L1), decisions (L4), the kill switch (L81), orders (L5), fills and rejects (L90)."""
    for time, name, fields in sorted(_events(outputs, symbols), key=lambda e: e[0]):
        log.event(name, time=stamp(time), epoch=epoch, **fields)


def _events(outputs: Outputs, symbols: Sequence[str]) -> Iterator[tuple[int, str, dict[str, Any]]]:
    values, time = outputs.values, outputs.time
    if "l0_market_feed" in values:
        yield from _anomalies(values["l0_market_feed"].quality, time, symbols)
    if "l100_decision_audit" in values:
        label = values["l1_regime"].label
        for t, n in np.argwhere(values["l100_decision_audit"].regime_changed == 1):
            regime = REGIMES[label[t, n]] if label[t, n] >= 0 else "UNKNOWN"
            yield time[t], "regime_change", {"layer": "L1", "symbol": symbols[n], "regime": regime}
    if "l4_risk_gate" in values:
        yield from _decisions(values["l4_risk_gate"], time, symbols)
    if "l81_kill_switch" in values:
        yield from _kills(values["l81_kill_switch"], time)
    if "l5_execution_bridge" in values:
        yield from _orders(values["l5_execution_bridge"], outputs.offsets["l5_execution_bridge"], time, symbols)
    if "l90_fills" in values:
        yield from _reports(values["l90_fills"], outputs.offsets["l90_fills"], time, symbols)


def _anomalies(quality: Any, time: Ints, symbols: Sequence[str]) -> Iterator[tuple[int, str, dict[str, Any]]]:
    listed = quality.listed == 1
    first_missing = (quality.missing == 1) & (quality.stale == 1.0) & listed
    kinds = {"gap": first_missing, "outlier": quality.outlier == 1, "crossed_book": quality.crossed == 1}
    kinds |= {"duplicate": quality.duplicates > 0, "late": quality.late > 0}
    for kind, mask in kinds.items():
        for t, n in np.argwhere(mask):
            yield time[t], "data_anomaly", {"layer": "L0", "symbol": symbols[n], "kind": kind}


def _decisions(gate: Any, time: Ints, symbols: Sequence[str]) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """A line where a verdict or its reasons begin, not one for every bar that they last."""
    verdict, reasons = gate.verdict, gate.reasons
    changed = np.ones(verdict.shape, bool)
    changed[1:] = (verdict[1:] != verdict[:-1]) | (reasons[1:] != reasons[:-1])
    for t, n in np.argwhere(changed & (verdict != risk.HOLD)):
        yield (
            time[t],
            "decision",
            {
                "layer": "L4",
                "symbol": symbols[n],
                "verdict": risk.VERDICTS[verdict[t, n]],
                "reasons": names_of(int(reasons[t, n]), risk.REASONS),
                "target_weight": round(float(gate.target_weight[t, n]), 6),
            },
        )


def _kills(kill: Any, time: Ints) -> Iterator[tuple[int, str, dict[str, Any]]]:
    level = np.asarray(kill.overall)
    for t in np.flatnonzero(np.diff(level, prepend=level[:1]) != 0):
        reasons = names_of(int(kill.overall_reason[t]), risk.KILL_REASONS)
        yield time[t], "kill_switch", {"layer": "L81", "level": risk.LEVELS[level[t]], "reasons": reasons}


def _at(offsets: Ints) -> Ints:
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))


def _orders(log: Any, offsets: Ints, time: Ints, symbols: Sequence[str]) -> Iterator[tuple[int, str, dict[str, Any]]]:
    for i, t in enumerate(_at(offsets)):
        n = int(log.symbol[i])
        yield (
            time[t],
            "order",
            {
                "layer": "L5",
                "symbol": symbols[n],
                "order": order_name(symbols, n, int(log.id[i])),
                "intent": ex.INTENTS[log.kind[i]],
                "type": ex.ORDER_TYPES[log.type[i]],
                "quantity": float(log.quantity[i]),
                "reduce_only": bool(log.reduce_only[i]),
            },
        )


def _reports(log: Any, offsets: Ints, time: Ints, symbols: Sequence[str]) -> Iterator[tuple[int, str, dict[str, Any]]]:
    for i, t in enumerate(_at(offsets)):
        kind, n = int(log.kind[i]), int(log.symbol[i])
        fields: Mapping[str, Any] = {"layer": "L90", "symbol": symbols[n], "order": order_name(symbols, n, int(log.id[i]))}
        if kind == ex.FILL:
            filled = {"quantity": float(log.quantity[i]), "price": float(log.price[i]), "fee": float(log.fee[i])}
            yield time[t], "fill", {**fields, **filled}
        elif kind in (ex.REJECT, ex.EXPIRE):
            yield time[t], "reject" if kind == ex.REJECT else "expire", {**fields, "reason": ex.REJECTIONS[log.reason[i]]}
