"""Days to choose on and days to judge on, with a gap between them: combinatorial purged cross-validation.

Source: Lopez de Prado (2018), "Advances in Financial Machine Learning", chapters 7 and 12.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from dataflows.panel import Floats, Ints


def purged_splits(days: int, folds: int, judged: int, purge: int = 0, embargo: int = 0) -> Iterator[tuple[Ints, Ints]]:
    """(days to choose on, days to judge on), for every way to judge on `judged` of the folds.

    The folds are runs of days // folds days; the last one has what is left over. purge: days that are left out on either side
    of what is judged, so that no position or label reaches across. embargo: more of them after it.
    Raises ValueError where a fold is no longer than its gaps.
    """
    if not 1 <= judged < folds:
        raise ValueError(f"{judged} of {folds} folds cannot be judged on; take 1 to {folds - 1}")
    size = days // folds
    if purge + embargo >= size - 1:
        raise ValueError(f"{days} days in {folds} folds are too few for {purge} days of purge and {embargo} of embargo")
    fold = np.minimum(np.arange(days) // size, folds - 1)
    for chosen in itertools.combinations(range(folds), judged):
        judge = np.isin(fold, chosen)
        free = ~judge
        edge = np.diff(judge.astype(np.int8))
        for first in np.flatnonzero(edge == 1) + 1:
            free[max(0, first - purge) : first] = False
        for first in np.flatnonzero(edge == -1) + 1:
            free[first : first + purge + embargo] = False
        yield np.flatnonzero(free), np.flatnonzero(judge)


def choose_and_judge(returns: Floats, splits: Iterator[tuple[Ints, Ints]]) -> list[tuple[int, float, float]]:
    """(setting, its Sharpe ratio where it was chosen, its ratio where it was judged) of each split.

    returns: (days, settings), no NaN. The setting with the highest ratio is chosen, the first of equal ones; a setting that
    did not move has the ratio 0.
    """
    made = []
    for choose, judge in splits:
        own = ratios(returns[choose])
        best = int(np.argmax(own))
        made.append((best, float(own[best]), float(ratios(returns[judge])[best])))
    return made


def ratios(returns: Floats) -> Floats:
    """Sharpe ratio of each column of (days, settings), a day's; 0 where nothing moved."""
    deviation = returns.std(axis=0, ddof=1)
    moved = deviation > 1e-12
    found: Floats = np.where(moved, returns.mean(axis=0) / np.where(moved, deviation, 1.0), 0.0)
    return found
