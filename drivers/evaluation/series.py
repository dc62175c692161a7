"""The daily returns of all settings on the same days, from what their runs returned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dataflows.panel import Floats, Ints
from drivers.evaluation.plan import EvaluationPlan


@dataclass(frozen=True)
class Series:
    """returns: (days, settings). settings: columns, as places in the plan. market, day, window: (days,) of each row: the place
    of its market, the UTC day since 1970, the number of its window. days_a_year: how many such days a year has."""

    returns: Floats
    settings: tuple[int, ...]
    market: Ints
    day: Ints
    window: Ints
    days_a_year: float


def series_of(plan: EvaluationPlan, results: Mapping[str, Mapping[str, Any]]) -> Series:
    """Settings all of whose runs ended, in order. results: by id of the piece.

    The markets follow each other. A day on which an account has no return (it was ruined before) is 0.
    """
    whole = [s for s in range(len(plan.settings)) if all(p.id in results for p in plan.pieces if p.setting == s)]
    by_column: list[dict[tuple[int, int], float]] = []
    for s in whole:
        found: dict[tuple[int, int], float] = {}
        for piece in plan.pieces:
            if piece.setting == s:
                made = results[piece.id]
                found |= {(piece.market, day): x for day, x in zip(made["days"], made["returns"], strict=True)}
        by_column.append(found)
    rows = sorted({key for found in by_column for key in found})
    returns = np.array([[found.get(key, 0.0) for found in by_column] for key in rows]).reshape(len(rows), len(whole))
    market = np.array([m for m, _ in rows], np.int64)
    day = np.array([d for _, d in rows], np.int64)
    edges = [np.array(market_.edges) for market_ in plan.markets]
    window = np.array([int(np.searchsorted(edges[m], d, side="right")) - 1 for m, d in rows], np.int64)
    years = [made["days_a_year"] for made in results.values()]
    return Series(returns, tuple(whole), market, day, window, float(np.mean(years)) if years else 365.0)


def joined(results: Sequence[Mapping[str, Any]]) -> Floats:
    """The daily returns of runs that follow each other."""
    return np.array([x for made in results for x in made["returns"]], np.float64)
