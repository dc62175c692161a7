"""Runs an evaluation: its tasks on an executor, each result kept as it comes, so that a killed evaluation goes on."""

from __future__ import annotations

import fcntl
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import Progress

from drivers.evaluation.errors import EvaluationError
from drivers.evaluation.files import write_files
from drivers.evaluation.judged import Evaluation, judge
from drivers.evaluation.machine import machine
from drivers.evaluation.page import write_page
from drivers.evaluation.plan import EvaluationPlan, EvaluationRequest, Piece, plan_evaluation
from drivers.evaluation.series import joined
from drivers.evaluation.task import FUNCTION, RunTask
from drivers.executors.local import LocalPool
from drivers.executors.protocol import Executor, Task
from drivers.files.atomic import write_atomic
from drivers.run.assembly import prepare_run
from drivers.run.precompile import marker
from drivers.run.progress import progress_bar
from drivers.statistics.sharpe import moments
from drivers.store.trials import Trial, Trials, ledger_of, note_trial, read_trials
from drivers.text.terminal import Terminal
from drivers.text.times import SECOND_NS, rounded_duration

_ABOUT: Final = "evaluation.json"
_SCRATCH: Final = "work"
_OWN: Final = frozenset({_ABOUT, _SCRATCH, "lock", "tasks", "runs", "evaluation.html"})


def default_out(now: datetime) -> Path:
    """`evaluations/<UTC time>` below the current folder."""
    return Path("evaluations") / now.strftime("%Y-%m-%dT%H%M%SZ")


def evaluate(request: EvaluationRequest, executor: Executor | None = None, console: Console | None = None) -> Evaluation:
    """Runs what is not there yet, judges all of it, and writes page and tables into `request.out`.

    executor: stays the caller's, who ends it; None takes the cores of this machine. The same request with the same `out` goes
    on where one was ended. A run that fails costs its setting: `Evaluation.failures` says which and why. Raises
    EvaluationError, and what reading the data and the configuration raises, before anything is run; and EvaluationError where
    every run has failed.
    """
    out = (request.out or default_out(datetime.now(UTC))).absolute()
    workers = LocalPool(modules=[RunTask.__module__]) if executor is None else nullcontext(executor)
    # processes of our own start beside the planning
    with workers as pool, progress_bar(console or Terminal(stderr=True)) as progress:
        plan = plan_evaluation(request, progress)
        with _owned(out):
            results = _finished(out, plan)
            failures: dict[str, str] = {}
            ledger = ledger_of(plan.project, out)
            _note_whole(plan, results, ledger, list(range(len(plan.settings))))
            left = [piece for piece in plan.pieces if piece.id not in results]
            if left:
                if pool.here and not marker(plan.engine).is_file():  # compiled once, and not by every worker
                    prepare_run(left[0].request, progress)
                with _scratch(out):
                    _run(plan, left, pool, out, results, failures, ledger, progress)
            if not results:
                raise EvaluationError(f"every run failed; the first: {next(iter(failures.values()))}")
            evaluation = judge(plan, results, failures, _trials(plan, ledger))
            write_files(evaluation, out)
            write_page(evaluation, out)
            write_atomic(out / _ABOUT, json.dumps(_about(plan, results, failures), indent=2) + "\n")
    return evaluation


def _run(
    plan: EvaluationPlan,
    left: list[Piece],
    pool: Executor,
    out: Path,
    results: dict[str, Any],
    failures: dict[str, str],
    ledger: Path,
    progress: Progress,
) -> None:
    (out / "tasks").mkdir(exist_ok=True)
    base = plan.request.base
    by_name = {piece.id: piece for piece in left}
    tasks = [
        Task(
            piece.id,
            FUNCTION,
            RunTask(
                piece.request,
                plan.markets[piece.market].digest,
                (base.start, base.end),
                out / "runs" / piece.id if plan.request.keep else None,
                out / _SCRATCH if pool.here else None,
                machine(),
            ),
        )
        for piece in left
    ]
    words = f"Evaluating {len(plan.settings)} settings on {pool.workers} workers"
    before, begun = len(plan.pieces) - len(left), time.monotonic()
    bar = progress.add_task(words, total=len(plan.pieces), completed=before, even=False)
    for ended, done in enumerate(pool.run(tasks), 1):
        piece = by_name[done.task.name]
        if done.error:
            failures[piece.id] = f"{plan.settings[piece.setting].name}: {done.error}"
        else:
            results[piece.id] = done.value
            write_atomic(out / "tasks" / f"{piece.id}.json", json.dumps(done.value))
            _note_whole(plan, results, ledger, [piece.setting])
        to_come = (time.monotonic() - begun) / ended * (len(left) - ended)
        progress.update(bar, advance=1, description=f"{words}, about {rounded_duration(int(to_come) * SECOND_NS)} left")
    progress.remove_task(bar)


