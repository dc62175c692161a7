"""One run of an evaluation, as a worker makes it: any process that has the package and the data."""

from __future__ import annotations

import hashlib
import tempfile
import time
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from typing import Any, Final

from drivers.evaluation.errors import EvaluationError
from drivers.evaluation.machine import machine
from drivers.report.account import read_account
from drivers.report.figures import all_figures
from drivers.report.scan import clock_of
from drivers.report.trips import read_book
from drivers.run.batch import run_batch
from drivers.run.request import RunRequest
from drivers.store.parquet import files_of
from drivers.store.reader import RecordedRun, open_run
from drivers.store.trials import trial_id
from drivers.text.terminal import Terminal

FUNCTION: Final = f"{__name__}:run_task"
_TABLES: Final = ("orders", "fills", "ledger", "decisions")


@dataclass(frozen=True)
class RunTask:
    """request: without `out`. data_hash: what its data must have. span: start and end of the whole evaluation. keep: a folder
    for the results, None to drop them. scratch: where they lie until
    then, None for the usual place. machine: what the worker must be alike in, None for any."""

    request: RunRequest
    data_hash: str
    span: tuple[int | None, int | None]
    keep: Path | None = None
    scratch: Path | None = None
    machine: dict[str, str] | None = None


def run_task(task: RunTask) -> dict[str, Any]:
    """Runs it, and returns what an evaluation needs of the results, as JSON has it. Raises what a run raises."""
    if task.machine is not None and (other := unlike(task.machine, machine())):
        raise EvaluationError(f"a worker has {other}")
    begun = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="stratoquant-", dir=task.scratch) as place:
        out = task.keep or Path(place) / "run"
        kept = task.keep is not None
        request = replace(task.request, out=out, report=kept, durable=kept, trial=False, overwrite=True)
        run_batch(request, Terminal(file=StringIO()))
        made = _read(open_run(out), task)
    return {**made, "seconds": time.perf_counter() - begun}


def unlike(wanted: dict[str, str], found: dict[str, str]) -> str:
    """`numpy 2.3.0 where 2.4.1 is wanted`, of the first that differ; empty where all are alike."""
    differ = [f"{name} {found.get(name)} where {value} is wanted" for name, value in wanted.items() if found.get(name) != value]
    return ", ".join(differ[:3])


def _read(run: RecordedRun, task: RunTask) -> dict[str, Any]:
    if run.about["data_hash"] != task.data_hash:
        raise EvaluationError(f"{run.about['data']} has other content where the worker runs; give every worker the same data")
    clock = clock_of(run)
    account = read_account(run, clock)
    if account is None:
        raise EvaluationError("the run kept no account, so there is nothing to compare; switch the layers that trade on")
    start, end = task.span
    return {
        "days": account.daily.day.tolist(),
        "returns": account.daily.returns.tolist(),
        "days_a_year": account.daily.a_year,
        "figures": {f.key: f.value for f in all_figures(account, read_book(run, account))},
        "trial": trial_id({**run.about, "start": start, "end": end}),
        "configuration_hash": run.about["configuration_hash"],
        "content": content_of(run),
    }


def content_of(run: RecordedRun) -> str:
    """A digest of orders, fills, ledger and decisions: two runs with the same one are the same to the bit."""
    digest = hashlib.sha256()
    for name in _TABLES:
        digest.update(f"{name} ".encode())
        for path in files_of(run.folder / f"{name}.parquet"):
            digest.update(path.read_bytes())
    return digest.hexdigest()
