"""Whole evaluations: what they write is what their runs give, they go on where they were ended, and failures are told."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from drivers.cli.main import run_command
from drivers.evaluation.errors import EvaluationError
from drivers.evaluation.judged import Evaluation
from drivers.evaluation.run import evaluate
from drivers.evaluation.settings import combined
from drivers.executors.local import LocalPool
from drivers.run.batch import run_batch
from drivers.run.request import RunRequest
from drivers.statistics.overfitting import overfitting
from drivers.statistics.sharpe import deflated_sharpe, moments
from drivers.store.trials import NAME, read_trials
from tests.drivers.evaluation.conftest import EARLY, Here, asked

ROOT = Path(__file__).parents[3]
QUIET = Console(file=StringIO())
GROSS = combined({"risk.gross": ["0.6", "0.8"], "fusion.entry_min_t": ["0.5"]})


@pytest.fixture(scope="module")
def done(traded_market: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Evaluation, Path]:
    out = tmp_path_factory.mktemp("done") / "evaluation"
    return evaluate(asked(traded_market, out, GROSS, ablate=True), Here(), QUIET), out


def test_the_days_are_those_of_a_plain_run(done: tuple[Evaluation, Path], traded_market: Path, tmp_path: Path) -> None:
    _, out = done
    overrides = (*EARLY, *GROSS[1].overrides)
    run_batch(RunRequest(data=traded_market, out=tmp_path / "run", overrides=overrides, report=False), QUIET)
    ledger = pd.read_parquet(tmp_path / "run" / "ledger.parquet").drop_duplicates("timestamp").set_index("timestamp")
    last = ledger.equity.groupby((ledger.index - pd.Timedelta(1)).floor("D")).last()
    expected = last / last.shift(fill_value=100_000.0) - 1.0
    days = pd.read_parquet(out / "days.parquet")
    own = days[days.setting == GROSS[1].name].set_index("day")["return"]
    np.testing.assert_allclose(own.to_numpy(), expected.to_numpy(), rtol=1e-9, atol=1e-12)
    assert len(own) == 26 and (own != 0.0).sum() > 10
    runs = json.loads((out / "evaluation.json").read_text())["runs"]
    assert len({run["content"] for run in runs}) > 2 and not any(run["failed"] for run in runs)


def test_every_figure_is_that_of_the_days(done: tuple[Evaluation, Path]) -> None:
    evaluation, out = done
    days = pd.read_parquet(out / "days.parquet")
    settings = pd.read_parquet(out / "settings.parquet").set_index("setting")
    windows = pd.read_parquet(out / "windows.parquet").set_index(["setting", "window"])
    trials = read_trials(out.parent / NAME, evaluation.plan.markets[0].digest)
    assert trials.different == len(evaluation.plan.settings) == len(settings)
    for name, own in days.groupby("setting"):
        r = own["return"].to_numpy()
        line = settings.loc[name]
        assert line.total_return == pytest.approx((1 + r).prod() - 1)
        assert line.sharpe == pytest.approx(r.mean() / r.std(ddof=1) * math.sqrt(365))
        found = moments(r)
        assert found is not None
        assert line.deflated_sharpe == pytest.approx(deflated_sharpe(found, trials.different, trials.variance_for(len(r))))
        for w, part in own.groupby("window"):
            assert windows.loc[(name, w)].total_return == pytest.approx((1 + part["return"]).prod() - 1)
            assert windows.loc[(name, w)].first_day == part.day.min() and windows.loc[(name, w)].last_day == part.day.max()
    matrix = days.pivot(index="day", columns="setting", values="return")
    whole = overfitting(matrix.to_numpy())
    assert whole is not None and evaluation.overfitting is not None
    assert whole.probability == evaluation.overfitting.probability


def test_the_ablation_holds_each_part_against_the_configuration(done: tuple[Evaluation, Path]) -> None:
    evaluation, out = done
    table = pd.read_parquet(out / "ablation.parquet").set_index("part")
    settings = pd.read_parquet(out / "settings.parquet").set_index("setting")
    switched = [setting for setting in evaluation.plan.settings if setting.part is not None]
    assert list(table.index) == [setting.part.name for setting in switched if setting.part] and len(table) >= 3
    for setting in switched:
        assert setting.part is not None
        row = table.loc[setting.part.name]
        other, own = (row.return_off, row.return_on) if row.configured_on else (row.return_on, row.return_off)
        assert own == settings.loc["as configured"].total_return and other == settings.loc[setting.name].total_return
        assert row.difference_low <= row.difference_a_year <= row.difference_high


def test_an_evaluation_goes_on_where_it_was_stopped(traded_market: Path, tmp_path: Path) -> None:
    request = asked(traded_market, tmp_path / "out", GROSS)
    first = Here(stop_after=2)
    with pytest.raises(KeyboardInterrupt):
        evaluate(request, first, QUIET)
    assert len(first.begun) == 2 and not (tmp_path / "out" / "evaluation.html").exists()
    second = Here()
    evaluation = evaluate(request, second, QUIET)
    assert len(second.begun) == 1 and not set(second.begun) & set(first.begun)
    third = Here()
    again = evaluate(request, third, QUIET)
    assert not third.begun and np.array_equal(again.series.returns, evaluation.series.returns)
    lines = (tmp_path / NAME).read_text().splitlines()
    assert len(lines) == 3  # each setting once
    assert sorted(p.name for p in (tmp_path / "out").iterdir() if p.suffix != ".parquet") == [
        "evaluation.html", "evaluation.json", "lock", "tasks",
    ]  # fmt: skip


@pytest.mark.long
def test_killed_for_good_it_goes_on_and_the_pool_gives_the_same_bits(
    done: tuple[Evaluation, Path], traded_market: Path, tmp_path: Path
) -> None:
    line = ["evaluate", "--data", str(traded_market), "--windows", "2", "--workers", "2", "--out", str(tmp_path / "out")]
    base = [word for key in EARLY for word in ("--set", key)]
    code = "import sys; from drivers.cli.main import main; main()"
    process = subprocess.Popen([sys.executable, "-c", code, *line, *base, "--set", "risk.gross=0.6,0.8"], cwd=ROOT)
    until = time.monotonic() + 120
    while not list((tmp_path / "out" / "tasks").glob("*.json")) and time.monotonic() < until and process.poll() is None:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    finished = list((tmp_path / "out" / "tasks").glob("*.json"))
    assert 1 <= len(finished) <= 3
    grid = {key.partition("=")[0]: [key.partition("=")[2]] for key in EARLY} | {"risk.gross": ["0.6", "0.8"]}
    request = asked(traded_market, tmp_path / "out", combined(grid))
    rest = Here()
    evaluation = evaluate(type(request)(**{**vars(request), "base": RunRequest(data=traded_market)}), rest, QUIET)
    assert len(rest.begun) == 3 - len(finished) and not (tmp_path / "out" / "work").exists()
    here = {json.loads(p.read_text())["content"] for p in (tmp_path / "out" / "tasks").glob("*.json")}
    with LocalPool(1) as pool:
        again = evaluate(type(request)(**{**vars(evaluation.plan.request), "out": tmp_path / "again"}), pool, QUIET)
    assert {json.loads(p.read_text())["content"] for p in (tmp_path / "again" / "tasks").glob("*.json")} == here
    assert np.array_equal(again.series.returns, evaluation.series.returns)


def test_separate_windows_begin_anew_and_are_one_trial(traded_market: Path, tmp_path: Path) -> None:
    executor = Here()
    evaluation = evaluate(asked(traded_market, tmp_path / "out", GROSS[:2], separate=True), executor, QUIET)
    assert len(executor.begun) == 4 and len((tmp_path / NAME).read_text().splitlines()) == 2
    edge = evaluation.plan.markets[0].edges[1]
    run_batch(
        RunRequest(
            data=traded_market, out=tmp_path / "second", overrides=EARLY, start=edge * 86_400 * 10**9, report=False, trial=False
        ),
        QUIET,
    )
    ledger = pd.read_parquet(tmp_path / "second" / "ledger.parquet")
    second = evaluation.series.returns[evaluation.series.window == 1, 0]
    assert np.prod(1 + second) == pytest.approx(ledger.equity.iloc[-1] / 100_000.0, rel=1e-9)


def test_a_failed_run_costs_its_setting_and_is_told(traded_market: Path, tmp_path: Path) -> None:
    evaluation = evaluate(asked(traded_market, tmp_path / "out", GROSS), Here(fail=[1]), QUIET)
    assert evaluation.series.settings == (0, 2)
    assert list(evaluation.failures.values()) == [f"{GROSS[1].name}: it broke"]
    assert "it broke" in (tmp_path / "out" / "evaluation.html").read_text()
    retry = Here()
    assert not evaluate(asked(traded_market, tmp_path / "out", GROSS), retry, QUIET).failures and len(retry.begun) == 1
    with pytest.raises(EvaluationError, match="every run failed; the first: as configured: it broke"):
        evaluate(asked(traded_market, tmp_path / "none", GROSS), Here(fail=range(9)), QUIET)


def test_equal_settings_count_once(traded_market: Path, tmp_path: Path) -> None:
    twice = [*GROSS[:2], type(GROSS[0])("the same", ("risk.gross=0.60", "fusion.entry_min_t=0.5"))]
    evaluation = evaluate(asked(traded_market, tmp_path / "out", twice), Here(), QUIET)
    assert evaluation.plan.dropped == (("the same", GROSS[1].name),) and len(evaluation.judged) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "risk.gros=0.5"], "gros"),
        (["--set", "risk.gross=0.5,x"], "risk.gross"),
        (["--seeds", "1,2"], "leave one of them out"),
        (["--seeds", "1,1"], "different whole numbers"),
        (["--windows", "20"], "too few for 20 windows"),
        (["--grid", "nowhere.yml"], "no such file"),
    ],
)
def test_a_mistake_is_one_sentence(
    traded_market: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert run_command(["evaluate", "--data", str(traded_market), "--out", str(tmp_path / "out"), *words]) == 2
    told = capsys.readouterr().err.strip()
    assert said in told and "\n" not in told and not (tmp_path / "out").exists()


def test_a_folder_of_something_else_and_one_in_use_are_refused(traded_market: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "letter.txt").touch()
    with pytest.raises(EvaluationError, match=r"holds letter\.txt, which no evaluation writes"):
        evaluate(asked(traded_market, tmp_path / "out"), Here(), QUIET)

    class Second(Here):
        def run(self, tasks):  # type: ignore[no-untyped-def]
            with pytest.raises(EvaluationError, match="another evaluation is writing"):
                evaluate(asked(traded_market, tmp_path / "mine"), Here(), QUIET)
            return super().run(tasks)

    evaluate(asked(traded_market, tmp_path / "mine"), Second(), QUIET)


def test_from_python_it_is_the_same(done: tuple[Evaluation, Path], traded_market: Path, tmp_path: Path) -> None:
    import stratoquant as sq

    grid = {key.partition("=")[0]: [key.partition("=")[2]] for key in EARLY}
    settings = {**grid, "risk.gross": [0.8], "fusion.entry_min_t": [0.5]}
    made = sq.evaluate(traded_market, set=settings, windows=2, workers=1, out=tmp_path / "out")
    assert len(made.settings) == 2 and made.page.is_file() and made.ablation.empty and len(made.windows) == 4
    evaluation, _ = done
    own = made.days[made.days.setting == made.settings.setting[1]]["return"].to_numpy()
    assert np.array_equal(own, evaluation.series.returns[:, 2]) and own.any()
