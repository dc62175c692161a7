"""What the market side says of a data set, bar by bar, for the pages that ask what it has been worth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from dataflows.fusion.types import SOURCES
from dataflows.panel import Floats, Ints
from drivers.engine.chunk import Chunk
from drivers.engine.engine import Engine
from drivers.feeds.base import step_of
from drivers.files.atomic import write_atomic
from drivers.run.assembly import prepare_run
from drivers.run.progress import progress_bar
from drivers.run.request import RunRequest

SCORE = "score"
"""Name of L7's score among the signals."""


@dataclass(frozen=True)
class Said:
    """Panels (T, N) over a whole data set, by the close of each bar."""

    name: str
    symbols: tuple[str, ...]
    step: int  # ns
    time: Ints  # (T,)
    opens: Floats  # as L0 hands them on: NaN where unknown
    highs: Floats
    lows: Floats
    closes: Floats
    valid: Ints
    sigma: Floats  # L76's forecast, of a bar
    signals: dict[str, Floats]  # each source of L66, and L7's score
    side: Ints
    may_enter: Ints
    size: Floats
    refusal: Ints
    edge_bps: Floats  # (T, N, H) of L67
    horizons: tuple[int, ...]
    success_horizon: int  # bars: that of L68
    p_success: Floats
    brier: Floats
    round_trip_bps: Floats
    carry_bps: Floats  # a bar, paid by a long
    risk: Any  # RiskConfig


def said(folder: Path | None, console: Console, *, overrides: tuple[str, ...] = ()) -> Said:
    """Runs the whole graph over a data set (None: the built-in sample market) and keeps what the market side said."""
    parts: dict[str, list[Any]] = {}
    with progress_bar(console) as progress:
        session = prepare_run(RunRequest(data=folder, overrides=overrides), progress)
        task = progress.add_task(f"Running {session.data.about()['data']}", total=session.data.remaining())
        for seen in session.data.deliver(most=session.chunk_bars, epoch_ns=session.engine.epoch_ns):
            assert isinstance(seen, Chunk)  # a folder holds bars and nothing between them
            for key, value in _kept(session.engine, seen.time, seen.inputs).items():
                parts.setdefault(key, []).append(np.array(value))
            progress.update(task, advance=len(seen.time))
    whole = {key: np.concatenate(value) for key, value in parts.items()}
    values = whole.pop("values")
    signals = {source: np.ascontiguousarray(values[..., k]) for k, source in enumerate(SOURCES)} | {SCORE: whole.pop("score")}
    return Said(
        name=session.data.about()["data"] if folder is not None else "the sample market",
        symbols=session.data.symbols,
        step=step_of(session.data),
        signals=signals,
        horizons=session.configs["fusion"].horizons,
        success_horizon=session.configs["fusion"].success_horizon_bars,
        risk=session.configs["risk"],
        **whole,
    )


def put_into(page: Path, name: str, tables: str) -> None:
    """Replaces what stands on a page between the lines `<!-- name: begin -->` and `<!-- name: end -->`."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    text = page.read_text(encoding="utf-8")
    if begin not in text or end not in text:
        raise ValueError(f"{page} has no lines {begin} and {end}; put them where the tables go.")
    head, tail = text.partition(begin)[0], text.partition(end)[2]
    write_atomic(page, f"{head}{begin}\n\n{tables.strip()}\n\n{end}{tail}")


def _kept(engine: Engine, time: Ints, inputs: dict[str, Any]) -> dict[str, Any]:
    got = engine.advance(Chunk(time, inputs)).values
    bars, proposal, cost = got["l0_market_feed"].bars, got["l3_action_proposal"], got["l71_trading_cost"]
    return {
        "time": time,
        "opens": bars.open,
        "highs": bars.high,
        "lows": bars.low,
        "closes": bars.close,
        "valid": got["l0_market_feed"].quality.valid,
        "sigma": got["l76_volatility_forecast"].sigma_bar,
        "values": got["l66_signal_matrix"].values,
        "score": got["l7_ensemble"].score,
        "side": proposal.side,
        "may_enter": proposal.may_enter,
        "size": proposal.size_fraction,
        "refusal": proposal.refusal,
        "edge_bps": got["l67_expectancy"].edge_bps,
        "p_success": got["l68_success_probability"].p_success,
        "brier": got["l68_success_probability"].brier,
        "round_trip_bps": cost.round_trip_bps,
        "carry_bps": cost.carry_bps_per_bar,
    }
