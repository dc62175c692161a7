"""`python -m benchmarks.earned DATA...`: what L3, and each source alone, would have earned. `--into PAGE`, `-o FOLDER`.

A position decided at a close is taken at the next open and marked from open to open. Gross is before any cost; net is after
L71's round trip on what is traded, and funding. All symbols count alike, each with one unit of notional. Intervals of 95 per
cent: stationary block bootstrap (Politis and Romano 1994) of sums over 60 bars,
mean block length after Politis and White (2004).
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
from arch.bootstrap import StationaryBootstrap, optimal_block_length
from matplotlib.figure import Figure
from rich.console import Console
from scipy.stats import spearmanr

from benchmarks.recorded import SCORE, Said, put_into, said
from dataflows.fusion.types import FLAT, NO_SIGNAL, REFUSALS, UNKNOWN_SIDE
from dataflows.panel import Floats, Ints

GROUP = 60
"""Bars that are added up before they are resampled."""
DRAWS = 2000
HOUR_NS = 3_600_000_000_000
DAY_NS = 24 * HOUR_NS


@dataclass(frozen=True)
class Earned:
    """Basis points of notional a day (an hour where the data are short), mean and the ends of its 95 per cent interval."""

    gross: float
    gross_low: float
    gross_high: float
    net: float
    net_low: float
    net_high: float
    turnover: float  # units of notional traded in that time, a symbol
    held: float  # mean |position|
    rank: float = float("nan")  # rank correlation of the signal with the return, mean of the symbols


def held_for(sign: Floats, horizon: int) -> Floats:
    """Positions (T, N) of who follows each bar's sign for so many bars, a part of the whole each: its mean over them."""
    known = np.nan_to_num(sign)
    total = np.cumsum(np.vstack([np.zeros((1, known.shape[1])), known]), axis=0)
    first = np.maximum(np.arange(1, len(known) + 1) - horizon, 0)
    return (total[1:] - total[first]) / horizon


def proposed(side: Ints, may_enter: Ints | None, size: Floats | None = None) -> Floats:
    """Positions of who does what L3 proposes. may_enter: enters only when it is allowed, None: whenever there is a side."""
    position = np.zeros(side.shape)
    for n in range(side.shape[1]):
        held = 0.0
        for t in range(len(side)):
            s = int(side[t, n])
            if s in (UNKNOWN_SIDE, FLAT):
                held = held if s == UNKNOWN_SIDE else 0.0
            elif s != np.sign(held):
                allowed = may_enter is None or may_enter[t, n] == 1
                held = (s * (1.0 if size is None else float(size[t, n]))) if allowed else 0.0
            position[t, n] = held
    return position


def profit(what: Said, position: Floats) -> tuple[Floats, Floats, Floats]:
    """Gross and net in bps, and turnover, of each bar: (T - 2,), means over the symbols. Bar t's position earns from the next
    open to the one after; where an open is unknown it earns nothing and does not trade."""
    opens = np.where(what.valid == 1, what.opens, np.nan)
    move = 1e4 * (opens[2:] / opens[1:-1] - 1.0)
    there = np.isfinite(move)
    wanted = position[:-2]
    held = np.zeros_like(wanted)
    last = np.zeros(wanted.shape[1])
    for t in range(len(wanted)):
        last = np.where(there[t], wanted[t], last)
        held[t] = last
    traded = np.abs(np.diff(np.vstack([np.zeros((1, held.shape[1])), held]), axis=0))
    known = np.isfinite(what.round_trip_bps).any(axis=0)
    usual = np.where(known, np.nanmedian(np.where(known, what.round_trip_bps, 0.0), axis=0), np.nan)
    cost = np.where(np.isfinite(what.round_trip_bps), what.round_trip_bps, usual)[:-2]
    gross = np.where(there, held * np.nan_to_num(move), 0.0)
    funding = held * np.nan_to_num(what.carry_bps[:-2])
    return gross.mean(axis=1), (gross - 0.5 * cost * traded - funding).mean(axis=1), traded.mean(axis=1)


def unit_of(what: Said) -> tuple[str, int]:
    """The time over which profits are told: a day, an hour where the data span less than two days."""
    return ("day", DAY_NS) if len(what.time) * what.step >= 2 * DAY_NS else ("hour", HOUR_NS)


