"""What the settings are worth: every figure of an evaluation, from the daily returns alone."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from dataflows.panel import Floats
from drivers.evaluation.plan import EvaluationPlan
from drivers.evaluation.series import Series, series_of
from drivers.report.figures import LEAST_DAYS, Z95, sharpe
from drivers.statistics.ability import Ability, long_run_variance, superior_ability
from drivers.statistics.overfitting import Overfitting, overfitting
from drivers.statistics.sharpe import expected_maximum, minimum_track_record, moments, probabilistic_sharpe
from drivers.statistics.splits import choose_and_judge, purged_splits
from drivers.store.trials import Trials

FOLDS: Final = 6
JUDGED: Final = 2
PURGE: Final = 1
EMBARGO: Final = 1
"""Days."""


@dataclass(frozen=True)
class Judged:
    """A setting. Ratios are made yearly; None where its days do not say. track_record: days."""

    setting: int
    days: int
    total: float
    sharpe: float | None
    low: float | None  # 95 % interval of the ratio (Lo 2002)
    high: float | None
    probabilistic: float | None
    deflated: float | None
    track_record: float | None
    drawdown: float
    windows: tuple[tuple[float, float | None], ...]  # return and ratio in each
    trips: float
    turnover: float | None
    fees: float


@dataclass(frozen=True)
class Split:
    """A purged split: the setting that was best where it was chosen, and its yearly ratios there and where it was judged."""

    setting: int
    chosen: float
    judged: float


@dataclass(frozen=True)
class Ablated:
    """An adaptive part on and off, all else as configured: total return and yearly ratio of each.

    difference: of the yearly mean return, on less off; low, high: its 95 % interval, by the long-run variance.
    """

    name: str
    configured_on: bool
    on: tuple[float, float | None]
    off: tuple[float, float | None]
    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class Evaluation:
    """Everything that an evaluation says. best: the setting with the highest ratio; None where none has one."""

    plan: EvaluationPlan
    series: Series
    judged: tuple[Judged, ...]
    best: int | None
    trials: Trials
    luck: float | None  # yearly ratio to expect of the luckiest trial
    overfitting: Overfitting | None
    against_cash: Ability | None
    against_configured: Ability | None
    splits: tuple[Split, ...]
    ablated: tuple[Ablated, ...]
    failures: Mapping[str, str]  # by id of the piece


def judge(
    plan: EvaluationPlan, results: Mapping[str, Mapping[str, Any]], failures: Mapping[str, str], trials: Trials
) -> Evaluation:
    """The figures of runs that ended. results, failures: by id of the piece. trials: that the project has made on the data."""
    series = series_of(plan, results)
    days = len(series.returns)
    scale = math.sqrt(series.days_a_year)
    variance = _variance(plan, series, trials)
    bar = expected_maximum(max(trials.different, 1), variance) if days >= LEAST_DAYS else None
    judged = tuple(_judged(plan, series, i, results, bar) for i in range(len(series.settings)))
    known = [j for j in judged if j.sharpe is not None]
    best = max(known, key=lambda j: j.sharpe or 0.0).setting if known else None
    base = series.settings.index(0) if 0 in series.settings else None
    others = None if base is None else np.delete(series.returns, base, axis=1) - series.returns[:, [base]]
    return Evaluation(
        plan,
        series,
        judged,
        best,
        trials,
        None if bar is None else bar * scale,
        overfitting(series.returns) if len(series.settings) > 1 else None,
        superior_ability(series.returns) if days else None,
        superior_ability(others) if others is not None and others.shape[1] else None,
        _splits(series, scale),
        tuple(_ablated(plan, series, judged)) if base is not None else (),
        failures,
    )


def _variance(plan: EvaluationPlan, series: Series, trials: Trials) -> float:
    """Of the daily ratios of the trials on the data. The ledger has those of each of several markets alone, so that of them
    together is that of the settings."""
    found = [m.sharpe for column in series.returns.T if (m := moments(column)) is not None]
    if len(plan.markets) > 1 and len(found) > 1:
        return statistics.variance(found)
    return trials.variance_for(len(series.returns))


def _judged(
    plan: EvaluationPlan, series: Series, column: int, results: Mapping[str, Mapping[str, Any]], bar: float | None
) -> Judged:
    returns, scale = series.returns[:, column], math.sqrt(series.days_a_year)
    total, ratio = growth(returns), yearly(returns, scale)
    found = moments(returns) if bar is not None else None
    error = sharpe(returns)[1] if ratio is not None else None
    half = None if error is None else Z95 * error * scale
    wealth = np.cumprod(1.0 + returns)
    peak = np.maximum.accumulate(np.maximum(wealth, 1.0))
    windows = [returns[series.window == w] for w in range(plan.request.windows)]
    own = [results[p.id]["figures"] for p in plan.pieces if p.setting == series.settings[column]]
    turnover = [f["turnover"] for f in own if f.get("turnover") is not None]
    return Judged(
        series.settings[column],
        len(returns),
        total,
        ratio,
        None if ratio is None or half is None else ratio - half,
        None if ratio is None or half is None else ratio + half,
        None if found is None else probabilistic_sharpe(found),
        None if found is None or bar is None else probabilistic_sharpe(found, bar),
        None if found is None else minimum_track_record(found),
        float((1.0 - wealth / peak).max()) if len(returns) else 0.0,
        tuple((growth(part), yearly(part, scale)) for part in windows),
        sum(f.get("trips") or 0.0 for f in own),
        sum(turnover) if turnover else None,
        sum(f.get("fees") or 0.0 for f in own),
    )


def growth(returns: Floats) -> float:
    """Total return."""
    return float(np.prod(1.0 + returns)) - 1.0


def yearly(returns: Floats, scale: float) -> float | None:
    """Sharpe ratio made yearly; None of fewer than ten days, and where nothing moved."""
    ratio = sharpe(returns)[0] if len(returns) >= LEAST_DAYS else None
    return None if ratio is None else ratio * scale


def _splits(series: Series, scale: float) -> tuple[Split, ...]:
    days = len(series.returns)
    if len(series.settings) < 2 or days // FOLDS - 1 <= PURGE + EMBARGO:
        return ()
    made = choose_and_judge(series.returns, purged_splits(days, FOLDS, JUDGED, PURGE, EMBARGO))
    return tuple(Split(series.settings[column], chosen * scale, judged * scale) for column, chosen, judged in made)


def _ablated(plan: EvaluationPlan, series: Series, judged: tuple[Judged, ...]) -> list[Ablated]:
    place = {s: i for i, s in enumerate(series.settings)}
    made = []
    for s, i in place.items():
        setting = plan.settings[s]
        if setting.part is None:
            continue
        on, off = (i, place[0]) if setting.switched_on else (place[0], i)
        less = series.returns[:, [on]] - series.returns[:, [off]]
        days = len(less)
        mean = float(less.mean()) * series.days_a_year
        error = math.sqrt(float(long_run_variance(less, max(2, math.isqrt(days)))[0]) / days) * series.days_a_year
        with_it, without = ((judged[k].total, judged[k].sharpe) for k in (on, off))
        low, high = mean - Z95 * error, mean + Z95 * error
        made.append(Ablated(setting.part.name, not setting.switched_on, with_it, without, mean, low, high))
    return made
