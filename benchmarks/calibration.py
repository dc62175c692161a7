"""`python -m benchmarks.calibration FOLDER`: do L50's chances come true? On planted patterns, and on a real market.

Each chance is held against the outcome that it speaks of (which barrier came first, by time-out at half the weight), told anew
here by looking at each sample's whole future at once. Samples overlap; a standard error counts them by their uniqueness. Prints
Markdown tables; `--into PAGE` puts them between the page's two markers, `-o FOLDER` draws the reliability diagrams.
"""

from __future__ import annotations

import argparse
import io
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks.patterns import record
from dataflows.carry import start_state
from dataflows.kernels.ftrl import Rates
from dataflows.kernels.labels import PricePath
from dataflows.panel import Floats, Ints
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.consensus import OutcomeRules, Voices, agree
from dataflows.pattern.l50_pattern_consensus import PatternConsensusCarry
from dataflows.pattern.types import FIRST_PATTERN, PATTERNS
from drivers.diagrams.picture import COLOURS, OTHER
from drivers.files.atomic import write_atomic
from drivers.graph.wiring import load
from drivers.project.configs import load_configs
from drivers.project.locate import defaults

BEGIN, END = "<!-- l50: begin -->", "<!-- l50: end -->"
WIDTH: Final = 0.05
"""Of a bin of chances."""
LEAST: Final = 5.0
"""Effective samples that a bin needs to be shown."""
EDGES: Final = (0.15, 0.08, -0.08, 0.0, 0.0, 0.0)
"""Planted: drift, in deviations a bar, while an occurrence of full confidence lives; one for each pattern."""
BARS, SYMBOLS, PARTS, LIFE = 43_200, 4, 8, 30
"""Planted: bars, symbols, moves within a bar, bars of an occurrence; an occurrence has a side two times in three."""
SEED: Final = 1


class Spoken(NamedTuple):
    """One symbol's or several symbols' votes: the chances told, what came, and how much each sample counts."""

    chance: Floats
    came: Floats  # 1 up, 0 down
    weight: Floats  # of the label: 1 for a barrier, 0.5 for a time-out
    uniqueness: Floats


class Bin(NamedTuple):
    """One row of a reliability table."""

    samples: int
    effective: float
    told: float
    came: float
    error: float  # one standard error of `came`


class Prices(NamedTuple):
    """Bars and the volatility that the barriers are measured in, (T, N)."""

    open: Floats
    high: Floats
    low: Floats
    close: Floats
    valid: Ints
    sigma: Floats


def outcomes(prices: Prices, n: int, told: Any, apart: float, horizon: int) -> tuple[Floats, Floats, Ints]:
    """Of each bar of symbol n that is `told`: what came (1, 0; NaN: void or both), the label's weight, and bars until then.

    A sample whose entry was not observed, or with any unobserved bar in its life, is left out.
    """
    bars = len(prices.close)
    came, weight, life = np.full(bars, np.nan), np.zeros(bars), np.zeros(bars, np.int64)
    for s in np.flatnonzero(told[: bars - horizon - 1]):
        after = slice(s + 1, s + 1 + horizon)
        if not prices.valid[after, n].all():
            continue
        entry = prices.open[s + 1, n]
        distance = apart * prices.sigma[s, n]
        above = prices.high[after, n] >= entry * (1.0 + distance)
        below = prices.low[after, n] <= entry * (1.0 - distance)
        hit = above | below
        at = int(hit.argmax()) if hit.any() else horizon - 1
        life[s] = at + 1
        if hit.any():
            if above[at] != below[at]:
                came[s], weight[s] = float(above[at]), 1.0
        else:
            gain = prices.close[s + horizon, n] - entry
            came[s], weight[s] = float(gain > 0.0), 0.5 * float(gain != 0.0)
    return came, weight, life


def uniqueness(life: Ints) -> Floats:
    """Mean over each sample's life of 1 over the samples alive; 0 where there is none."""
    bars = len(life)
    begins = np.flatnonzero(life)
    alive = np.zeros(bars + 1)
    np.add.at(alive, begins + 1, 1.0)
    np.add.at(alive, begins + life[begins] + 1, -1.0)
    alive = np.cumsum(alive)
    share = np.concatenate([[0.0], np.cumsum(np.where(alive > 0.0, 1.0 / np.maximum(alive, 1.0), 0.0))])
    found = np.zeros(bars)
    found[begins] = (share[begins + life[begins] + 1] - share[begins + 1]) / life[begins]
    return found


def spoken(prices: Prices, chance: Floats, voted: Any, config: PatternConfig, since: int = 0) -> Spoken:
    """Every sample of every symbol from bar `since` on."""
    apart = config.consensus_barrier_sigma * math.sqrt(config.consensus_horizon_bars)
    parts = []
    for n in range(chance.shape[1]):
        told = voted[:, n] & (prices.valid[:, n] == 1) & np.isfinite(prices.sigma[:, n])
        came, weight, life = outcomes(prices, n, told, apart, config.consensus_horizon_bars)
        use = (weight > 0.0) & (np.arange(len(came)) >= since)
        parts.append(Spoken(chance[use, n], came[use], weight[use], uniqueness(life)[use]))
    return Spoken(*[np.concatenate(column) for column in zip(*parts, strict=True)])


