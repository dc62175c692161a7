"""What a run learned, for its report: weights over time, patterns off and on, thresholds, and tables that say the same."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np

from dataflows.fusion.types import SOURCES
from drivers.adapt.changes import THRESHOLDS, all_changes, automatic, bound_of_luck, pattern_name, thresholds_of
from drivers.adapt.record import L6, L65, Record
from drivers.report.cells import Table, number, word
from drivers.report.series import floats
from drivers.report.text import count, percent, significant

MOST_CHANGES: Final = 200
"""Rows of the table of changes: the last ones."""


def drawn_learned(record: Record) -> dict[str, Any]:
    """The data of the charts: time (ms) of the first bar of each epoch from which a value holds, and values by name."""
    made: dict[str, Any] = {"time": (record.time // 1_000_000).tolist()}
    weights = record.of(f"{L6}.evidence.pooled_weight")
    made["weights"] = {name: floats(weights[:, k]) for k, name in enumerate(SOURCES)}
    if not record.learns:
        return made
    held = [record.snapshot(e + 1) for e in range(len(record))]
    advised = record.of(f"{L65}.advice.pattern_weights")
    base = np.array(record.setting("pattern_weights"))
    state = np.where(np.stack([s.patterns for s in held]) < base, 2, np.where(advised < base, 1, 0))
    made["patterns"] = {pattern_name(int(p)): state[:, p].tolist() for p in np.flatnonzero(state.any(axis=0))}
    configured = thresholds_of(record, record.start())
    told = np.stack([record.advised(e + 1).shifts for e in range(len(record))])
    made["thresholds"] = {
        name: {"held": floats(np.array([s.shifts[i] for s in held])), "advised": floats(told[:, i]), "at": float(configured[i])}
        for i, name in enumerate(THRESHOLDS)
    }
    return made


def weights(record: Record) -> Table:
    """Weight and evidence of each source after the last epoch."""
    names = ("pooled_weight", "log_wealth", "peak_log_wealth")
    weight, wealth, peak = (record.of(f"{L6}.evidence.{name}")[-1] for name in names)
    rows = [
        [
            word(SOURCES[k]),
            number(percent(weight[k], 1), weight[k], share=weight[k]),
            number(significant(math.exp(wealth[k]), 4), wealth[k]),
            number(significant(math.exp(peak[k]), 4), peak[k]),
            number(percent(bound_of_luck(peak[k]), 1), bound_of_luck(peak[k])),
        ]
        for k in np.argsort(-weight, kind="stable")
    ]
    acts = "" if automatic(record, "sources") else " They are not in force: the configured ones are."
    caption = (
        f"Weights of the sources after {count(len(record))} epochs (L6), and what a unit that bets on one alone is worth and "
        f"was at most. If the source were worth nothing, so much would come with at most that chance (Ville 1939).{acts}"
    )
    heads = ("Source", "Weight", "Wealth", "Highest", "Luck at most")
    return Table("weights", caption, [(head, i > 0) for i, head in enumerate(heads)], rows, sorts=True)


def changes(record: Record) -> Table | None:
    """What changed at which epoch, and why; what was only advised says so."""
    every = all_changes(record)
    if not every:
        return None
    shown = every[-MOST_CHANGES:]
    rows = [
        [
            number(count(c.epoch), c.epoch),
            word(record.day(c.epoch)),
            word(c.what),
            number(f"{c.before:.3f}", c.before),
            number(f"{c.after:.3f}", c.after),
            word("in force" if c.automatic else "advised only"),
            word(c.why),
        ]
        for c in reversed(shown)
    ]
    earlier = f" {count(len(every) - len(shown))} earlier ones are left out." if len(shown) < len(every) else ""
    heads = ("Epoch", "From (UTC)", "What", "Before", "After", "Effect", "Why")
    columns = [(head, head in ("Epoch", "Before", "After")) for head in heads]
    return Table("changes", f"What changed, the last first.{earlier}", columns, rows, sorts=True)
