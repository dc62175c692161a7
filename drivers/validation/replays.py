"""The same bars run another way give the same bits: bar by bar, in any cuts, from a checkpoint, uncompiled."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from drivers.text.times import stamp
from drivers.validation.compare import Difference, Record
from drivers.validation.registry import Broken, Tested, on_stretches
from drivers.validation.trial import Stretch, Trial

PLAIN_BARS = 300
"""Bars of a stretch that the plain loop runs: it is many times slower where there are positions."""


def same(trial: Trial, mine: Record, other: Record, how: str, only: Sequence[str] | None = None) -> Tested:
    """Raises Broken where another run of the same bars, or of the first of them, differs from the run's own.

    how: what was other, as the sentence ends. only: compare these layers.
    """
    bars = len(other.time)
    mine = mine if bars == len(mine.time) else mine.until(bars)
    found = mine.difference(other, only)
    if found is not None:
        a, b = found.values
        raise Broken(f"{place(trial, found, mine)} is {a!r} in the run and {b!r} {how}.")
    return Tested(bars, mine.values, mine.columns)


def place(trial: Trial, found: Difference, record: Record) -> str:
    """Layer, field, symbol and bar of a difference, in words."""
    node = trial.plan.nodes[found.node]
    symbol = "" if found.column is None else f" of {trial.market.symbols[found.column]}"
    field = f" ({found.field})" if found.field else ""
    return f"{node.layer_id} {found.node}{field}{symbol} at {stamp(record.time[found.bar])}"


@on_stretches(
    "batch = stream",
    "What a backtest shows is what the live system would have computed, one bar at a time.",
)
def batch_is_stream(stretch: Stretch) -> Tested:
    """Every output, one bar at a time."""
    return same(stretch.trial, stretch.record, stretch.again(range(stretch.first, stretch.end)), "one bar at a time")


@on_stretches("any cuts", "How the history is cut into pieces, as memory allows, does not change a result.")
def cut_anywhere(stretch: Stretch) -> Tested:
    """Every output, in pieces of random length."""
    cuts = stretch.draw(max(2, (stretch.end - stretch.first) // 40), "cuts")
    return same(stretch.trial, stretch.record, stretch.again(cuts), "in random pieces")


@on_stretches("restored = never stopped", "A stream that stopped, or crashed, goes on from its checkpoint as if it had not.")
def restored(stretch: Stretch) -> Tested:
    """Every output, the engine saved and restored at random bars."""
    at = stretch.draw(3, "checkpoints")
    return same(stretch.trial, stretch.record, stretch.again(restored_at=at), "restored from checkpoints")


@on_stretches("compiled = plain Python", "The machine code of the account loop does what its Python source says.")
def compiled_is_interpreted(stretch: Stretch) -> Tested:
    """Every output, the step loop as plain Python for the last bars."""
    begin = max(stretch.first, stretch.end - PLAIN_BARS)
    with np.errstate(all="ignore"):  # where machine code is silent about 0 / 0, so is this
        other = stretch.again(interpreted_from=begin)
    return same(stretch.trial, stretch.record, other, "in plain Python")._replace(bars=stretch.end - begin)
