"""The ledger of trials: every run is noted once, equal ones count once, and nothing is lost when many write at a time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drivers.project.locate import defaults
from drivers.store.trials import NAME, Trial, ledger_of, note_trial, read_trials, trial_id

ONE = Trial("2026-01-01T00:00:00Z", "a", "data", "one", 0.1, 40, ("risk.gross=0.5",))


def test_equal_trials_count_once_and_other_data_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / NAME
    for trial in (ONE, ONE, replace(ONE, trial="two", sharpe=0.3), replace(ONE, trial="three", sharpe=None)):
        note_trial(path, trial)
    note_trial(path, replace(ONE, trial="four", data_hash="other", sharpe=9.0))
    found = read_trials(path, "data")
    assert (found.runs, found.different, found.damaged) == (4, 3, 0)
    assert found.variance == pytest.approx(np.var([0.1, 0.3], ddof=1))
    assert read_trials(path, "data", own="one").different == 3
    assert read_trials(path, "data", own="mine").different == 4
    assert read_trials(path, "unseen").different == 0


def test_without_two_ratios_the_variance_is_that_of_a_worthless_one(tmp_path: Path) -> None:
    path = tmp_path / NAME
    note_trial(path, ONE)
    found = read_trials(path, "data", own="mine")
    assert found.variance is None and found.different == 2
    worthless = np.random.default_rng(0).normal(size=(20_000, 40))
    assert found.variance_for(40) == pytest.approx(np.var(worthless.mean(axis=1) / worthless.std(axis=1, ddof=1)), rel=0.06)


def test_a_torn_line_is_counted_and_costs_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / NAME
    note_trial(path, ONE)
    with path.open("a") as file:
        file.write('{"time": "2026-')  # the machine died
    note_trial(path, replace(ONE, trial="two"))
    with path.open("a") as file:
        file.write('[1]\n{"trial": "x", "sharpe": "many", "data_hash": "data"}\n\n')
    found = read_trials(path, "data")
    assert (found.runs, found.different, found.damaged) == (2, 2, 3)


def test_processes_side_by_side_lose_no_line(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from drivers.store.trials import Trial, note_trial\n"
        "for i in range(200): note_trial(Path(sys.argv[1]), Trial('t', 'r', 'data', f'{sys.argv[2]}-{i}', i * 0.01, 40, ('k' * 300,)))"
    )
    path = tmp_path / NAME
    begun = [subprocess.Popen([sys.executable, "-c", code, str(path), str(n)]) for n in range(4)]
    assert [process.wait() for process in begun] == [0, 0, 0, 0]
    found = read_trials(path, "data")
    assert (found.runs, found.different, found.damaged) == (800, 800, 0)
    assert all(json.loads(line)["settings"] == ["k" * 300] for line in path.read_text().splitlines())


def test_it_lies_in_the_project_and_else_beside_the_results(tmp_path: Path) -> None:
    project = replace(defaults(), root=tmp_path / "mine")
    (tmp_path / "mine").mkdir()
    assert ledger_of(project, tmp_path / "runs" / "a") == tmp_path / "mine" / NAME
    assert ledger_of(defaults(), tmp_path / "runs" / "a") == tmp_path / "runs" / NAME
    (tmp_path / "mine" / "run.json").touch()  # results of a run, which are a project too
    assert ledger_of(project, tmp_path / "runs" / "a") == tmp_path / "runs" / NAME


def test_no_link_is_followed_and_no_pipe_waited_for(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(OSError):
            note_trial(tmp_path / name, ONE)
        assert read_trials(tmp_path / name, "data").runs == 0
    assert not (tmp_path / "elsewhere").exists()


def test_what_decides_the_returns_makes_the_trial() -> None:
    about = {"configuration_hash": "c", "wiring_hash": "w", "code": {"l0": "x"}, "spec": None, "symbols": ["A"], "start": None}
    assert trial_id(about) == trial_id({**about, "end": None, "timings": 3, "seed": 1, "data_hash": "d"})
    assert len({trial_id({**about, **other}) for other in ({}, {"start": 5}, {"code": {"l0": "y"}}, {"symbols": ["B"]})}) == 4
