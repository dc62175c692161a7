"""Which cap binds how often, what trading costs by kind of fill, and where held net went beyond its cap.

    python -m benchmarks.account_costs RUN [RUN ...]

open, add, trim, close: a fill that begins a position, enlarges it, makes it smaller or ends it. Costs are fees and slippage
against the reference price. A violation is a bar at which a position has grown on the side on which the net weight of all
positions, at that bar's marks, is beyond `risk.net`; drift alone is counted apart.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from dataflows.risk.types import REASONS
from drivers.project.configs import load_configs
from drivers.store.reader import RecordedRun, open_run

CAPS = (
    "VOLATILITY_TARGET",
    "INSTRUMENT_CAP",
    "GROSS_CAP",
    "NET_CAP",
    "CONCENTRATION",
    "OPEN_RISK",
    "TAIL_BUDGET",
    "DRAWDOWN_THROTTLE",
)
KINDS = ("open", "add", "trim", "close")


def kinds_of(fills: pd.DataFrame) -> list[str]:
    """What each fill does to the position of its symbol."""
    held: dict[str, float] = {}
    kinds = []
    for row in fills.itertuples():
        before = held.get(row.symbol, 0.0)
        after = before + (row.quantity if row.side == "BUY" else -row.quantity)
        after = 0.0 if abs(after) < 1e-9 * max(abs(before), row.quantity) else after
        held[row.symbol] = after
        if before == 0.0:
            kinds.append("open")
        elif after == 0.0 or before * after < 0.0:
            kinds.append("close")
        else:
            kinds.append("add" if abs(after) > abs(before) else "trim")
    return kinds


def costs(run: RecordedRun) -> pd.DataFrame:
    """Fills, notional, fees and slippage by kind, in quote currency."""
    fills = run.frame("fills")
    fills["kind"] = kinds_of(fills)
    fills["notional"] = fills["price"] * fills["quantity"]
    paid = np.where(fills["side"] == "BUY", 1.0, -1.0) * (fills["price"] - fills["reference_price"]) * fills["quantity"]
    fills["slippage"] = paid
    table = fills.groupby("kind")[["notional", "fee", "slippage"]].sum().reindex(KINDS).fillna(0.0)
    table.insert(0, "fills", fills["kind"].value_counts().reindex(KINDS).fillna(0).astype(int))
    return table


def binding(run: RecordedRun) -> dict[str, float]:
    """The share of the bars with a position or a proposal in which each cap lowered the target."""
    columns = ["l4_risk_gate.reasons", "l4_risk_gate.verdict", "l4_risk_gate.target_weight"]
    frame = run.frame("features/risk")[columns]
    active = frame[(frame["l4_risk_gate.verdict"] != 0) | (frame["l4_risk_gate.target_weight"] != 0.0)]
    masks = active["l4_risk_gate.reasons"].to_numpy(np.int64)
    return {name: float((masks >> REASONS.index(name) & 1).mean()) if len(masks) else 0.0 for name in CAPS}


def net_violations(run: RecordedRun, most: float) -> tuple[int, int, float]:
    """(bars at which a position grew beyond the net cap, bars beyond it in all, largest |net| over the cap)."""
    frame = run.frame("features/execution")
    wide = {
        name: frame.pivot(index="timestamp", columns="symbol", values=f"l97_ledger.{name}").to_numpy(float)
        for name in ("position", "mark", "equity")
    }
    weight = np.nan_to_num(wide["position"] * wide["mark"] / wide["equity"])
    net = weight.sum(axis=1)
    side = np.sign(net)
    grown = np.abs(wide["position"][1:]) > np.abs(wide["position"][:-1]) * (1.0 + 1e-9)
    on_side = (grown & (weight[1:] * side[1:, None] > 0.0)).any(axis=1)
    beyond = np.abs(net) > most * (1.0 + 1e-9)
    return int((beyond[1:] & on_side).sum()), int(beyond.sum()), float(np.abs(net).max() / most)


def setting_of(run: RecordedRun) -> Any:
    """The run's own settings of the risk domain."""
    return load_configs(run.project)["risk"]


def main(folders: list[str]) -> None:
    """Prints the three tables of each run."""
    for folder in folders:
        run = open_run(Path(folder))
        risk = setting_of(run)
        print(f"\n{folder}")
        print(costs(run).round(2).to_string())
        print("caps: " + ", ".join(f"{name} {share:.1%}" for name, share in binding(run).items()))
        grew, beyond, worst = net_violations(run, float(risk.net))
        print(f"net cap {risk.net:g}: grown beyond it at {grew} bars; beyond it at {beyond}; at most {worst:.3f} times")


if __name__ == "__main__":
    main(sys.argv[1:])
