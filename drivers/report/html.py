"""A run's report as one HTML file that needs nothing else: `report.html` in the folder of its results."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from drivers.adapt.changes import in_words as in_words_learned
from drivers.files.atomic import write_atomic
from drivers.report import learned, tables_account, tables_decisions, tables_market
from drivers.report.cells import present
from drivers.report.contents import RunReport, cautions, in_short, read_report, why_nothing
from drivers.report.drawn import drawn, in_words
from drivers.report.text import interval_of, moment, value_of
from drivers.text.times import rounded_duration
from drivers.web.page import prepare, render_page

NAME: Final = "report.html"
TEMPLATES: Final = ("report.html.j2", "report_parts.html.j2", "base.html.j2")
SCRIPTS: Final = (
    "echarts.min.js", "report_chart.js", "tables.js", "report_returns.js", "report_prices.js", "report_trips.js",
    "report_learned.js", "report.js",
)  # fmt: skip
HEADLINES: Final = (
    "total_return",
    "profit",
    "max_drawdown",
    "sharpe",
    "deflated_sharpe",
    "turnover",
    "fees",
    "trips",
    "hit_rate",
)


def prepare_report() -> None:
    """Does beforehand what a report takes that is the same for every run."""
    prepare(TEMPLATES)


def write_report(folder: Path, name: str | None = None) -> Path:
    """Writes `report.html` into a run's folder, whole or not at all; returns its path. name: what to call the run.

    Raises RecordedError for what is no finished run, PageError when the pages' scripts are not there.
    """
    path = folder / NAME
    write_atomic(path, report_page(read_report(folder, name)))
    return path


def report_page(report: RunReport) -> str:
    """The page of a report."""
    account = report.account
    trips, rest = tables_account.round_trips(report)
    begin, end = (moment(t, seconds=report.seconds) for t in (report.clock.first - report.clock.step, report.clock.last))
    headlines = [f for key in HEADLINES if (f := report.figure(key)) is not None]
    context: dict[str, Any] = {
        "report": report,
        "about": report.run.about,
        "span": f"{begin} to {end} UTC",
        "lasting": rounded_duration(report.clock.span),
        "short": in_short(report),
        "cautions": cautions(report),
        "headlines": [
            {"key": f.key, "label": f.label, "value": value_of(f), "below": f"95 %: {i}" if (i := interval_of(f)) else f.note}
            for f in headlines
        ],
        "traded": bool(report.book.fills),
        "nothing": "" if report.book.fills else why_nothing(report),
        "figures": tables_account.figures(report),
        "periods": tables_account.periods(report, account) if account is not None else None,
        "symbols": tables_account.symbols(report),
        "trips": trips if trips.rows else None,
        "rest": rest,
        "sides": tables_account.by_side(report),
        "hours": tables_account.by_hour(report),
        "decisions": present((tables_decisions.funnel(report), tables_decisions.verdicts(report))),
        "refusals": tables_decisions.refusals(report),
        "gate": tables_decisions.gate(report),
        "orders": tables_account.orders(report),
        "costs": tables_account.costs(report),
        "sources": tables_decisions.sources(report),
        "weights": None if report.learned is None else learned.weights(report.learned),
        "changes": None if report.learned is None else learned.changes(report.learned),
        "evidence": [] if report.learned is None else in_words_learned(report.learned),
        "regimes": tables_market.regimes(report),
        "quality": tables_market.quality(report),
        "halts": tables_market.halts(report),
        "commands": tables_market.commands(report),
        "provenance": tables_market.provenance(report),
        "honest": in_words(report),
    }
    made = drawn(report)
    return render_page(
        TEMPLATES[0],
        title=f"Run {report.name}",
        description=" ".join(context["short"]),
        scripts=SCRIPTS,
        styles=("report.css",),
        data=made,
        has={
            **{name: name in made for name in ("days", "months", "rolling", "trips")},
            **{name: bool(made.get("learned", {}).get(name)) for name in ("patterns", "thresholds")},
        },
        **context,
    )