def bins(said: Spoken, width: float = WIDTH) -> list[Bin]:
    """The chances in bins of `width`: how many, the mean chance, how often up came. Weighted by label and uniqueness."""
    found = []
    place = np.floor(said.chance / width)
    for b in np.unique(place):
        of = place == b
        w = said.weight[of] * said.uniqueness[of]
        told, came = float(np.average(said.chance[of], weights=w)), float(np.average(said.came[of], weights=w))
        effective = float(said.uniqueness[of].sum())
        if effective >= LEAST:
            found.append(Bin(int(of.sum()), effective, told, came, math.sqrt(came * (1.0 - came) / effective)))
    return found


def skill(said: Spoken) -> tuple[float, float]:
    """(1 - Brier score over that of a chance of 0.5, its standard error by effective samples)."""
    w = said.weight * said.uniqueness
    better = 0.25 - np.square(said.chance - said.came)
    mean = float(np.average(better, weights=w))
    spread = float(np.average(np.square(better - mean), weights=w))
    return mean / 0.25, math.sqrt(spread / said.uniqueness.sum()) / 0.25


def planted(
    edges: Sequence[float] = EDGES, *, bars: int = BARS, symbols: int = SYMBOLS, seed: int = SEED
) -> tuple[Prices, Any]:
    """A market that drifts with the votes of its first patterns, and (sides, confidences) of all 24."""
    rng = np.random.default_rng(seed)
    shape, blocks = (bars, symbols), (bars // LIFE + 1, symbols)
    none = np.zeros(shape, np.int64), np.zeros(shape)
    sides, sure = [none[0]] * PATTERNS, [none[1]] * PATTERNS
    drift = np.zeros(shape)
    for k, edge in enumerate(edges):
        side = np.repeat(rng.integers(-1, 2, blocks), LIFE, axis=0)[:bars].astype(np.int64)
        confidence = np.repeat(rng.uniform(0.2, 1.0, blocks), LIFE, axis=0)[:bars]
        sides[k], sure[k] = np.ascontiguousarray(side), np.where(side != 0, confidence, 0.0)
        drift[1:] += edge * (sides[k] * sure[k])[:-1]
    sigma = 1e-3
    moves = rng.normal(0.0, sigma / math.sqrt(PARTS), (bars, PARTS, symbols)) + (sigma / PARTS * drift)[:, None, :]
    path = 100.0 * np.exp(np.cumsum(moves.reshape(-1, symbols), axis=0)).reshape(bars, PARTS, symbols)
    close = np.ascontiguousarray(path[:, -1])
    opened = np.vstack([np.full((1, symbols), 100.0), close[:-1]])
    high, low = np.maximum(opened, path.max(axis=1)), np.minimum(opened, path.min(axis=1))
    return Prices(opened, high, low, close, np.ones(shape, np.int64), np.full(shape, sigma)), (tuple(sides), tuple(sure))


def consensus(prices: Prices, sides: Any, sure: Any, config: PatternConfig, max_gap: int) -> tuple[Floats, Floats, Floats]:
    """L50's chances (T, N) and votes (T, N, 24) from its start state, and its weights at the end (N, 24)."""
    carry = start_state(PatternConsensusCarry, {"N": prices.close.shape[1]}, {"pattern": config})
    distance = config.consensus_barrier_sigma * math.sqrt(config.consensus_horizon_bars)
    rates = Rates(config.consensus_alpha, config.consensus_beta, config.consensus_l1, config.consensus_l2)
    said = agree(
        Voices(sides, sure, np.ones(PATTERNS)),
        PricePath(prices.open, prices.high, prices.low, prices.close, prices.valid),
        prices.sigma,
        OutcomeRules(distance, max_gap, rates),
        carry.samples,
        carry.regression,
    )
    return said.p_up, said.votes, carry.regression.w


def table(rows: Sequence[Bin]) -> str:
    """The bins as Markdown."""
    head = "| samples | effective | chance told | upper came | standard error |\n|---:|---:|---:|---:|---:|"
    return "\n".join(
        [head, *(f"| {r.samples:,} | {r.effective:.0f} | {r.told:.3f} | {r.came:.3f} | {r.error:.3f} |" for r in rows)]
    )


def drawn(rows: Sequence[Bin], title: str) -> str:
    """A reliability diagram as SVG: what came over what was told, with two standard errors."""
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "calibration", "font.size": 8}):
        figure = Figure(figsize=(3.4, 3.2), layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color="#c3cad3", linewidth=1)
        told, came, error = ([getattr(r, f) for r in rows] for f in ("told", "came", "error"))
        bar = {"color": COLOURS.get("pattern", OTHER), "marker": "o", "markersize": 3, "linewidth": 1}
        axes.errorbar(told, came, [2.0 * e for e in error], **bar)
        axes.set(xlabel="chance told", ylabel="share of times it came", title=title, xlim=(0.2, 0.8), ylim=(0.2, 0.8))
        axes.set_aspect("equal")
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        made = io.StringIO()
        figure.savefig(made, format="svg", metadata={"Date": None, "Creator": None})
    return made.getvalue()


