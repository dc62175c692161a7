"""`python -m benchmarks.regimes READY_FOLDER [--pictures FOLDER]`: how steady and how right L1's labels are.

READY_FOLDER holds perps_2025-05 and crash_2021-05, as `../shared/data/ready` does. Prints the tables of
docs/explanation/regimes.md; --pictures draws its pictures. Of the crash only labels, probabilities and an indexed path are
drawn.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from benchmarks.regime_chain import chain_of, regimes_of
from dataflows.data.sessions import utc_days
from dataflows.data.types import Observations
from dataflows.panel import Floats, Ints
from dataflows.regime.types import REGIMES, Regime
from drivers.feeds.dataset import Dataset, open_dataset

mpl.rcParams |= {"svg.hashsalt": "stratoquant", "font.size": 8.0, "svg.fonttype": "none"}
COLOURS = ("#9ecae1", "#74c476", "#fd8d3c", "#9e9ac8", "#de2d26")
WARM_UP = 1440
TRUTH = {  # volatility and drift of a bar, volume against the usual, share of the switches
    "CALM": (3e-4, 0.0, 1.0, 0.45),
    "TREND_UP": (5e-4, 3e-4, 1.3, 0.15),
    "TREND_DOWN": (5e-4, -3e-4, 1.3, 0.15),
    "HIGH_VOL": (1.2e-3, 0.0, 2.0, 0.2),
    "CHAOTIC": (4e-3, 0.0, 8.0, 0.05),
}
STAY = 0.995
"""Chance that a simulated regime lasts for another bar: 200 bars in the mean."""


def simulated(bars: int, symbols: int, seed: int) -> tuple[Observations, Ints]:
    """Bars of ten normal steps each whose regime switches as a Markov chain, and the regime of each (a REGIMES index)."""
    rng = np.random.default_rng(seed)
    law = np.array(list(TRUTH.values()))
    state = np.zeros((bars, symbols), np.int64)
    for n in range(symbols):
        state[0, n] = rng.choice(5, p=law[:, 3])
        for t in range(1, bars):
            stays = rng.random() < STAY
            state[t, n] = state[t - 1, n] if stays else rng.choice(5, p=law[:, 3])
    sigma, drift, volume = (law[state, k] for k in range(3))
    steps = drift[:, None] / 10 + sigma[:, None] / np.sqrt(10.0) * rng.standard_normal((bars, 10, symbols))
    path = 100.0 * np.exp(np.cumsum(steps.reshape(bars * 10, symbols), axis=0))
    inner = path.reshape(bars, 10, symbols)
    close = np.ascontiguousarray(inner[:, -1])
    open_ = np.vstack([np.full((1, symbols), 100.0), close[:-1]])
    panel: dict[str, Any] = dict.fromkeys(Observations._fields, np.full((bars, symbols), np.nan))
    levels = np.full((bars, symbols, 1), np.nan)
    panel |= dict.fromkeys(("bid_price", "bid_size", "ask_price", "ask_size", "ofi"), levels)
    panel |= dict.fromkeys(("duplicates", "late"), np.zeros((bars, symbols), np.int64))
    panel |= {
        "time": 60_000_000_000 * np.arange(1, bars + 1, dtype=np.int64),
        "open": open_,
        "high": np.maximum(inner.max(axis=1), open_),
        "low": np.minimum(inner.min(axis=1), open_),
        "close": close,
        "volume": volume * rng.lognormal(3.0, 0.6, (bars, symbols)),
        "funding_rate": np.zeros((bars, symbols)),
        "listed": np.ones((bars, symbols), np.int64),
    }
    panel |= utc_days(panel["time"], 60_000_000_000)
    return Observations(**panel), state


def confusion(truth: Ints, label: Ints) -> str:
    """A table: of the bars of each true regime, how many per cent had each label."""
    lines = ["| true, down; label, across | " + " | ".join(REGIMES) + " |", "|" + "---|" * 6]
    for k, name in enumerate(REGIMES):
        mine = label[truth == k]
        lines.append(f"| {name} | " + " | ".join(f"{100.0 * (mine == j).mean():.0f}" for j in range(5)) + " |")
    return "\n".join(lines)


def noisy(seen: Observations, seed: int) -> Observations:
    """The same with all four prices of a bar off by one normal deviate of 1 bp."""
    factor = np.exp(1e-4 * np.random.default_rng(seed).standard_normal(seen.close.shape))
    prices = {k: np.ascontiguousarray(getattr(seen, k) * factor) for k in ("open", "high", "low", "close")}
    return seen._replace(**prices)


def shares(label: Ints) -> str:
    """Per cent of the bars with each label."""
    return " | ".join(f"{100.0 * (label == k).mean():.1f}" for k in range(5))


def explained(values: Floats, target: Floats) -> float:
    """R2 of least squares of the target (T,) on the columns of values (T, K) and a constant."""
    x = np.column_stack([np.ones(len(target)), values])
    there = np.isfinite(target) & np.isfinite(x).all(axis=1)
    x, y = x[there], target[there]
    rest = y - x @ np.linalg.lstsq(x, y, rcond=None)[0]
    return float(1.0 - (rest @ rest) / ((y - y.mean()) @ (y - y.mean())))


def next_hour(data: Dataset) -> str:
    """A table: what part of the variance of the next hour's log volatility sigma, L1's label and its probabilities explain.

    Of minutes, by symbol, in sample, from the third day on. The hour of the day is left in the target.
    """
    got = chain_of(data.rows(0, len(data.time)), data.instruments)
    regime, close = got["l1_regime"], got["l0_market_feed"].bars.close
    square = np.nan_to_num(np.diff(np.log(close), axis=0, prepend=np.nan)) ** 2
    total = np.cumsum(square, axis=0)
    ahead = np.log(np.maximum(total[60:] - total[:-60], 1e-12))
    rows = slice(2 * WARM_UP, len(ahead))
    lines = ["| symbol | sigma | label | probabilities | label_15 |\n|---|---|---|---|---|"]
    for n, symbol in enumerate(data.symbols):
        sigma = np.log(got["l2_returns_volatility"].sigma[rows, n, None])
        label, slow = (np.eye(5)[np.maximum(code[rows, n], 0)][:, 1:] for code in (regime.label, regime.label_15))
        p = np.column_stack([getattr(regime, k)[rows, n] for k in ("calm", "trend_up", "trend_down", "high_vol")])
        found = (explained(x, ahead[rows, n]) for x in (sigma, label, p, slow))
        lines.append(f"| {symbol} | " + " | ".join(f"{r2:.2f}" for r2 in found) + " |")
    return "\n".join(lines)


def picture(title: str, times: pd.DatetimeIndex, path: Floats, regime: Regime, n: int, rows: slice, file: Path) -> None:
    """A path over its labels, and the probabilities below."""
    figure = Figure(figsize=(7.2, 3.2), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    label, when = regime.label[rows, n], times[rows]
    edges = np.flatnonzero(np.diff(label, prepend=-9))
    for a, b in zip(edges, [*edges[1:], len(label)], strict=True):
        if label[a] >= 0:
            above.axvspan(when[a], when[min(b, len(label) - 1)], color=COLOURS[label[a]], alpha=0.45, lw=0, rasterized=True)
    above.plot(when, path[rows], color="black", lw=0.7)
    above.set_title(title, fontsize=9)
    p = np.vstack([getattr(regime, k)[rows, n] for k in ("calm", "trend_up", "trend_down", "high_vol", "chaotic")])
    below.stackplot(when, np.nan_to_num(p), colors=COLOURS, labels=REGIMES, lw=0, rasterized=True)
    below.set_ylim(0.0, 1.0)
    below.legend(ncols=5, fontsize=6, loc="upper center", bbox_to_anchor=(0.5, -0.25), frameon=False)
    figure.savefig(file, dpi=110)


def slice_of(data: Dataset, start: str, end: str) -> tuple[Observations, pd.DatetimeIndex]:
    """The bars that close in (start, end], UTC."""
    a, b = (int(np.searchsorted(data.time, pd.Timestamp(x, tz="UTC").value, side="right")) for x in (start, end))
    seen = data.rows(a, b)
    return seen, pd.to_datetime(seen.time, utc=True)


def main() -> None:
    """Prints the tables, and draws the pictures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.regimes", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=Path)
    asked = parser.parse_args()

    seen, truth = simulated(60_000, 4, seed=1)
    label = regimes_of(seen).label
    print(confusion(truth[WARM_UP:], label[WARM_UP:]), end="\n\n")

    perps = open_dataset(asked.folder / "perps_2025-05")
    seen, times = slice_of(perps, str(pd.Timestamp(perps.time[0])), str(pd.Timestamp(perps.time[-1])))
    quiet = regimes_of(seen, perps.instruments)
    other = regimes_of(noisy(seen, 2), perps.instruments)
    print("| symbol | label, % | label_15, % | labels a day | label_15 a day |\n|---|---|---|---|---|")
    for n, symbol in enumerate(perps.symbols):
        flips = [100.0 * (getattr(quiet, k) != getattr(other, k))[WARM_UP:, n].mean() for k in ("label", "label_15")]
        turns = [
            (np.diff(getattr(quiet, k)[WARM_UP:, n]) != 0).sum() / (len(times) - WARM_UP) * 1440.0
            for k in ("label", "label_15")
        ]
        print(f"| {symbol} | {flips[0]:.1f} | {flips[1]:.2f} | {turns[0]:.0f} | {turns[1]:.1f} |")

    crash = open_dataset(asked.folder / "crash_2021-05")
    seen_c, times_c = slice_of(crash, "2021-05-10", "2021-05-21")
    wild = regimes_of(seen_c, crash.instruments)
    hot = np.asarray((times_c > "2021-05-19 12:30+00:00") & (times_c <= "2021-05-19 14:30+00:00"))
    eve = np.asarray((times_c > "2021-05-18 00:00+00:00") & (times_c <= "2021-05-19 00:00+00:00"))
    btc = perps.symbols.index("BTCUSDT")
    daily = pd.Series(np.log(seen.close[:, btc]), times).diff().pow(2).resample("1D").sum().iloc[2:-1]
    day = daily.idxmin()
    calm = np.asarray((times > day) & (times <= day + pd.Timedelta("1D")))
    print("\n| bars | " + " | ".join(REGIMES) + " |\n|" + "---|" * 6)
    print(f"| crash, 2021-05-19 12:30 to 14:30, {len(crash.symbols)} pairs | {shares(wild.label[hot])} |")
    print(f"| the day before, 2021-05-18 | {shares(wild.label[eve])} |")
    print(f"| quietest day of perps_2025-05, {day:%Y-%m-%d}, BTC | {shares(quiet.label[calm][:, btc])} |")
    print(f"| perps_2025-05, all {len(perps.symbols)} | {shares(quiet.label[WARM_UP:])} |")
    first = [int(np.argmax((wild.label[:, n] == 4) & hot)) for n in range(len(crash.symbols))]
    print("\nfirst CHAOTIC bar: " + ", ".join(f"{s} {times_c[i]:%H:%M}" for s, i in zip(crash.symbols, first, strict=True)))

    for data in (perps, crash):
        print(f"\n{data.path.name}, R2 of the next hour's log volatility\n\n{next_hour(data)}")

    if asked.pictures:
        asked.pictures.mkdir(parents=True, exist_ok=True)
        n = crash.symbols.index("BTCUSDT")
        part = np.flatnonzero((times_c > "2021-05-19 06:00+00:00") & (times_c <= "2021-05-20 00:00+00:00"))
        rows = slice(part[0], part[-1] + 1)
        path = seen_c.close[:, n] / seen_c.close[rows, n][0] * 100.0
        picture("2021-05-19, index, 06:00 = 100", times_c, path, wild, n, rows, asked.pictures / "regimes-crash.svg")
        part = np.flatnonzero(calm)
        rows = slice(part[0], part[-1] + 1)
        picture(
            f"BTCUSDT perpetual, {day:%Y-%m-%d}",
            times,
            seen.close[:, btc],
            quiet,
            btc,
            rows,
            asked.pictures / "regimes-calm.svg",
        )


if __name__ == "__main__":
    main()
