"""How fast L6 finds a source that earns, and how often it crowns one that does not: `python -m benchmarks.adaptation`.

Each trial has the paper returns of eleven sources, one epoch a day, independent and normal. One source earns a given Sharpe
ratio a year of 365 epochs. Returns are in one regime, so only the pooled weights are looked at.
"""

from __future__ import annotations

import sys
from typing import Final

import numpy as np

from dataflows.carry import start_state
from dataflows.fusion.types import K
from dataflows.meta.config import MetaConfig
from dataflows.meta.mixture import Mixture, learn_weights
from dataflows.panel import Floats
from dataflows.regime.types import REGIMES

YEAR: Final = 365
USUAL: Final = MetaConfig()


def pooled_weights(sharpe: float, trials: int, epochs: int, dies_at: int | None = None) -> Floats:
    """Weights (trials, epochs, K) where source 0 earns `sharpe` a year, until `dies_at`, and the others nothing."""
    found = np.empty((trials, epochs, K))
    spoke, present, returns = np.ones(K, np.int64), np.eye(len(REGIMES))[0], np.zeros((len(REGIMES), K))
    c = USUAL
    for i in range(trials):
        x = np.random.default_rng(i).standard_normal((epochs, K))
        x[:dies_at, 0] += sharpe / np.sqrt(YEAR)
        state = start_state(Mixture, {}, {})
        for e in range(epochs):
            returns[0] = 1e-3 * x[e]
            learn_weights(returns, present, spoke, c.source_volatility, c.source_share, c.source_epochs, c.regime_epochs, state)
            found[i, e] = state.pooled
    return found


def days_to_lead(weights: Floats) -> Floats:
    """The epoch (trials,) at which source 0 first has more than half of the weight; infinite where it never has."""
    over = weights[:, :, 0] > 0.5
    return np.where(over.any(axis=1), over.argmax(axis=1) + 1.0, np.inf)


def days_to_leave(weights: Floats, dies_at: int) -> Floats:
    """How many epochs after its death source 0 has less than half of the weight, in the trials in which it had more."""
    dead = weights[:, dies_at:, 0]
    left = np.where((dead < 0.5).any(axis=1), (dead < 0.5).argmax(axis=1) + 1.0, np.inf)
    found: Floats = left[dead[:, 0] > 0.5]
    return found


def crowned(weights: Floats) -> float:
    """The share of trials in which any source ever has more than half of the weight."""
    return float((weights.max(axis=2) > 0.5).any(axis=1).mean())


def main(trials: int = 1000) -> None:
    """Prints the table of docs/explanation/adaptation.md."""
    write = sys.stdout.write
    write("| planted Sharpe ratio a year | median days to more than half of the weight | trials that get there in 730 days |\n")
    write("|---:|---:|---:|\n")
    for sharpe in (1.0, 3.0, 6.0, 10.0):
        days = days_to_lead(pooled_weights(sharpe, trials, 2 * YEAR))
        median = f"{np.median(days):.0f}" if np.isfinite(np.median(days)) else "more than 730"
        write(f"| {sharpe:.0f} | {median} | {100.0 * np.isfinite(days).mean():.0f} % |\n")
    write(f"\nNoise crowned in two years: {100.0 * crowned(pooled_weights(0.0, trials, 2 * YEAR)):.1f} % of trials.\n")
    left = days_to_leave(pooled_weights(10.0, trials, 3 * YEAR, dies_at=YEAR), YEAR)
    write(f"After a year at 10 the source dies: its weight is below one half after {np.median(left):.0f} days (median).\n")


if __name__ == "__main__":
    main()
