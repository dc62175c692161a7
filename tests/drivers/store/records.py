"""Outputs of a small graph, as the engine hands them to the sinks."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dataflows.execution.types import Executions, Ledger, OrderIntents
from dataflows.fusion.types import PARTS, Proposal
from dataflows.panel import IntPanel, Ints, Panel, Series, Stack, Table, fields_of, kind_of
from dataflows.risk.types import Approval
from tests.support import filled

SYMBOLS = ("BTCUSDT", "ETHUSDT")
MINUTE = 60 * 10**9
START = 1_772_323_200 * 10**9  # 2026-03-01T00:00:00Z
UID = (3 << 32, 5 << 32)


class Inner(NamedTuple):
    """A nested record."""

    high: Panel
    flag: IntPanel


class Shape(NamedTuple):
    """One leaf of every kind that a node may hand on."""

    level: Panel
    code: IntPanel
    account: Series
    both: Stack
    inner: Inner
    count: int
    hidden: Table


ANNOTATIONS: dict[str, Any] = {
    "l1_shape": Shape,
    "l2_single": Panel,
    "l3_action_proposal": Proposal,
    "l4_risk_gate": Approval,
    "l97_ledger": Ledger,
    "l5_execution_bridge": OrderIntents,
    "l90_fills": Executions,
}
DOMAINS = {
    "l1_shape": "regime",
    "l2_single": "regime",
    "l3_action_proposal": "fusion",
    "l4_risk_gate": "risk",
    "l97_ledger": "execution",
    "l5_execution_bridge": "execution",
    "l90_fills": "execution",
}


def times(a: int, b: int) -> Ints:
    """Closes of minutes a to b, the first at 00:01."""
    return START + MINUTE * np.arange(a + 1, b + 1, dtype=np.int64)


def log(record: Any, entries: list[dict[str, Any]]) -> Any:
    """A log of entries given by column; what is not given is NaN in columns of floats, 0 in the others."""
    columns = {}
    for name, annotation in fields_of(record).items():
        if name != "n":
            kind = kind_of(annotation)
            missing = np.nan if kind.dtype == "f8" and name != "fee_base" else 0
            columns[name] = np.array([e.get(name, missing) for e in entries], kind.numpy)
    return record(n=len(entries), **columns)


def logs(record: Any, instants: list[list[dict[str, Any]]]) -> tuple[Any, Ints]:
    """A log of the entries of successive instants, and its offsets."""
    at = np.concatenate([[0], np.cumsum([len(x) for x in instants])]).astype(np.int64)
    return log(record, [e for x in instants for e in x]), at


def outputs(a: int, b: int, seed: int = 0) -> dict[str, Any]:
    """Rows a to b of one long run of the small graph: the same values whatever the cut."""
    rng = np.random.default_rng(seed)
    bars, n = 600, len(SYMBOLS)
    level, both = rng.normal(size=(bars, n)), rng.normal(size=(bars, n, 3))
    level[::7, 0] = np.nan
    code = rng.integers(-1, 4, (bars, n))
    equity = 1000.0 + np.cumsum(rng.normal(size=bars))
    peak = np.maximum.accumulate(equity)
    side = rng.choice([-1, 0, 1, 2], (bars, n), p=[0.1, 0.7, 0.1, 0.1])
    verdict = np.where(np.abs(side) == 1, rng.integers(0, 4, (bars, n)), 0)
    shape = (bars, n)
    made = {
        "l1_shape": Shape(
            level,
            code,
            equity,
            both,
            Inner(level + 1.0, code + 1),
            np.arange(bars),
            np.zeros((bars, 4, n)),  # type: ignore[arg-type]
        ),
        "l2_single": level * 2.0,
        "l3_action_proposal": filled(
            Proposal,
            shape,
            0.5,
            side=side,
            refusal=np.where(side == 1, 5, 0),
            may_enter=np.ones(shape, np.int64),
            parts_bps=np.full((*shape, PARTS), 0.5),
        ),
        "l4_risk_gate": filled(
            Approval, shape, 0.0, verdict=verdict, reasons=verdict * 3, reduce_only=np.zeros(shape, np.int64)
        ),
        "l97_ledger": filled(
            Ledger, shape, 1.5, equity=equity, peak=peak, drawdown=1.0 - equity / peak, cash=equity, fees=np.zeros(bars)
        ),
    }
    cut = {name: _cut(value, a, b) for name, value in made.items()}
    cut["l5_execution_bridge"], cut["l90_fills"] = log(OrderIntents, []), log(Executions, [])
    return cut


def no_logs(bars: int) -> dict[str, Ints]:
    """Offsets of empty logs."""
    return {name: np.zeros(bars + 1, np.int64) for name in ("l5_execution_bridge", "l90_fills")}


def _cut(value: Any, a: int, b: int) -> Any:
    if isinstance(value, tuple):
        return type(value)(*[_cut(x, a, b) for x in value])
    return value[a:b]
