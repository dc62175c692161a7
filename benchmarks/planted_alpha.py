"""`python -m benchmarks.planted_alpha DATA [--into PAGE]`: is a user's signal used where it is worth something?

Beside the bars of DATA goes an alpha.parquet with a planted rank correlation with the return of the next 60 bars: 0.25, 0.13,
0.05, and the first one shuffled. `stratoquant run --spec own_signal` trades each, and the sample market with the defaults. What
the account and L3 earned stands beside what one would have earned by L3's rule who knows the truth from the first bar: the
slope of the return on the signal, on the sample market the hidden drift. That one is a bound and no forecast.
"""

from __future__ import annotations

import argparse
import math
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from rich.console import Console
from scipy.stats import norm, rankdata

from benchmarks.earned import interval
from benchmarks.recorded import put_into
from dataflows.carry import start_state
from dataflows.fusion.config import FusionConfig
from dataflows.fusion.costs import Waiting
from dataflows.fusion.horizons import best_horizon
from dataflows.fusion.l3_action_proposal import ActionProposalCarry
from dataflows.fusion.proposals import Backing, Bounds, EntryRules, Proposed, propose
from dataflows.fusion.types import PARTS, Cost, Expectancy, Horizon
from dataflows.panel import Floats, Ints
from drivers.feeds.sample import SAMPLE_EDGE
from drivers.feeds.simulate import simulate_market
from drivers.report.contents import read_report
from drivers.run.batch import run_batch
from drivers.run.request import RunRequest

AHEAD: Final = 60
"""Bars over which the signal foretells the return."""
CORRELATIONS: Final = (0.25, 0.13, 0.05)
GROUP: Final = 60
"""Bars that are added up before they are resampled."""
SEED: Final = 1


@dataclass(frozen=True)
class Trips:
    """Round trips of one unit of notional each, in basis points after cost."""

    count: int
    realised: float
    low: float
    high: float  # ends of the 95 per cent interval of `realised`, trips taken as independent
    promised: float


@dataclass(frozen=True)
class Outcome:
    """What became of one signal."""

    name: str
    entries: int  # positions that the account opened
    profit: float  # fraction of equity, after all costs
    low: float
    high: float  # ends of its 95 per cent interval
    drawdown: float
    learned: Trips  # by L3, of one unit each
    known: Trips | None  # by the same rule, with the truth known


