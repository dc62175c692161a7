"""How likely the setting that looks best is no better than the middle one on other days.

Source: Bailey, Borwein, Lopez de Prado and Zhu (2017), "The Probability of Backtest Overfitting": combinatorially symmetric
cross-validation.
"""

from __future__ import annotations

import itertools
from typing import Final, NamedTuple

import numpy as np

from dataflows.panel import Floats

BLOCKS: Final = 16
_LEAST_OF_BLOCK: Final = 5


class Overfitting(NamedTuple):
    """Over all ways to take half of the blocks of days.

    probability: share of them in which the best of the one half lies in the lower half of the ranks on the other. loss: share
    in which it has a Sharpe ratio of 0 or less there. logits (ways,): of its relative rank there. blocks: how many there were.
    settings: how many different ones were compared.
    """

    probability: float
    loss: float
    logits: Floats
    blocks: int
    settings: int


def blocks_of(days: int) -> int:
    """An even number of blocks, 16 at most, of five days at least; below 4 where there are too few days."""
    return min(BLOCKS, 2 * (days // (2 * _LEAST_OF_BLOCK)))


def overfitting(returns: Floats, blocks: int = 0) -> Overfitting | None:
    """Of the returns of settings, (days, settings), no NaN. blocks: an even number; 0 takes what `blocks_of` says.

    Settings with the same returns count once, and those that never moved not at all. None where fewer than two are left, or
    where there would be fewer than 4 blocks.
    """
    matrix = np.unique(returns[:, returns.std(axis=0) > 0.0], axis=1)
    count = blocks or blocks_of(len(returns))
    if count % 2:
        raise ValueError(f"{count} blocks cannot be halved; take an even number")
    if matrix.shape[1] < 2 or count < 4:
        return None
    parts = np.array_split(matrix, count)
    size = np.array([len(part) for part in parts], np.float64)
    total = np.array([part.sum(axis=0) for part in parts])
    square = np.array([(part**2).sum(axis=0) for part in parts])
    ways = np.array(list(itertools.combinations(range(count), count // 2)))
    inside = np.zeros((len(ways), count))
    inside[np.arange(len(ways))[:, None], ways] = 1.0
    chosen_by, judged_by = (_ratios(side, size, total, square) for side in (inside, 1.0 - inside))
    rows = np.arange(len(ways))
    best = np.argmax(chosen_by, axis=1)
    own = judged_by[rows, best][:, None]
    below, ties = (judged_by < own).sum(axis=1), (judged_by == own).sum(axis=1)
    relative = (below + 0.5 * (ties + 1)) / (matrix.shape[1] + 1)  # mean rank of ties
    logits = np.log(relative / (1.0 - relative))
    return Overfitting(float(np.mean(logits <= 0.0)), float(np.mean(own <= 0.0)), logits, count, matrix.shape[1])


def _ratios(side: Floats, size: Floats, total: Floats, square: Floats) -> Floats:
    """Sharpe ratios (ways, settings) of the blocks that are 1 in `side`; 0 where nothing moved."""
    n = (side @ size)[:, None]
    mean = (side @ total) / n
    variance = np.maximum((side @ square) / n - mean**2, 0.0) * n / (n - 1.0)
    moved = variance > 1e-24
    ratios: Floats = np.where(moved, mean / np.sqrt(np.where(moved, variance, 1.0)), 0.0)
    return ratios
