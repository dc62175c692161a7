"""What an evaluation says, in sentences: first what matters most."""

from __future__ import annotations

import numpy as np

from drivers.evaluation.judged import Evaluation
from drivers.report.figures import LEAST_DAYS
from drivers.report.text import count, fixed, percent
from drivers.statistics.ability import REPETITIONS, Ability
from drivers.text.counts import plural


def in_short(evaluation: Evaluation) -> list[str]:
    """The verdict on the best setting and on the choice."""
    plan, days = evaluation.plan, len(evaluation.series.returns)
    if days < LEAST_DAYS:
        return [f"{plural(days, 'day')} are too few for any verdict; give {LEAST_DAYS} or more."]
    best = next((j for j in evaluation.judged if j.setting == evaluation.best), None)
    if best is None:
        return [f"None of the {plural(len(evaluation.judged), 'setting')} traded, so that there is nothing to choose among."]
    name = plan.settings[best.setting].name
    said = []
    said.append(
        f"Of {plural(len(evaluation.judged), 'setting')}, {name} has the highest Sharpe ratio: {fixed(best.sharpe)} a year "
        f"(95 %: {fixed(best.low)} to {fixed(best.high)}), with a total return of {percent(best.total, sign=True)} over "
        f"{plural(days, 'day')}."
    )
    if best.deflated is not None and evaluation.luck is not None:
        said.append(
            f"The project has made {plural(evaluation.trials.different, 'different trial')} on these data; the luckiest of so "
            f"many that are worth nothing would show {fixed(evaluation.luck)}. The true ratio is above that with a probability "
            f"of {percent(best.deflated, 0)} (deflated Sharpe ratio)."
        )
    found = evaluation.overfitting
    if found is not None:
        said.append(
            f"In {percent(found.probability, 0)} of {count(len(found.logits))} ways to choose on half of the days, the best "
            "setting was in the lower half on the other days (probability of backtest overfitting; noise has 50 %)."
        )
    if evaluation.against_cash is not None:
        said.append(_ability(evaluation.against_cash, "staying out of the market"))
    if evaluation.against_configured is not None:
        said.append(_ability(evaluation.against_configured, "the configuration as it is"))
    return said


def _ability(found: Ability, what: str) -> str:
    p = p_value(found.consistent)
    if found.consistent < 0.05:
        return f"At least one setting is better than {what} (superior predictive ability, {p})."
    return f"That no setting is better than {what} cannot be ruled out (superior predictive ability, {p})."


def p_value(p: float) -> str:
    """`p = 0.031`, or `p < 0.001` where no sample of the bootstrap was beyond."""
    return f"p < {1 / REPETITIONS:g}" if p == 0.0 else f"p = {fixed(p, 3)}"


def split_words(evaluation: Evaluation) -> str:
    """What choosing by the past would have brought."""
    chosen, judged = (np.array([getattr(split, side) for split in evaluation.splits]) for side in ("chosen", "judged"))
    return (
        f"What was best on four of six folds had a median ratio of {fixed(float(np.median(chosen)))} there and of "
        f"{fixed(float(np.median(judged)))} on the two others, where it was 0 or less in {int((judged <= 0.0).sum())} of "
        f"{plural(len(judged), 'split')}."
    )
