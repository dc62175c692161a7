"""An evaluation as one HTML file that needs nothing else."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any, Final

import numpy as np

from drivers.evaluation.judged import EMBARGO, PURGE, Evaluation
from drivers.evaluation.words import in_short, p_value, split_words
from drivers.feeds.base import DAY
from drivers.files.atomic import write_atomic
from drivers.report.cells import Cell, Table, number, word
from drivers.report.scan import BarTimes, clock_data
from drivers.report.series import thinned
from drivers.report.text import count, fixed, percent
from drivers.text.times import stamp
from drivers.web.page import render_page

NAME: Final = "evaluation.html"
SCRIPTS: Final = ("echarts.min.js", "report_chart.js", "tables.js", "report_compare.js")
MOST_DRAWN: Final = 9
"""Lines that a reader can tell apart."""
_POINTS: Final = 4_000


def write_page(evaluation: Evaluation, out: Path) -> Path:
    """Writes `evaluation.html`, whole or not at all; returns its path."""
    path = out / NAME
    write_atomic(path, evaluation_page(evaluation))
    return path


def evaluation_page(evaluation: Evaluation) -> str:
    """The page."""
    plan, short = evaluation.plan, in_short(evaluation)
    shown = _shown(evaluation)
    return render_page(
        "evaluation.html.j2",
        title=f"Evaluation on {', '.join(market.name for market in plan.markets)}",
        description=" ".join(short),
        scripts=SCRIPTS,
        styles=("report.css",),
        data={"runs": [_line(evaluation, i) for i in shown], "shifted": False},
        where=_where(evaluation),
        short=short,
        drawn=[plan.settings[evaluation.series.settings[i]].name for i in shown],
        together=len(plan.markets) > 1,
        failures=list(evaluation.failures.values()),
        spec=None if plan.spec is None else f"Machine spec {plan.spec.name}. {plan.spec.about}",
        equal=[f"{name} is the same as {other}, and counts once." for name, other in plan.dropped],
        settings=_settings(evaluation),
        windows=_windows(evaluation),
        splits=_splits(evaluation),
        split_words=split_words(evaluation) if evaluation.splits else "",
        gaps=(PURGE, EMBARGO),
        ablation=_ablation(evaluation),
        tests=_tests(evaluation),
    )


def _where(evaluation: Evaluation) -> str:
    plan, day = evaluation.plan, evaluation.series.day
    parts = [", ".join(market.name for market in plan.markets)]
    if len(day):
        parts.append(f"{_date(int(day.min()))} to {_date(int(day.max()))}")
    parts.append(f"{count(len(day))} days with a return")
    base = [*plan.request.base.overrides, *([f"spec {plan.request.base.spec}"] if plan.request.base.spec else [])]
    return "; ".join([*parts, *(["everywhere: " + ", ".join(base)] if base else [])]) + "."


def _date(day: int) -> str:
    return stamp(day * DAY)[:10]


def _shown(evaluation: Evaluation) -> list[int]:
    """The columns that are drawn: the configuration as it is and the best ones, in order."""
    order = sorted(range(len(evaluation.judged)), key=lambda i: -(evaluation.judged[i].sharpe or -np.inf))
    first = [i for i, s in enumerate(evaluation.series.settings) if s == 0]
    return sorted(dict.fromkeys([*first, *order][:MOST_DRAWN]))


def _line(evaluation: Evaluation, column: int) -> dict[str, Any]:
    """Return since the start and drawdown, as report_compare.js draws them: a bar is a day."""
    series = evaluation.series
    returns, day = series.returns[:, column], series.day.copy()
    at = 0
    for m in range(1, len(evaluation.plan.markets)):  # markets of the same days follow each other
        own = np.flatnonzero(series.market == m)
        if len(own) and own[0] and day[own[0]] <= day[own[0] - 1]:
            at = int(day[own[0] - 1] + 1 - day[own[0]])
            day[own] += at
    gaps = np.flatnonzero(np.diff(day) != 1) + 1
    clock = BarTimes(int(day[0] + 1) * DAY, DAY, len(day), tuple((int(i), int(day[i] + 1) * DAY) for i in gaps))
    wealth = np.asarray(np.cumprod(1.0 + returns), np.float64)
    drawdown = wealth / np.maximum.accumulate(np.maximum(wealth, 1.0)) - 1.0
    lines = dict(zip(("equity", "drawdown"), thinned((wealth - 1.0, drawdown), _POINTS), strict=True))
    return {
        "name": evaluation.plan.settings[series.settings[column]].name,
        "clock": clock_data(clock),
        "seconds": False,
        **lines,
    }


def _settings(evaluation: Evaluation) -> Table:
    rows: list[list[Cell]] = []
    for j in evaluation.judged:
        interval = "" if j.low is None else f"{fixed(j.low)} to {fixed(j.high)}"
        needed = None if j.track_record is None or not np.isfinite(j.track_record) else j.track_record
        rows.append(
            [
                word(evaluation.plan.settings[j.setting].name),
                number(percent(j.total, sign=True), j.total, toned=True),
                number(_known(j.sharpe), j.sharpe),
                number(interval, j.low),
                number("" if j.probabilistic is None else percent(j.probabilistic, 0), j.probabilistic),
                number("" if j.deflated is None else percent(j.deflated, 0), j.deflated),
                number("none" if needed is None else count(np.ceil(needed)), needed),
                number(percent(j.drawdown), j.drawdown),
                number(count(j.trips), j.trips),
                number("" if j.turnover is None else fixed(j.turnover), j.turnover),
                number(fixed(j.fees), j.fees),
            ]
        )
    names = (
        "total return", "Sharpe ratio", "95 % interval", "probabilistic", "deflated", "days needed", "largest drawdown",
        "round trips", "turnover", "fees",
    )  # fmt: skip
    columns = [("Setting", False), *((name, True) for name in names)]
    caption = (
        "Every setting. Sharpe ratios are of daily returns, made yearly. Probabilistic and deflated: the probability that the "
        "true ratio is above 0, and above that of the luckiest trial. Days needed: the minimum track record at 95 %. "
        "Drawdowns are of the closes of days. Turnover: times of mean equity."
    )
    return Table("settings", caption, columns, rows, sorts=True)


def _known(x: float | None) -> str:
    return "not shown" if x is None else fixed(x)


def _windows(evaluation: Evaluation) -> Table | None:
    n = evaluation.plan.request.windows
    if n < 2:
        return None
    series = evaluation.series
    heads = []
    for w in range(n):
        own = series.day[series.window == w]
        one = len(evaluation.plan.markets) == 1 and len(own)
        heads.append(f"{_date(int(own.min()))} to {_date(int(own.max()))}" if one else f"window {w + 1}")
    rows = []
    for j in evaluation.judged:
        cells = [
            number(percent(x, sign=True) + ("" if r is None else f", {fixed(r)}"), x if r is None else r) for x, r in j.windows
        ]
        rows.append([word(evaluation.plan.settings[j.setting].name), *cells])
    begins = (
        "Each window is a run of its own, which begins with nothing learned."
        if evaluation.plan.request.separate
        else "One run goes through all windows and keeps what it learns."
    )
    columns = [("Setting", False), *((head, True) for head in heads)]
    caption = f"Total return by window and, of ten days or more, Sharpe ratio. {begins}"
    return Table("windows", caption, columns, rows, sorts=True)


def _splits(evaluation: Evaluation) -> Table | None:
    if not evaluation.splits:
        return None
    times = Counter(split.setting for split in evaluation.splits)
    rows = []
    for setting, n in times.most_common():
        own = [split for split in evaluation.splits if split.setting == setting]
        chosen, judged = (float(np.median([getattr(split, side) for split in own])) for side in ("chosen", "judged"))
        share = n / len(evaluation.splits)
        rows.append(
            [
                word(evaluation.plan.settings[setting].name),
                number(count(n), n, share=share),
                number(fixed(chosen), chosen),
                number(fixed(judged), judged, toned=True),
            ]
        )
    columns = (("Setting", False), ("times chosen", True), ("median ratio, chosen", True), ("median ratio, judged", True))
    return Table("splits", "The settings that would have been chosen, and what came of it.", columns, rows)


def _ablation(evaluation: Evaluation) -> Table | None:
    rows = []
    for a in evaluation.ablated:
        made = any(x != 0.0 for x in (a.difference, a.low, a.high))
        told = f"{percent(a.low, sign=True)} to {percent(a.high, sign=True)}" if made else ""
        rows.append(
            [
                word(a.name),
                word("on" if a.configured_on else "off"),
                number(percent(a.on[0], sign=True), a.on[0]),
                number(percent(a.off[0], sign=True), a.off[0]),
                number(_known(a.on[1]), a.on[1]),
                number(_known(a.off[1]), a.off[1]),
                number(percent(a.difference, sign=True) if made else "none", a.difference, toned=made),
                number(told, a.low),
            ]
        )
    names = ("return with it", "return without", "Sharpe with it", "Sharpe without", "difference a year", "95 % interval")
    columns = [("Adaptive part", False), ("configured", False), *((name, True) for name in names)]
    caption = (
        "Each adaptive part on and off, all else as configured. The difference is that of the mean return, made yearly; its "
        "interval is by the long-run variance of the daily differences."
    )
    return Table("ablation", caption, columns, rows) if rows else None


def _tests(evaluation: Evaluation) -> Table:
    found = evaluation.overfitting
    rows = [[word("trials on these data"), number(count(evaluation.trials.different), evaluation.trials.different)]]
    if evaluation.luck is not None:
        rows.append([word("Sharpe ratio of the luckiest of them"), number(fixed(evaluation.luck), evaluation.luck)])
    if found is not None:
        rows.append([word("probability of backtest overfitting"), number(percent(found.probability, 1), found.probability)])
        rows.append([word("chosen on one half, a loss on the other"), number(percent(found.loss, 1), found.loss)])
        rows.append([word("settings that differ, and blocks of days"), number(f"{found.settings}, {found.blocks}", None)])
    for what, ability in (("staying out", evaluation.against_cash), ("as configured", evaluation.against_configured)):
        if ability is not None:
            for name in ability._fields:
                p = getattr(ability, name)
                rows.append([word(f"superior predictive ability over {what}, {name}"), number(p_value(p), p)])
    return Table("tests", "What the choice among settings is worth.", (("Measure", False), ("Value", True)), rows)