def planted(bars: pd.DataFrame, correlation: float, *, seed: int = SEED, shuffled: bool = False) -> pd.DataFrame:
    """A signal a symbol with a given rank correlation with the log return from the next open to the close AHEAD bars on.

    bars: columns timestamp (of the open), symbol, open, close, evenly spaced. The signal is rho * z + sqrt(1 - rho^2) * e: z
    the normal score of the return's rank, rho = 2 sin(pi / 6 * correlation), e noise without any correlation with z in the
    sample, as slow as z itself: what could be averaged away would be worth more than its correlation says. shuffled: in reverse
    order, moved by a third, which leaves all of it but what it foretells. Stamped with the close from which it is known.
    """
    rng = np.random.default_rng(seed)
    step = bars.groupby("symbol").timestamp.diff().median()
    rho = 2.0 * math.sin(math.pi / 6.0 * correlation)
    parts = []
    for symbol, own in bars.groupby("symbol", sort=True, observed=True):
        own = own.sort_values("timestamp")
        opens, closes = own.open.to_numpy(), own.close.to_numpy()
        ahead = np.log(closes[AHEAD:] / opens[1 : len(opens) - AHEAD + 1])
        z = norm.ppf(rankdata(ahead) / (len(ahead) + 1))
        noise = np.convolve(rng.standard_normal(len(z) + AHEAD - 1), np.ones(AHEAD), "valid")
        noise -= noise.mean()
        noise -= z * (noise @ z) / (z @ z)
        value = rho * z + math.sqrt(1.0 - rho * rho) * noise / noise.std() * z.std()
        if shuffled:
            value = np.roll(value[::-1], len(value) // 3)
        parts.append(pd.DataFrame({"timestamp": own.timestamp.to_numpy()[: len(z)], "symbol": symbol, "value": value}))
    made = pd.concat(parts, ignore_index=True)
    made["timestamp"] = pd.to_datetime(made.timestamp, utc=True) + step
    return made


def by_rule(edges: Floats, trip: Floats, carry: Floats, config: FusionConfig) -> tuple[Proposed, Horizon]:
    """What L70 and L3 make of edges (T, N, H) that are known for sure, at costs (T, N)."""
    shape = trip.shape
    one, none_saved, sure = np.ones(shape), np.zeros(shape), np.full(edges.shape, 1e9)
    parts = np.zeros((*edges.shape, PARTS))
    parts[..., 0] = edges
    learned = Expectancy(edges, np.zeros(edges.shape), sure, np.zeros((*shape, 1)), parts.reshape(*shape, -1))
    waiting = Waiting(bars=1, ratio=math.inf)  # at the market: `trip` is what entering costs
    cost = Cost(trip, none_saved, trip, trip, trip, carry)
    held = Horizon(*best_horizon(edges, sure, cost, waiting, config.horizons, config.entry_min_observations))
    course = start_state(ActionProposalCarry, {"N": shape[1]}, {"fusion": config}).course
    none = np.zeros(shape, np.int64)
    made = propose(
        learned,
        held,
        cost,
        Bounds(sigma=one, fraction=one, avoid=none),
        Backing(p_success=one, freshness=one, agreement=one, direction=none, strength=one),
        EntryRules(
            horizons=config.horizons,
            leave_cost=config.leave_cost,
            leave_halflife=config.leave_halflife,
            min_t=0.0,
            min_observations=0.0,
            multiplier=1.0,
            waiting=waiting,
        ),
        course,
    )
    return made, held


def trips(side: Ints, may_enter: Ints, edge: Floats, trip: Floats, opens: Floats) -> Trips:
    """Positions of one unit from the open after an allowed entry to that after the side ends. Panels (T, N), bps."""
    made, promised, told = [], 0.0, 0.0
    bars, symbols = side.shape
    for n in range(symbols):
        held, begun = 0, 0
        for t in range(bars - 1):
            s = int(side[t, n])
            if s not in (-1, 0, 1):
                continue
            if held and (s != held or t == bars - 2):
                made.append(held * 1e4 * (opens[t + 1, n] / opens[begun + 1, n] - 1.0) - trip[begun, n])
                promised += told
                held = 0
            if not held and s and may_enter[t, n]:
                held, begun = s, t
                told = float(edge[t, n] - trip[t, n])
    total, spread = float(np.sum(made)), 1.96 * math.sqrt(len(made)) * float(np.std(made)) if made else 0.0
    return Trips(len(made), total, total - spread, total + spread, promised)


def panels(run: Path, domain: str, names: Sequence[str]) -> list[Any]:
    """Recorded panels (T, N) of a run."""
    table = pd.read_parquet(run / "features" / f"{domain}.parquet", columns=["timestamp", "symbol", *names])
    table = table.set_index(["timestamp", "symbol"]).unstack()
    return [table[name].to_numpy() for name in names]


def outcome(name: str, data: Path | None, spec: str | None, truth: Any) -> Outcome:
    """Runs the whole command and reads what it earned. truth: of opens and closes (T, N) and horizons, the edges (T, N, H)."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        result = run_batch(RunRequest(data=data, out=out, spec=spec, report=False), Console(quiet=True))
        report = read_report(out)
        opens, closes, valid = panels(
            out, "data", ["l0_market_feed.bars.open", "l0_market_feed.bars.close", "l0_market_feed.quality.valid"]
        )
        side, may, edge, trip, carry = panels(
            out,
            "fusion",
            [
                *(f"l3_action_proposal.{field}" for field in ("side", "may_enter", "edge_bps")),
                *(f"l71_trading_cost.{field}" for field in ("round_trip_bps", "carry_bps_per_bar")),
            ],
        )
    opens = pd.DataFrame(np.where(valid == 1, opens, np.nan)).bfill().ffill().to_numpy()
    equity = report.account.equity if report.account else np.ones(2)
    gains = np.diff(equity) / equity[0]
    groups = len(gains) // GROUP
    low, high = interval(gains[: groups * GROUP].reshape(groups, GROUP).sum(axis=1))
    known = None
    if truth is not None:
        config = FusionConfig()
        made, _ = by_rule(truth(opens, closes, config.horizons), trip, carry, config)
        known = trips(made.side, made.may_enter, made.edge_bps, trip, opens)
    return Outcome(
        name,
        len(report.book.trips),
        float(equity[-1] / equity[0] - 1.0),
        low * groups,
        high * groups,
        float(result.summary["account"]["max_drawdown"]),
        trips(side, may, edge, trip, opens),
        known,
    )


def slope_known(alpha: pd.DataFrame) -> Any:
    """The edges of who knows, for each symbol, the slope of the return over AHEAD bars on the signal."""

    def edges(opens: Floats, closes: Floats, horizons: Sequence[int]) -> Floats:
        wide = alpha.pivot(index="timestamp", columns="symbol", values="value").to_numpy()
        signal = np.vstack([wide, np.full((len(opens) - len(wide), wide.shape[1]), np.nan)])
        ahead = np.full(opens.shape, np.nan)
        ahead[:-AHEAD] = 1e4 * (closes[AHEAD:] / opens[1 : len(opens) - AHEAD + 1] - 1.0)
        slope = np.nansum(ahead * signal, axis=0) / np.nansum(signal * signal, axis=0)
        made = np.zeros((*opens.shape, len(horizons)))
        made[..., list(horizons).index(AHEAD)] = np.nan_to_num(slope * signal)
        return made

    return edges


def drift_known(opens: Floats, _: Floats, horizons: Sequence[int]) -> Floats:
    """The edges of who sees the hidden drift of the sample market, and how long it lasts."""
    drift = simulate_market(seed=SEED, edge=SAMPLE_EDGE).truth.drift[: len(opens)]
    last = float((drift[1:] * drift[:-1]).sum() / (drift[:-1] ** 2).sum())
    return np.stack([1e4 * drift * last * (1.0 - last**h) / (1.0 - last) for h in horizons], axis=-1)


def of_units(made: Trips | None) -> str:
    """`12, 340 (-20 to 700), 300`."""
    if made is None or not made.count:
        return "none"
    return f"{made.count:,}, {made.realised:,.0f} ({made.low:,.0f} to {made.high:,.0f}), {made.promised:,.0f}"


def table(found: Sequence[Outcome]) -> str:
    """Markdown, a row a signal."""
    lines = [
        "| signal | entries | profit (95 %) | drawdown | trips of a unit: bps (95 %), promised | the same, truth known |",
        "|---|---|---|---|---|---|",
    ]
    for one in found:
        span = f" ({one.low:+.2%} to {one.high:+.2%})" if one.entries else ""
        cells = [one.name, f"{one.entries:,}", f"{one.profit:+.2%}{span}", f"{one.drawdown:.2%}"]
        lines.append("| " + " | ".join([*cells, of_units(one.learned), of_units(one.known)]) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Plants, runs and prints."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.planted_alpha", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path, help="a folder with bars.parquet")
    parser.add_argument("--into", type=Path, help="the page whose table is to be replaced; without it it is printed")
    asked = parser.parse_args(arguments)
    bars = pd.read_parquet(asked.data / "bars.parquet")
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for correlation, shuffled in (*((c, False) for c in CORRELATIONS), (CORRELATIONS[0], True)):
            data = Path(folder) / f"{correlation}{'-shuffled' * shuffled}"
            shutil.copytree(asked.data, data)
            alpha = planted(bars, correlation, shuffled=shuffled)
            alpha.to_parquet(data / "alpha.parquet")
            name = "shuffled" if shuffled else f"rank correlation {correlation}"
            found.append(outcome(name, data, "own_signal", None if shuffled else slope_known(alpha)))
    found.append(outcome("no signal, defaults", asked.data, None, None))
    found.append(outcome("sample market, defaults", None, None, drift_known))
    if asked.into:
        put_into(asked.into, "planted", table(found))
    else:
        print(table(found))


if __name__ == "__main__":
    main()
