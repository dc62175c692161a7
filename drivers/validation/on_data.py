"""The suite on a folder of market data, with the wiring and the configuration that a run would have."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console

from drivers.engine.building import boundaries
from drivers.feeds.check import QualityReport, check_dataset
from drivers.feeds.dataset import Dataset
from drivers.feeds.sample import sample_market
from drivers.feeds.source import Source
from drivers.run.assembly import PreparedRun, prepare_run
from drivers.run.progress import progress_bar
from drivers.run.request import RunRequest
from drivers.text.terminal import Terminal
from drivers.validation.report import ValidationReport, Verdict
from drivers.validation.suite import BARS, every_property, validate
from drivers.validation.trial import Trial

_DATA = ("data", "A run takes the data: every value is possible, times are in order, and nothing contradicts itself.")


def validate_data(request: RunRequest, *, bars: int | None = BARS, console: Console | None = None) -> ValidationReport:
    """Tests every property on the data and with the configuration of a request. Nothing is written.

    bars: how many may be run again in other ways, about; None: all. request.seed: of what is drawn at random, too.
    Raises what `prepare_run` raises: DataError for a folder that is none, ConfigError, ProjectError.
    """
    with progress_bar(console or Terminal(stderr=True)) as progress:
        path = request.data if request.data is not None else sample_market(request.seed, progress)
        checked = _check(path, request) if not isinstance(path, Path) or path.is_dir() else None
        if checked is not None and checked.state == "broken":
            return _refused(checked)
        session = prepare_run(request, progress)
        task = progress.add_task("Running", total=session.data.remaining())
        report = validate(
            trial_of(session), bars=bars, on_bars=lambda done, doing: progress.update(task, advance=done, description=doing)
        )
        if checked is not None:
            report.verdicts.insert(0, checked)
        return report


def trial_of(session: PreparedRun) -> Trial:
    """The plan, data and configuration of a session on a folder of market data, to be tested."""
    data = session.data
    assert isinstance(data, Dataset)  # no other feed was given
    return Trial(
        session.plan,
        data,
        {"instruments": data.instruments},
        boundaries(session.wiring),
        session.wiring.epoch_ns,
        session.request.seed,
    )


def _check(path: Source, request: RunRequest) -> Verdict:
    begun = time.perf_counter()
    found = check_dataset(path, symbols=request.symbols)
    verdict = Verdict(*_DATA, state="holds", symbols=len(found.symbols), columns=0, bars=_bars(found), values=found.rows)
    verdict.seconds = time.perf_counter() - begun
    if not found.ok:
        verdict.state, verdict.finding = "broken", found.faults[-1].sentence
    return verdict


def _bars(found: QualityReport) -> int:
    return max((s.bars + s.missing for s in found.symbols), default=0)


def _refused(checked: Verdict) -> ValidationReport:
    """Where the data cannot be used, nothing else can be told."""
    others = [Verdict(p.name, p.means, finding="a run refuses these data.") for p in every_property()]
    return ValidationReport(checked.bars, (), "", "", [checked, *others])
