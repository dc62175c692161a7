"""`python -m benchmarks.promises [DATA...]`: does what L67 and L68 say come true? The sample market first. `--into`, `-o`.

For L67, the gross return of a position on the side of the edge against the edge it was promised, at each horizon; for L68, how
often the target or a gain came before the stop against the chance it was given. Both by walking each sample's future once more,
out of the recorded panels. Samples overlap and symbols move together: a bin's standard error is that of sums over blocks of
`horizon` bars, which overlap with their neighbours (Newey and West 1987, with one lag of half weight).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from rich.console import Console

from benchmarks.recorded import Said, put_into, said
from dataflows.panel import Floats

BINS = 10
"""Tenths of what was said."""


@dataclass(frozen=True)
class Curve:
    """What was said and what came, by tenths of what was said."""

    name: str
    said: Floats
    came: Floats
    error: Floats  # standard error of what came
    samples: int


def outcomes(what: Said, horizon: int) -> Floats:
    """Payoff of a position on the side of the edge at each bar, as L68 defines it: 0 the stop, 1 the target, NaN unknown."""
    side = np.sign(what.edge_bps[..., what.horizons.index(horizon)])
    count = len(side) - horizon
    stop = np.minimum(what.risk.stop_sigma * what.sigma[:count] * math.sqrt(horizon), what.risk.stop_max)
    side = side[:count]
    whole = what.valid == 1
    entry = np.where(whole[1 : count + 1], what.opens[1 : count + 1], np.nan)
    up = entry * (1.0 + np.where(side > 0, what.risk.reward_risk, 1.0) * stop)
    down = entry * (1.0 - np.where(side > 0, 1.0, what.risk.reward_risk) * stop)
    won = np.full(side.shape, np.nan)
    for h in range(1, horizon + 1):
        seen = whole[h : count + h]
        above, below = seen & (what.highs[h : count + h] >= up), seen & (what.lows[h : count + h] <= down)
        now = np.isnan(won) & (above | below)
        won[now] = np.where(side > 0, above & ~below, below & ~above)[now]
    late = np.isnan(won)
    gain = side * (what.closes[horizon : count + horizon] / entry - 1.0) / stop
    won[late] = np.clip((1.0 + gain) / (1.0 + what.risk.reward_risk), 0.0, 1.0)[late]
    void = (
        (side == 0.0) | np.isnan(side) | np.isnan(entry) | np.isnan(stop) | ~whole[:count] | ~whole[horizon : count + horizon]
    )
    won[void] = np.nan
    return np.vstack([won, np.full((horizon, won.shape[1]), np.nan)])


def returns(what: Said, horizon: int) -> Floats:
    """Gross return in bps from the next open to the close `horizon` bars on, of a position on the side of the edge."""
    side = np.sign(what.edge_bps[..., what.horizons.index(horizon)])
    side[side == 0.0] = np.nan
    count = len(side) - horizon
    good = np.where(what.valid == 1, 1.0, np.nan)
    move = what.closes[horizon:] * good[horizon:] / (what.opens[1 : count + 1] * good[1 : count + 1]) - 1.0
    return np.vstack([1e4 * side[:count] * move, np.full((horizon, side.shape[1]), np.nan)])


def error_of(came: Floats, when: Floats, horizon: int) -> float:
    """Standard error of the mean of `came`, told at the bars `when`, from its sums over blocks of `horizon` bars."""
    block = (when // horizon).astype(np.int64)
    sums = np.bincount(block - block.min(), weights=came - came.mean())
    return math.sqrt(max(float(sums @ sums + sums[1:] @ sums[:-1]), 0.0)) / len(came)


def curve(name: str, told: Floats, came: Floats, horizon: int, skip: int) -> Curve | None:
    """By tenths of what was told; None where there is too little. skip: first bars that are left out."""
    use = np.isfinite(told) & np.isfinite(came)
    use[:skip] = False
    x, y, when = told[use], came[use], np.nonzero(use)[0]
    if len(x) < 2 * BINS * horizon:
        return None
    parts = np.array_split(np.argsort(x, kind="stable"), BINS)
    means = (np.array([v[p].mean() for p in parts]) for v in (x, y))
    return Curve(name, *means, np.array([error_of(y[p], when[p], horizon) for p in parts]), len(x))


def curves(what: Said) -> list[Curve]:
    """Of L68 at its horizon and of L67 at each, after 1440 bars, or a third of the data where that is less."""
    skip = min(1440, len(what.time) // 3)
    h = what.success_horizon
    found = [
        curve(f"L68, {h} bars", np.where(np.isfinite(outcomes(what, h)), what.p_success, np.nan), outcomes(what, h), h, skip)
    ]
    for j, horizon in enumerate(what.horizons):
        edge = np.abs(what.edge_bps[..., j])
        edge[edge == 0.0] = np.nan
        found.append(curve(f"L67, {horizon} bars", edge, returns(what, horizon), horizon, skip))
    return [one for one in found if one is not None]


def table(what: Said, found: Sequence[Curve]) -> str:
    """Markdown: said and came, a tenth a column."""
    lines = ["| layer | samples | " + " | ".join(f"{i + 1}" for i in range(BINS)) + " |", "|---|---|" + "---|" * BINS]
    for one in found:
        digits = 3 if one.name.startswith("L68") else 1
        cells = [
            f"{a:.{digits}f}: {b:.{digits}f} ± {e:.{digits}f}" for a, b, e in zip(one.said, one.came, one.error, strict=True)
        ]
        lines.append(f"| {one.name} | {one.samples:,} | " + " | ".join(cells) + " |")
    last = ", ".join(f"{x:.3f}" for x in what.brier[-1])
    lines += ["", f"L68's own Brier score at the end, by symbol: {last}."]
    return "\n".join(lines)


def picture(found: Sequence[Curve], path: Path) -> None:
    """A panel a curve: what came against what was said, and the diagonal."""
    mpl.rcParams["svg.hashsalt"] = "stratoquant"  # the same figures, the same file
    figure = Figure(figsize=(1.75 * len(found), 2.0), layout="constrained")
    for axes, one in zip(np.atleast_1d(figure.subplots(1, len(found))), found, strict=True):
        axes.errorbar(one.said, one.came, yerr=1.96 * one.error, fmt="o-", ms=3, lw=0.9)
        ends = [min(one.said.min(), one.came.min()), max(one.said.max(), one.came.max())]
        axes.plot(ends, ends, color="0.5", lw=0.8, ls="--")
        axes.set_title(one.name, fontsize=7)
        axes.tick_params(labelsize=6)
        axes.set_xlabel("chance said" if one.name.startswith("L68") else "edge said, bps", fontsize=6)
    figure.savefig(path, metadata={"Date": None})


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the sample market and every data set, prints the tables and draws the curves."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.promises", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path, nargs="*", help="folders of market data")
    parser.add_argument("--into", type=Path, help="the page whose tables are to be replaced; without it they are printed")
    parser.add_argument("-o", "--out", type=Path, help="folder for the curves, promises-<name>.svg")
    asked = parser.parse_args(arguments)
    console, made = Console(stderr=True), []
    for folder in (None, *asked.data):
        what = said(folder, console)
        found = curves(what)
        made.append(f"### {'The sample market' if folder is None else f'`{what.name}`'}\n\n{table(what, found)}")
        if asked.out and found:
            asked.out.mkdir(parents=True, exist_ok=True)
            picture(found, asked.out / f"promises-{'sample' if folder is None else what.name}.svg")
    if asked.into:
        put_into(asked.into, "promises", "\n\n".join(made))
    else:
        print("\n\n".join(made))


if __name__ == "__main__":
    main()
