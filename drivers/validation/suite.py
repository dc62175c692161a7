"""The suite: one run over the data, every property along it, and stretches of it run again.

1. The data are checked; where a run would refuse them, nothing else can be tested.
2. The data go through the engine chunk by chunk. Stretches are chosen before: the first chunks until half of the bars that may
   be run again are spent, then chunks drawn at random. Before each begins, the engine is saved.
3. As a stretch ends, every property that needs one is tested on it, and it is forgotten: memory does not grow with the data.
4. A property that does not hold is not tested again; the others go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from dataflows.execution.types import FILL, PLACE
from drivers.engine.checkpoint import save
from drivers.engine.chunk import Chunk, Outputs
from drivers.text.times import stamp
from drivers.validation import account, apart, boundary, future, gate, replays
from drivers.validation.registry import Along, Broken, NothingToTest, Property, Tested
from drivers.validation.report import ValidationReport, Verdict
from drivers.validation.trial import Stretch, Trial

GROUPS: Final = (boundary, replays, future, apart, account, gate)
"""The modules of the properties, as the report lists them."""
BARS: Final = 10_080
"""Bars that are run again, unless more are asked for: a week of minutes."""
STRETCH_BYTES: Final = 256 * 2**20
"""What the outputs of a stretch may take in memory."""


def every_property() -> list[Property]:
    """Every property of every group, in the order in which they are written."""
    return [p for group in GROUPS for p in vars(group).values() if isinstance(p, Property)]


def stretches(cuts: Sequence[tuple[int, int]], most: int, bars: int | None, seed: int) -> list[list[tuple[int, int]]]:
    """Which chunks make the stretches that are run again, in order. most: bars of a stretch. bars: how many in all,
    about; None: all."""
    chosen = _chosen(cuts, bars, seed)
    found: list[list[tuple[int, int]]] = []
    for a, b in (cuts[i] for i in chosen):
        joins = found and found[-1][-1][1] == a and b - found[-1][0][0] <= most
        if joins:
            found[-1].append((a, b))
        else:
            found.append([(a, b)])
    return found


def _chosen(cuts: Sequence[tuple[int, int]], bars: int | None, seed: int) -> list[int]:
    if bars is None:
        return list(range(len(cuts)))
    first = next((i + 1 for i, (_, b) in enumerate(cuts) if b >= bars / 2), len(cuts))
    left = bars - cuts[first - 1][1]
    later = []
    for i in np.random.default_rng(seed).permutation(np.arange(first, len(cuts))).tolist():
        left -= cuts[i][1] - cuts[i][0]
        if left < 0:
            break
        later.append(i)
    return [*range(first), *sorted(later)]


def validate(
    trial: Trial,
    *,
    bars: int | None = BARS,
    properties: Sequence[Property] | None = None,
    on_bars: Callable[[int, str], None] = lambda bars, doing: None,
) -> ValidationReport:
    """Tests properties on a trial, all unless some are given. bars: how many may be run again, about; None: all.

    on_bars: told as work is done: bars of the run that are done since the last call, and what is being done now.
    """
    market = trial.market
    most = trial.engine().bars_within(STRETCH_BYTES)
    cuts = list(market.cuts(most if bars is None else max(1, min(most, bars // 4)), epoch_ns=trial.epoch_ns))
    chosen = stretches(cuts, most, bars, trial.seed)
    report = ValidationReport(
        len(market),
        market.symbols,
        stamp(market.time[0]),
        stamp(market.time[-1]),
        [],
        _spans(trial, chosen),
        seed=trial.seed,
    )
    run = _Run(trial, every_property() if properties is None else properties, report, on_bars)
    starts = {chunks[0][0]: (chunks[0][0], *(b for _, b in chunks)) for chunks in chosen}
    run.go(cuts, starts)
    _note(report, trial)
    return report


class _Run:
    """The one run over the data, with the tests that go along and those of its stretches."""

    def __init__(
        self, trial: Trial, properties: Sequence[Property], report: ValidationReport, on_bars: Callable[[int, str], None]
    ) -> None:
        self.trial, self.report, self.on_bars = trial, report, on_bars
        self.along: list[tuple[Verdict, Along]] = []
        self.on: list[tuple[Verdict, Property]] = []
        for p in properties:
            verdict = Verdict(p.name, p.means, symbols=len(trial.market.symbols))
            report.verdicts.append(verdict)
            missing = [name for name in p.needs if name not in trial.plan.nodes]
            if missing:
                verdict.finding = f"the graph has no {' and no '.join(missing)}."
            elif p.along is not None:
                self.along.append((verdict, p.along(trial)))
            else:
                self.on.append((verdict, p))

    def go(self, cuts: Sequence[tuple[int, int]], starts: dict[int, tuple[int, ...]]) -> None:
        """Every chunk through the engine; an error ends the run and is a finding of every property that was under way."""
        engine = self.trial.engine()
        edges: tuple[int, ...] = ()
        state: bytes | None = None
        kept: list[Outputs] = []
        for a, b in cuts:
            if a in starts:
                edges, kept = starts[a], []
                state = save(engine) if a else None
            observations = self.trial.market.rows(a, b)
            try:
                outputs = engine.advance(Chunk(observations.time, self.trial.market.inputs(observations)))
            except Exception as error:
                self._ended(error, int(observations.time[0]), int(observations.time[-1]))
                return
            self._count(outputs.values)
            for verdict, take in self.along:
                self._test(verdict, lambda take=take, outputs=outputs: take(outputs))  # type: ignore[misc]
            if a in edges[:-1]:
                kept.append(outputs)
            if edges and b == edges[-1]:
                self._stretch(Stretch(self.trial, edges, state, kept))
                edges, kept = (), []
            self.on_bars(b - a, "Running")

    def _stretch(self, stretch: Stretch) -> None:
        for verdict, p in self.on:
            if p.on is not None:
                self.on_bars(0, f"{p.name}, from {stamp(stretch.observations.time[0])}")
                self._test(verdict, lambda test=p.on: test(stretch))  # type: ignore[misc]

    def _test(self, verdict: Verdict, test: Callable[[], Tested]) -> None:
        if verdict.state == "broken":
            return
        begun = time.perf_counter()
        try:
            tested = test()
        except Broken as error:
            verdict.broke(str(error), time.perf_counter() - begun)
        except NothingToTest as reason:
            verdict.finding = verdict.finding or (str(reason) if verdict.state == "not tested" else "")
        except Exception as error:  # a layer that fails where the run itself did not: a finding, with the others still to come
            verdict.broke(f"it ended with {type(error).__name__}: {error}", time.perf_counter() - begun)
        else:
            verdict.add(tested, time.perf_counter() - begun)

    def _count(self, values: Mapping[str, Any]) -> None:
        if "l5_execution_bridge" in values and "l90_fills" in values:
            self.report.orders += _entries(values["l5_execution_bridge"], PLACE)
            self.report.fills += _entries(values["l90_fills"], FILL)

    def _ended(self, error: Exception, first: int, last: int) -> None:
        sentence = f"the run ended between {stamp(first)} and {stamp(last)} with {type(error).__name__}: {error}"
        for verdict in (v for v, _ in (*self.along, *self.on)):
            if verdict.state != "broken":
                verdict.broke(sentence, 0.0)


def _entries(log: Any, kind: int) -> int:
    return int(np.count_nonzero(log.kind[: log.n] == kind))


def _spans(trial: Trial, chosen: Sequence[Sequence[tuple[int, int]]]) -> list[tuple[str, str, int]]:
    found: list[tuple[int, int]] = []
    for chunks in chosen:
        a, b = chunks[0][0], chunks[-1][1]
        if found and found[-1][1] == a:
            found[-1] = (found[-1][0], b)
        else:
            found.append((a, b))
    times = trial.market.time
    return [(stamp(times[a]), stamp(times[b - 1]), b - a) for a, b in found]


def _note(report: ValidationReport, trial: Trial) -> None:
    if "l5_execution_bridge" in trial.plan.nodes and not report.orders:
        report.notes.append(
            "No order was sent, so what is said of orders, fills and the account was tested on an account that did nothing; "
            "--spec prior_belief makes it trade on any data."
        )