def interval(series: Floats, seed: int = 1) -> tuple[float, float]:
    """95 per cent interval of the mean of a dependent series (M,)."""
    if len(series) < 10 or not np.std(series) > 0.0:
        return float("nan"), float("nan")
    block = float(np.clip(optimal_block_length(series)["stationary"].iloc[0], 1.0, len(series) / 4))
    low, high = StationaryBootstrap(block, series, seed=seed).conf_int(np.mean, DRAWS, method="percentile").ravel()
    return float(low), float(high)


def earned(what: Said, position: Floats) -> Earned:
    """What a path of positions (T, N) would have earned."""
    gross, net, traded = profit(what, position)
    day = unit_of(what)[1] / what.step
    groups = len(gross) // GROUP
    found: dict[str, float] = {}
    for name, series in (("gross", gross), ("net", net)):
        means = series[: groups * GROUP].reshape(groups, GROUP).mean(axis=1) * day
        found[name] = float(series.mean() * day)
        found[f"{name}_low"], found[f"{name}_high"] = interval(means)
    return Earned(**found, turnover=float(traded.mean() * day), held=float(np.abs(position).mean()))


def rank_correlation(what: Said, values: Floats, horizon: int) -> float:
    """Spearman's correlation of a signal (T, N) with the log return from the next open to the close `horizon` bars on.

    Mean over the symbols. NaN where the signal never moves.
    """
    count = len(values) - horizon
    good = np.where(what.valid == 1, 1.0, np.nan)
    ahead = np.log(what.closes[horizon:] * good[horizon:]) - np.log(what.opens[1 : count + 1] * good[1 : count + 1])
    found = []
    for n in range(values.shape[1]):
        both = np.isfinite(ahead[:, n]) & np.isfinite(values[:count, n])
        said = values[:count, n][both]
        if len(said) > 1 and np.ptp(said) > 0.0:
            found.append(float(spearmanr(said, ahead[both, n]).statistic))
    return float(np.mean(found)) if found else float("nan")


def all_of(what: Said) -> dict[str, dict[str, Earned]]:
    """By signal and horizon, and for L3's sides, entries and sizes."""
    found: dict[str, dict[str, Earned]] = {}
    for name, values in what.signals.items():
        if np.nan_to_num(values).any():
            found[name] = {
                str(h): replace(earned(what, held_for(np.sign(values), h)), rank=rank_correlation(what, values, h))
                for h in what.horizons
                if h < len(values) // 2
            }
    found["L3"] = {
        "every side it took": earned(what, proposed(what.side, None)),
        "entries it allowed": earned(what, proposed(what.side, what.may_enter)),
        "with its sizes": earned(what, proposed(what.side, what.may_enter, what.size)),
    }
    return found


def reasons(what: Said) -> dict[str, float]:
    """Share of the bars with an edge on which each reason stood against an entry."""
    cased = (what.side != UNKNOWN_SIDE) & (what.refusal & NO_SIGNAL == 0)
    stood = {name: float((what.refusal[cased] >> i & 1).mean()) if cased.any() else 0.0 for i, name in enumerate(REFUSALS)}
    allowed = float(what.may_enter[cased].mean()) if cased.any() else 0.0
    return {"bars with an edge": float(cased.mean()), "of them allowed": allowed, **stood}


# ---- tables and pictures


def told(value: float, form: str) -> str:
    """A number, or that it is not known: of a cost before it has been seen, of the rank of what never moves."""
    return format(value, form) if np.isfinite(value) else "unknown"


def cell(one: Earned) -> str:
    """`+3.1 (-2.0 to 8.4), -12, r +0.012`."""
    return (
        f"{one.gross:+.1f} ({one.gross_low:+.1f} to {one.gross_high:+.1f}), {told(one.net, '+.0f')}, r {told(one.rank, '+.3f')}"
    )