@contextmanager
def _scratch(out: Path) -> Iterator[None]:
    """A folder for what workers of this machine write and drop; what killed ones left goes too."""
    place = out / _SCRATCH
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    try:
        yield
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _owned(out: Path) -> Iterator[None]:
    """The folder of the results, of this process alone. Raises EvaluationError where it holds something else."""
    strange = sorted(p.name for p in out.iterdir() if p.name not in _OWN and p.suffix != ".parquet") if out.is_dir() else []
    if strange or (out.exists() and not out.is_dir()):
        what = f"holds {strange[0]}, which no evaluation writes" if strange else "is a file"
        raise EvaluationError(f"{out} {what}; name another folder with --out")
    out.mkdir(parents=True, exist_ok=True)
    with (out / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EvaluationError(f"another evaluation is writing {out}; wait for it, or name another folder") from None
        yield


def _finished(out: Path, plan: EvaluationPlan) -> dict[str, Any]:
    """Results of an earlier evaluation that are of the same runs."""
    found = {}
    for piece in plan.pieces:
        path = out / "tasks" / f"{piece.id}.json"
        if path.is_file():
            try:
                found[piece.id] = json.loads(path.read_text(encoding="utf-8"))
            except ValueError:
                raise EvaluationError(f"{path} is damaged; remove it, and its run is made again") from None
    return found


def _note_whole(plan: EvaluationPlan, results: dict[str, Any], ledger: Path, settings: list[int]) -> None:
    """Notes each setting on each market as a trial, once all of its windows are there and it is not noted yet."""
    for s in settings:
        for m, market in enumerate(plan.markets):
            pieces = [p for p in plan.pieces if p.setting == s and p.market == m]
            if not all(p.id in results for p in pieces):
                continue
            made = [results[p.id] for p in pieces]
            if made[0]["trial"] in read_trials(ledger, market.digest).names:
                continue
            found = moments(joined(made))
            trial = Trial(
                time=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                run=f"{plan.settings[s].name} (evaluate)",
                data_hash=market.digest,
                trial=made[0]["trial"],
                sharpe=None if found is None else found.sharpe,
                days=sum(len(each["days"]) for each in made),
                settings=(*plan.request.base.overrides, *plan.settings[s].overrides),
            )
            note_trial(ledger, trial)


def _trials(plan: EvaluationPlan, ledger: Path) -> Trials:
    """On the data. Of several markets: as many as on the one with the most; their ratios are not comparable with those of all
    markets together, so their variance is not taken."""
    found = [read_trials(ledger, market.digest) for market in plan.markets]
    most = max(found, key=lambda trials: trials.different)
    return most if len(found) == 1 else Trials(most.path, most.runs, most.different, None, most.damaged, most.names)


def _about(plan: EvaluationPlan, results: dict[str, Any], failures: dict[str, str]) -> dict[str, Any]:
    """What was evaluated, for machines and for whoever makes it again."""
    return {
        "kind": "evaluation",
        "machine": machine(),
        "markets": [{"name": m.name, "data_hash": m.digest, "bars": m.bars, "symbols": m.symbols} for m in plan.markets],
        "settings": [{"name": s.name, "overrides": [*plan.request.base.overrides, *s.overrides]} for s in plan.settings],
        "equal": [{"name": name, "equal_to": other} for name, other in plan.dropped],
        "spec": plan.request.base.spec,
        "runs": [
            {
                "id": p.id,
                "setting": plan.settings[p.setting].name,
                "market": plan.markets[p.market].name,
                "window": p.window,
                "content": results[p.id]["content"] if p.id in results else None,
                "seconds": results[p.id]["seconds"] if p.id in results else None,
                "failed": failures.get(p.id),
            }
            for p in plan.pieces
        ],
        "worked_seconds": sum(results[p.id]["seconds"] for p in plan.pieces if p.id in results),
    }