def on_planted(config: PatternConfig) -> tuple[list[Bin], str]:
    """The second half of the planted market."""
    prices, (sides, sure) = planted()
    chance, votes, w = consensus(prices, sides, sure, config, max_gap=0)
    said = spoken(prices, chance, (votes != 0.0).any(axis=2), config, since=BARS // 2)
    better, error = skill(said)
    learned = "\n".join(
        f"| {edge:+.2f} | {w[:, k].mean():+.2f} | {w[:, k].min():+.2f} to {w[:, k].max():+.2f} |"
        for k, edge in enumerate(EDGES)
    )
    rows = bins(said)
    return rows, (
        f"{table(rows)}\n\nSkill against a chance of 0.5: {100 * better:.2f}% (standard error {100 * error:.2f}).\n\n"
        "| planted drift, deviations a bar | weight learned, mean of the symbols | of the symbols |\n"
        f"|---:|---:|---:|\n{learned}"
    )


def on_market(folder: Path, configs: Any, wiring: Any) -> tuple[list[Bin], str]:
    """A real market at default parameters, all but the first fifth; then the same with faster learning, and the weights."""
    seen = record(folder, wiring, configs)
    market, returns = seen.values["l0_market_feed"], seen.values["l2_returns_volatility"]
    b = market.bars
    prices = Prices(b.open, b.high, b.low, b.close, market.quality.valid, returns.sigma)
    names = sorted((n for n in seen.values if _is_pattern(n)), key=lambda n: int(n[1:3]))
    sides = tuple(seen.values[n].side for n in names)
    sure = tuple(seen.values[n].confidence for n in names)
    config: PatternConfig = configs["pattern"]
    since = len(b.close) // 5
    lines, shown, w = [], [], np.zeros(0)
    for alpha in (config.consensus_alpha, 3.0 * config.consensus_alpha, 10.0 * config.consensus_alpha):
        chance, votes, learned = consensus(prices, sides, sure, config._replace(consensus_alpha=alpha), configs["data"].max_gap)
        said = spoken(prices, chance, (votes != 0.0).any(axis=2), config, since)
        better, error = skill(said)
        far = np.quantile(np.abs(said.chance - 0.5), 0.95)
        lines.append(f"| {alpha:g} | {far:.3f} | {100 * better:.2f}% | {100 * error:.2f} |")
        if not shown:
            shown, w = bins(said), learned
    head = "| `consensus_alpha` | 95% of chances lie within 0.5 ± | skill | standard error |\n|---:|---:|---:|---:|"
    order = np.argsort(-np.abs(w.mean(axis=0)), kind="stable")[:6]
    top = "\n".join(
        f"| {names[k].partition('_')[0].upper()} {names[k].partition('_')[2].replace('_', ' ')} | {w[:, k].mean():+.3f} | "
        f"{(np.sign(w[:, k]) == np.sign(w[:, k].mean())).sum()} of {len(w)} |"
        for k in order
    )
    return shown, (
        f"{table(shown)}\n\n{head}\n" + "\n".join(lines) + "\n\n"
        f"| heaviest weights at the end | mean of the symbols | symbols of that sign |\n|---|---:|---:|\n{top}"
    )


def _is_pattern(name: str) -> bool:
    number = name[1:].partition("_")[0]
    return number.isdigit() and FIRST_PATTERN <= int(number) < FIRST_PATTERN + PATTERNS


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.calibration", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="a market-data folder")
    parser.add_argument("--into", type=Path, help="the page whose tables are to be replaced; without it they are printed")
    parser.add_argument("-o", "--out", type=Path, help="folder for the diagrams")
    asked = parser.parse_args(arguments)
    project = defaults()
    configs, wiring = load_configs(project), load(project.wiring)
    artificial, text = on_planted(configs["pattern"])
    real, more = on_market(asked.folder, configs, wiring)
    tables = f"### Planted patterns\n\n{text}\n\n### `{asked.folder.name}`\n\n{more}"
    if asked.out is not None:
        asked.out.mkdir(parents=True, exist_ok=True)
        write_atomic(asked.out / "calibration-l50-planted.svg", drawn(artificial, "L50, planted patterns"))
        write_atomic(asked.out / "calibration-l50-market.svg", drawn(real, f"L50, {asked.folder.name}"))
    if asked.into is None:
        print(tables)
        return
    page = asked.into.read_text(encoding="utf-8")
    head, _, rest = page.partition(BEGIN)
    tail = rest.partition(END)[2]
    write_atomic(asked.into, f"{head}{BEGIN}\n\n{tables}\n\n{END}{tail}")
    print(f"{asked.into} has the new tables.", file=sys.stderr)


if __name__ == "__main__":
    main()
