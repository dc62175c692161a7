"""What is counted as a trial: batches and streams of recorded data, once for equal ones, unless it is switched off."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from drivers.feeds.simulate import simulate
from drivers.run.batch import run_batch
from drivers.run.request import RunRequest
from drivers.run.stream import run_stream
from drivers.store.reader import open_run
from drivers.store.trials import NAME, read_trials

QUIET = Console(file=StringIO())


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trials") / "market"
    simulate(folder, seed=2, symbols=("SIMA",), days=1, clock_seconds=300, book=False, trades=False)
    return folder


@pytest.mark.usefixtures("no_disk")
def test_equal_runs_are_one_trial_and_a_stream_is_that_of_its_batch(market: Path, tmp_path: Path) -> None:
    ledger = tmp_path / NAME
    plain = RunRequest(data=market, report=False, features="none")

    def counted(out: str) -> tuple[int, int]:
        found = read_trials(ledger, open_run(tmp_path / out).about["data_hash"])
        return found.runs, found.different

    run_batch(RunRequest(**{**vars(plain), "out": tmp_path / "first", "trial": False}), QUIET)
    assert not ledger.exists() and open_run(tmp_path / "first").about["trial"]["counted"] is False
    run_batch(RunRequest(**{**vars(plain), "out": tmp_path / "a"}), QUIET)
    assert counted("a") == (1, 1)
    run_stream(RunRequest(**{**vars(plain), "out": tmp_path / "b"}), QUIET)
    assert counted("b") == (2, 1)
    run_batch(RunRequest(**{**vars(plain), "out": tmp_path / "c", "overrides": ("risk.gross=0.5",)}), QUIET)
    assert counted("c") == (3, 2)


def test_a_ledger_that_cannot_be_written_costs_no_results(market: Path, tmp_path: Path) -> None:
    (tmp_path / NAME).mkdir()
    result = run_batch(RunRequest(data=market, out=tmp_path / "a", report=False, features="none"), QUIET)
    assert (tmp_path / "a" / "run.json").is_file() and "trials.jsonl cannot be written" in result.uncounted