def tables(what: Said, found: Mapping[str, Mapping[str, Earned]]) -> str:
    """Markdown: a row a signal, a column a horizon; then L3."""
    horizons = [h for h in what.horizons if h < len(what.time) // 2]
    days = len(what.time) * what.step / DAY_NS
    costs = what.round_trip_bps[np.isfinite(what.round_trip_bps)]
    cost = float(np.median(costs)) if len(costs) else float("nan")
    span = f"{len(what.time):,} bars of {what.step // 1_000_000_000} s, {days:.2f} days"
    unit = "a day" if unit_of(what)[0] == "day" else "an hour"
    lines = [
        f"{len(what.symbols)} symbols, {span}. Median round trip: {told(cost, '.1f')} bps.",
        "",
        f"Basis points of notional {unit}: gross with its interval, net, and r, the rank correlation.",
        "",
        "| signal | " + " | ".join(f"held {h} bars" for h in horizons) + " |",
        "|---|" + "---|" * len(horizons),
    ]
    for name, by in found.items():
        if name != "L3":
            lines.append(f"| {name} | " + " | ".join(cell(by[str(h)]) for h in horizons) + " |")
    lines += ["", "| L3 | gross | net | in the market | turnover |", "|---|---|---|---|---|"]
    for name, one in found["L3"].items():
        if one.held == 0.0:
            lines.append(f"| {name} | none | none | 0.0% | 0.00 |")
            continue
        net = f"{one.net:+.1f} ({one.net_low:+.1f} to {one.net_high:+.1f})"
        gross = f"{one.gross:+.1f} ({one.gross_low:+.1f} to {one.gross_high:+.1f})"
        lines.append(f"| {name} | {gross} | {net} | {one.held:.1%} | {one.turnover:.2f} |")
    why = reasons(what)
    said_of = ", ".join(f"{name} {share:.1%}" for name, share in why.items() if name in REFUSALS and share > 0.0)
    lines += [
        "",
        f"An edge on {why['bars with an edge']:.1%} of the bars, an entry allowed on {why['of them allowed']:.2%} of these.",
    ]
    lines += [f"Against one stood: {said_of}."] if said_of else []
    return "\n".join(lines)


def picture(what: Said, found: Mapping[str, Mapping[str, Earned]], path: Path) -> None:
    """Gross and net a day of each signal at its horizons, with intervals."""
    mpl.rcParams["svg.hashsalt"] = "stratoquant"  # the same figures, the same file
    names = [name for name in found if name != "L3"]
    figure = Figure(figsize=(7.2, 0.5 + 0.34 * len(names)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for axes, which in ((left, "gross"), (right, "net")):
        for j, h in enumerate(h for h in what.horizons if h < len(what.time) // 2):
            rows = [asdict(found[name][str(h)]) for name in names]
            y = np.arange(len(names)) + 0.16 * (j - 1.5)
            middle = np.array([r[which] for r in rows])
            ends = np.array([[r[which] - r[f"{which}_low"], r[f"{which}_high"] - r[which]] for r in rows]).T
            axes.errorbar(middle, y, xerr=np.abs(ends), fmt="o", ms=2.5, lw=0.8, label=f"{h} bars")
        axes.axvline(0.0, color="0.5", lw=0.8)
        axes.set_title(f"{which}, bps {'a day' if unit_of(what)[0] == 'day' else 'an hour'}", fontsize=8)
        axes.tick_params(labelsize=7)
    right.set_xscale("symlog", linthresh=10)
    left.set_yticks(range(len(names)), [n if n != SCORE else "score (L7)" for n in names])
    left.invert_yaxis()
    left.legend(fontsize=6, frameon=False)
    figure.savefig(path, metadata={"Date": None})


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs every data set, prints the tables and draws the pictures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.earned", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path, nargs="+", help="folders of market data")
    parser.add_argument("--into", type=Path, help="the page whose tables are to be replaced; without it they are printed")
    parser.add_argument("-o", "--out", type=Path, help="folder for the pictures, earned-<name>.svg")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="configuration, as in a run")
    asked = parser.parse_args(arguments)
    console, made = Console(stderr=True), []
    for folder in asked.data:
        what = said(folder, console, overrides=tuple(asked.set))
        found = all_of(what)
        made.append(f"## `{what.name}`\n\n{tables(what, found)}")
        if asked.out:
            asked.out.mkdir(parents=True, exist_ok=True)
            picture(what, found, asked.out / f"earned-{what.name}.svg")
    if asked.into:
        put_into(asked.into, "earned", "\n\n".join(made))
    else:
        print("\n\n".join(made))


if __name__ == "__main__":
    main()
