"""What changed at which epoch of a run, and why; what was only advised stands apart from what took effect."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from dataflows.fusion.types import SOURCES
from dataflows.panel import Floats
from dataflows.pattern.types import FIRST_PATTERN
from drivers.adapt.record import ADVICE, L6, L65, Record, Snapshot

THRESHOLDS: Final = ("calm volatility", "high volatility", "trend size", "crash")
"""What `threshold_shifts` moves, in its order."""
CHOICES: Final = {"sources": "adapt_sources", "patterns": "adapt_patterns", "thresholds": "adapt_thresholds"}
"""By what adapts: the setting that lets it."""


class Change(NamedTuple):
    """One change after an epoch. part: of PARTS. automatic: False: it was advised and did not take effect."""

    epoch: int
    part: str
    what: str
    before: float
    after: float
    why: str
    automatic: bool


def pattern_name(p: int) -> str:
    """A pattern's layer id."""
    return f"L{FIRST_PATTERN + p}"


def all_changes(record: Record) -> list[Change]:
    """Everything that changed or was advised to, by epoch. Of the sources, whose weights move at each epoch, only who leads."""
    found = [*_leaders(record)]
    if record.learns:
        found += [*_patterns(record), *_thresholds(record)]
    return sorted(found, key=lambda change: change.epoch)


def automatic(record: Record, part: str) -> bool:
    """Whether a part may change by itself."""
    return bool(record.setting(CHOICES[part]))


def _leaders(record: Record) -> Iterator[Change]:
    weights = record.of(f"{L6}.evidence.pooled_weight")
    wealth = np.exp(record.of(f"{L6}.evidence.log_wealth"))
    leader, before = -1, 1.0 / len(SOURCES)
    for e, row in enumerate(weights):
        first = int(np.argmax(row))
        if first == leader or not row[first] > row.min():
            continue
        rival = f", {SOURCES[leader]} is at {wealth[e, leader]:.3f}" if leader >= 0 else ""
        why = f"a unit bet on it alone is {wealth[e, first]:.3f}{rival}"
        before = float(weights[e - 1, first]) if e else before
        yield Change(
            e + 1,
            "sources",
            f"{SOURCES[first]} has the largest weight",
            before,
            float(row[first]),
            why,
            automatic(record, "sources"),
        )
        leader = first


def _patterns(record: Record) -> Iterator[Change]:
    chance = record.of(f"{L65}.advice.pattern_sharpe_chance")
    advised = record.of(f"{L65}.advice.pattern_weights")
    base = np.array(record.setting("pattern_weights"))
    off, on, acts = record.setting("pattern_off"), record.setting("pattern_on"), automatic(record, "patterns")
    before = base
    for e, row in enumerate(advised):
        for p in np.flatnonzero(row != before):
            tested = int(np.isfinite(chance[e]).sum())
            why = f"its chance of earning is {_percent(chance[e, p], 2)}"
            if row[p] < before[p]:
                why += f": refuted at a false discovery rate of {_percent(off)} over {tested}"
            else:
                why += f", above {_percent(on)}"
            word = "off" if row[p] < before[p] else "on"
            yield Change(e + 1, "patterns", f"{pattern_name(int(p))} {word}", float(before[p]), float(row[p]), why, acts)
        before = row


def _thresholds(record: Record) -> Iterator[Change]:
    advised = np.stack([record.of(f"{L65}.advice.{name}") for name in ADVICE], axis=1)
    least, step, acts = record.setting("least_epochs"), record.setting("threshold_step"), automatic(record, "thresholds")
    before = thresholds_of(record, record.start())
    for e, row in enumerate(advised):
        for i in np.flatnonzero(~np.isclose(row, before, rtol=1e-12, atol=1e-12)):
            side = "above" if row[i] > before[i] else "below"
            why = f"the quantile that it follows, over {least} epochs, lies {side}; at most {step:g} an epoch"
            yield Change(e + 1, "thresholds", THRESHOLDS[i], float(before[i]), float(row[i]), why, acts)
        before = row


def thresholds_of(record: Record, snapshot: Snapshot) -> Floats:
    """The thresholds that shifts make of the configured ones: scores, and the crash in sigmas."""
    means = np.array(record.configured_thresholds())
    return np.append(means[:-1] + snapshot.shifts[:-1], means[-1] * (1.0 + snapshot.shifts[-1]))


def bound_of_luck(peak_log_wealth: float) -> float:
    """Ville's bound on the chance that a bet worth nothing ever gets so rich, in [0, 1]."""
    return min(1.0, math.exp(-max(0.0, peak_log_wealth)))


def _percent(x: float, digits: int = 0) -> str:
    return f"{100.0 * x:.{digits}f} %"


def in_words(record: Record) -> list[str]:
    """What the wealth of the bets says of the sources, in sentences."""
    if not len(record):
        return [f"{record.name} has no epoch that has ended, so nothing was learned."]
    wealth = np.exp(record.of(f"{L6}.evidence.log_wealth")[-1])
    peak = record.of(f"{L6}.evidence.peak_log_wealth")[-1]
    best = int(np.argmax(peak))
    if not peak[best] > 0.0:
        return ["No bet on a source has ever been worth more than at its start: nothing speaks for any of them."]
    bound = bound_of_luck(float(peak[best]))
    found = [
        f"A unit bet on {SOURCES[best]} alone is {wealth[best]:.3f} units now and was {math.exp(peak[best]):.3f} at most.",
        f"If {SOURCES[best]} were worth nothing, the chance of ever getting there is at most {_percent(bound)} (Ville 1939).",
    ]
    strong = [SOURCES[k] for k in np.flatnonzero(peak >= math.log(20.0))]
    found.append(
        f"Evidence at the 5 % level, which is a bet that once was 20 units: {', '.join(strong)}."
        if strong
        else "No bet has ever been 20 units, which would be evidence at the 5 % level: the weights are a hedge, not a finding."
    )
    return found
