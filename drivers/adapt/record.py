"""What L6 and L65 said at the end of each epoch of a run, as arrays by epoch."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from dataflows.fusion.types import K
from dataflows.meta.thresholds import LEVELS, shifts_of
from dataflows.panel import Floats, Ints
from dataflows.regime.types import REGIMES
from drivers.store.reader import RecordedError, RecordedRun
from drivers.text.times import parse_utc, stamp

L6: Final = "l6_performance_monitor"
L65: Final = "l65_adaptation"
TABLE: Final = "epochs/meta"
PARTS: Final = ("sources", "patterns", "thresholds")
"""What adapts."""


class AdaptError(ValueError):
    """A run or an epoch is not what was asked for. One sentence: which, and what there is instead."""


@dataclass(frozen=True)
class Snapshot:
    """What is in force in an epoch. weights: (REGIMES, K). patterns: (PATTERNS,). shifts: (LEVELS,) as `threshold_shifts`."""

    weights: Floats
    patterns: Floats
    shifts: Floats


class Record:
    """The epochs of a run, from 1 on; 0 is the start, when the configured values hold.

    Raises AdaptError for a run in which nothing learns, or of an older version.
    """

    def __init__(self, run: RecordedRun) -> None:
        self.run = run
        if TABLE not in run.tables() or f"{L6}.paper.sharpe.0" not in run.columns(TABLE):
            raise AdaptError(
                f"{run.folder.name} has no record of what it learned: its wiring switches L6 off, it is of one domain, or "
                "an older version made it"
            )
        stamps = run.table(TABLE, [])["timestamp"].cast("int64").to_numpy()
        self.time: Ints = stamps[:: len(run.symbols)]
        """(E,) UTC ns: the first bar at which what an epoch taught holds."""

    def __len__(self) -> int:
        return len(self.time)

    @property
    def name(self) -> str:
        """The run's."""
        return self.run.folder.resolve().name

    @property
    def learns(self) -> bool:
        """Whether L65 runs, too."""
        return f"{L65}.changed" in self.run.columns(TABLE)

    def of(self, name: str) -> Floats:
        """A value by epoch, (E, …): `l6_performance_monitor.paper.sharpe`. Its axes follow, that of the symbols last."""
        named = re.compile(re.escape(name) + r"(\.\d+)*")
        own = [c for c in self.run.columns(TABLE) if named.fullmatch(c)]
        if not own:
            raise AdaptError(f"{self.run.folder.name} does not hold {name}: another version made it")
        places = [tuple(map(int, filter(None, column[len(name) :].split(".")))) for column in own]
        table = self.run.table(TABLE, own)
        symbols = len(self.run.symbols)
        found: Floats = np.empty((*(1 + max(axis) for axis in zip(*places, strict=True)), len(self), symbols))
        for place, column in zip(places, own, strict=True):
            found[place] = table[column].to_numpy().reshape(len(self), symbols)
        found = np.moveaxis(found, -2, 0)
        return found if name in _PER_SYMBOL or ".by_symbol." in name else found[..., 0]

    # ---- what was in force

    @functools.cached_property
    def settings(self) -> dict[str, Any]:
        """The configuration of the meta domain, as the run used it."""
        found: dict[str, Any] = self.run.about["configuration"]["meta"]
        return found

    def setting(self, key: str, domain: str = "meta") -> Any:
        """One value of the run's configuration."""
        values = self.run.about["configuration"][domain]
        if key not in values:
            raise AdaptError(f"{self.run.folder.name} does not say what {domain}.{key} was: an older version made it")
        return values[key]

    @functools.cached_property
    def _held(self) -> tuple[Floats, Floats, Floats]:
        """Weights, patterns and shifts, each (1 + E, …)."""
        start = self.start()
        weights = np.concatenate([start.weights[None], self.of(f"{L6}.source_weights.weights").reshape(-1, len(REGIMES), K)])
        if not self.learns:
            every = len(weights)
            return weights, np.repeat(start.patterns[None], every, axis=0), np.repeat(start.shifts[None], every, axis=0)
        patterns = np.concatenate([start.patterns[None], self.of(f"{L65}.pattern_weights.weights")])
        means = self.of(f"{L65}.regime_thresholds.mean_shift")
        crash = self.of(f"{L65}.regime_thresholds.crash_factor")
        shifts = [shifts_of(mean, factor) for mean, factor in zip(means, crash, strict=True)]
        return weights, patterns, np.array([start.shifts, *shifts]).reshape(-1, LEVELS)

    def start(self) -> Snapshot:
        """What holds until the first epoch has ended: the configuration."""
        rows = [self.setting(f"sources_{name.lower()}") for name in REGIMES]
        return Snapshot(np.array(rows), np.array(self.setting("pattern_weights")), np.array(self.setting("threshold_shifts")))

    def snapshot(self, epoch: int) -> Snapshot:
        """What held after so many epochs."""
        return Snapshot(*(values[epoch] for values in self._held))

    def snapshots(self) -> Iterator[Snapshot]:
        """That of the start, and of every epoch."""
        return (self.snapshot(epoch) for epoch in range(len(self) + 1))

    @functools.cached_property
    def _advice(self) -> tuple[Floats, Floats]:
        """The advised patterns and shifts of every epoch."""
        means = np.array(self.configured_thresholds())
        now = np.stack([self.of(f"{L65}.advice.{name}") for name in ADVICE], axis=1)
        shifts = np.column_stack([now[:, :-1] - means[:-1], now[:, -1] / means[-1] - 1.0])
        return self.of(f"{L65}.advice.pattern_weights"), shifts

    def advised(self, epoch: int | None = None) -> Snapshot:
        """What was recommended after an epoch, whether or not it is in force; None: the last. Weights are what L6 gave."""
        at = len(self) if epoch is None else epoch
        held = self.snapshot(at)
        if not (self.learns and at):
            return held
        patterns, shifts = self._advice
        return Snapshot(held.weights, patterns[at - 1], shifts[at - 1])

    def configured_thresholds(self) -> tuple[float, float, float, float]:
        """Mean volatility when calm and in high volatility, size of a trend, move that is a crash: of regime.yml."""
        calm, high, up = (self.setting(f"{name}_mean", "regime") for name in ("calm", "high_vol", "trend_up"))
        return calm[0], high[0], up[1], self.setting("crash_sigma", "regime")

    # ---- which epoch

    def epoch_of(self, text: str) -> int:
        """The epoch that is meant: its number, or the one whose lessons held at a time. Raises AdaptError for none."""
        if text.isdigit():
            number = int(text)
            if number > len(self):
                raise AdaptError(f"{self.name} has no epoch {number}; it has {self.span()}")
            return number
        try:
            at = parse_utc(text)
        except ValueError:
            raise AdaptError(f"{text!r} is no epoch; write its number or a time: {self.name} has {self.span()}") from None
        return int(np.searchsorted(self.time, at, side="right"))

    def span(self) -> str:
        """How many epochs there are, and when."""
        if not len(self):
            return "no epoch that has ended"
        return f"epochs 1 ({self.day(1)}) to {len(self)} ({self.day(len(self))})"

    def day(self, epoch: int) -> str:
        """From when on it holds, to the minute; `the start` of 0."""
        return "the start" if epoch == 0 else stamp(int(self.time[epoch - 1])).replace("T", " ")[:16]


ADVICE: Final = ("calm_volatility", "high_volatility", "trend", "crash_sigma")
"""The advised thresholds among L65's advice, as `threshold_shifts` has them."""
_PER_SYMBOL: Final = (f"{L6}.realised.profit_by_symbol",)


def record_of(run: RecordedRun) -> Record | None:
    """The record of a run; None where nothing learns in it."""
    try:
        return Record(run)
    except (AdaptError, RecordedError):
        return None
