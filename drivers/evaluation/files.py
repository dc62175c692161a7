"""The tables of an evaluation as Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from drivers.evaluation.judged import Evaluation
from drivers.files.atomic import write_atomic_bytes


def write_files(evaluation: Evaluation, out: Path) -> None:
    """Writes `days`, `settings`, `windows`, `splits` and `ablation.parquet`; the last two only where there are any."""
    for name, table in tables(evaluation).items():
        if table.num_rows:
            sink = pa.BufferOutputStream()
            pq.write_table(table, sink)
            write_atomic_bytes(out / f"{name}.parquet", sink.getvalue().to_pybytes())


def tables(evaluation: Evaluation) -> dict[str, pa.Table]:
    """By name. Shares are of 1, ratios yearly, money in quote currency; null where the days do not say."""
    plan, series = evaluation.plan, evaluation.series
    names = [setting.name for setting in plan.settings]
    days, columns = series.returns.shape
    each = np.repeat(np.arange(days), columns)
    day = series.day.astype("datetime64[D]")
    settings: list[dict[str, Any]] = []
    windows: list[dict[str, Any]] = []
    for j in evaluation.judged:
        settings.append(
            {
                "setting": names[j.setting],
                "days": j.days,
                "total_return": j.total,
                "sharpe": j.sharpe,
                "sharpe_low": j.low,
                "sharpe_high": j.high,
                "probabilistic_sharpe": j.probabilistic,
                "deflated_sharpe": j.deflated,
                "minimum_track_record_days": j.track_record,
                "max_drawdown": j.drawdown,
                "round_trips": j.trips,
                "turnover": j.turnover,
                "fees": j.fees,
            }
        )
        for w, (total, ratio) in enumerate(j.windows):
            inside = series.day[series.window == w].astype("datetime64[D]")
            first, last = (inside.min().item(), inside.max().item()) if len(inside) else (None, None)
            windows.append(
                {"setting": names[j.setting], "window": w, "first_day": first, "last_day": last}
                | {"total_return": total, "sharpe": ratio}
            )
    return {
        "days": pa.table(
            {
                "market": [plan.markets[m].name for m in series.market[each]],
                "day": pa.array(day[each]),
                "window": series.window[each],
                "setting": [names[s] for s in series.settings] * days,
                "return": series.returns.reshape(-1),
            }
        ),
        "settings": pa.Table.from_pylist(settings),
        "windows": pa.Table.from_pylist(windows),
        "splits": pa.Table.from_pylist(
            [{"setting": names[s.setting], "sharpe_chosen": s.chosen, "sharpe_judged": s.judged} for s in evaluation.splits]
        ),
        "ablation": pa.Table.from_pylist(
            [
                {
                    "part": a.name,
                    "configured_on": a.configured_on,
                    "return_on": a.on[0],
                    "return_off": a.off[0],
                    "sharpe_on": a.on[1],
                    "sharpe_off": a.off[1],
                    "difference_a_year": a.difference,
                    "difference_low": a.low,
                    "difference_high": a.high,
                }
                for a in evaluation.ablated
            ]
        ),
    }
