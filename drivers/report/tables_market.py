"""The tables of what a run was given: regimes, data quality, and where everything came from."""

from __future__ import annotations

import numpy as np

from dataflows.risk.types import LEVELS
from drivers.report.cells import Cell, Table, number, word
from drivers.report.contents import RunReport
from drivers.report.market import QUALITY, STATES
from drivers.report.text import UNKNOWN, count, fixed, moment, percent
from drivers.report.words import REGIMES, in_words
from drivers.text.counts import plural
from drivers.text.times import rounded_duration


def regimes(report: RunReport) -> Table | None:
    """How long each symbol was in each regime."""
    labels = report.regimes
    if labels is None:
        return None
    rows = []
    for n, name in enumerate(report.symbols):
        shares = np.bincount(labels[:, n].astype(np.int64) + 1, minlength=len(STATES)) / len(labels)
        changes = int(np.count_nonzero(np.diff(labels[:, n])))
        cells = (number(percent(float(s), 1), float(s), share=float(s)) for s in shares)
        rows.append([word(name), *cells, number(count(changes), changes)])
    columns = (("Symbol", False), *((in_words(s, REGIMES), True) for s in STATES), ("changes", True))
    return Table("regimes", "Share of the bars in each regime (L1), by symbol.", columns, rows)


def quality(report: RunReport) -> Table | None:
    """What was wrong with the data, by symbol."""
    found = report.quality
    if found is None:
        return None
    starts = report.clock.period_starts
    rows = []
    for n, name in enumerate(report.symbols):
        listed = int(found.listed[:, n].sum())
        worst = int(np.argmax(found.silence[:, n]))
        silent = float(found.silence[worst, n])
        when = f"{count(silent)}, {moment(int(starts[worst]))[:10]}" if silent else "0"
        rows.append(
            [
                word(name),
                number(count(listed), listed),
                *(number(count(int(v[:, n].sum())), int(v[:, n].sum())) for v in found.flagged.values()),
                Cell(when, silent, "", True),
            ]
        )
    flags = ((QUALITY[kind], True) for kind in found.flagged)
    columns = (("Symbol", False), ("bars listed", True), *flags, ("longest silence, bars", True))
    caption = (
        "Bars of each symbol that L0 flagged. Outliers are kept as they are; estimators learn only from bars that were "
        "observed and sane."
    )
    return Table("quality", caption, columns, rows)


def halts(report: RunReport) -> str:
    """How long the kill switch held, in a sentence."""
    if report.halts is None or not np.any(report.halts > 0):
        return ""
    counts = {name: int(np.count_nonzero(report.halts == level)) for level, name in enumerate(LEVELS) if level}
    told = " and ".join(f"at {name.lower()} for {count(n)}" for name, n in counts.items() if n)
    return f"The kill switch (L81) was {told} of {count(len(report.halts))} bars; that time is shaded."


def commands(report: RunReport) -> Table | None:
    """What the operator and the watchdog said between bars."""
    rows = [[word(c.time), word(c.said), word(c.by), word(c.refused or "acted")] for c in report.run.operator_commands()]
    caption = "Commands between bars, as they came. What followed from them is in the log."
    return Table("commands", caption, [(name, False) for name in ("Time", "Command", "By", "Outcome")], rows) if rows else None


def provenance(report: RunReport) -> list[tuple[str, str]]:
    """What a run was made of: (what, text)."""
    about = report.run.about
    versions = about.get("versions", {})
    timings = about.get("timings", {})
    made = [
        ("data", str(about.get("data", UNKNOWN))),
        ("source", str(about.get("source") or UNKNOWN)),
        (
            "bars",
            f"{count(report.clock.bars)} of {rounded_duration(report.clock.step)}, {plural(len(report.symbols), 'symbol')}",
        ),
        ("overrides", ", ".join(about.get("overrides", [])) or "none"),
        ("versions", ", ".join(f"{name} {value}" for name, value in versions.items())),
        ("data hash", str(about.get("data_hash", UNKNOWN))),
        ("configuration hash", str(about.get("configuration_hash", UNKNOWN))),
        ("wiring hash", str(about.get("wiring_hash", UNKNOWN))),
    ]
    if timings.get("run_seconds"):
        prepared, ran = (fixed(timings.get(name), 1) for name in ("prepare_seconds", "run_seconds"))
        made.append(("time", f"prepared in {prepared} s, ran in {ran} s"))
    return made
