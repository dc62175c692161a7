"""Barrier labels the slow way, and bars to try them on."""

from __future__ import annotations

from typing import Any

import numpy as np

from dataflows.panel import Floats, Ints


def walked(
    opens: Floats,
    highs: Floats,
    lows: Floats,
    closes: Floats,
    whole: Ints,
    told: Ints,
    up: Floats,
    down: Floats,
    horizon: int,
    max_gap: int,
) -> Floats:
    """One symbol: looks at each sample's whole future at once, then counts who lived when."""
    bars = len(opens)
    out = np.full((bars, 4), np.nan)
    life = np.zeros((bars, bars), bool)  # sample, bar
    for s in range(bars - 1):
        if not (whole[s] and told[s] and whole[s + 1]):
            continue
        e = opens[s + 1]
        for t in range(s + 1, min(s + horizon, bars - 1) + 1):
            life[s, t] = True
            missed = (~whole[s + 1 : t + 1].astype(bool)).sum()
            if missed > max_gap or (t == s + horizon and not whole[t]):
                break  # void
            if not whole[t]:
                continue
            above = highs[t] >= e * (1 + up[s])
            below = lows[t] <= e * (1 - down[s])
            if above or below or t == s + horizon:
                out[s, :3] = t, (2 if above and below else 1 if above else -1 if below else 0), closes[t] / e - 1
                break
    living = life.sum(axis=0)
    for s in range(bars):
        if not np.isnan(out[s, 0]):
            end = int(out[s, 0])
            out[s, 3] = np.mean([1.0 / living[t] for t in range(s + 1, end + 1)])
    return out


def drawn(seed: int, bars: int, symbols: int) -> tuple[Any, ...]:
    """Opens, highs, lows, closes, valid, told, and the barriers' distances up and down; with bars that are not whole."""
    rng = np.random.default_rng(seed)
    closes = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, (bars, symbols)), axis=0))
    opens = np.vstack([closes[:1], closes[:-1]]) * np.exp(rng.normal(0.0, 0.004, (bars, symbols)))
    highs = np.maximum(opens, closes) * np.exp(np.abs(rng.normal(0.0, 0.006, (bars, symbols))))
    lows = np.minimum(opens, closes) * np.exp(-np.abs(rng.normal(0.0, 0.006, (bars, symbols))))
    valid = (rng.random((bars, symbols)) > 0.12).astype(np.int64)
    for x in (opens, highs, lows, closes):
        x[bars // 2 : bars // 2 + 5, 0] = np.nan
    told = (rng.random((bars, symbols)) > 0.3).astype(np.int64)
    up, down = rng.uniform(0.004, 0.05, (2, bars, symbols))
    return opens, highs, lows, closes, valid, told, up, down
