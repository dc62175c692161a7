"""`stratoquant domain run`: what it prints, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drivers.cli.main import run_command
from drivers.run.batch import run_batch
from drivers.run.request import RunRequest
from tests.drivers.small_market import folder


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("cli_domain")
    return run_batch(RunRequest(data=folder(made / "market", minutes=200), out=made / "whole")).out


def test_a_domain_run_shows_its_figures_and_where_they_are(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["domain", "run", "kinematics", "--from", str(whole), "--out", str(tmp_path / "out")]
    assert run_command(command) == 0, capsys.readouterr().err
    shown = capsys.readouterr().out
    assert shown.startswith("kinematics, 200 bars of AAA, BBB\n")
    assert "- no loop: these layers see the market and not the account\n" in shown
    assert "columns that the run has are as it recorded them, to the bit.\n" in shown
    assert shown.endswith(f"Results: {tmp_path / 'out'}\n")


def test_json_is_alone_on_stdout(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["domain", "run", "kinematics", "--from", str(whole), "--out", str(tmp_path / "out"), "--json"]
    assert run_command([*command, "--set", "kinematics.slope_short_bars=45"]) == 0, capsys.readouterr().err
    told = json.loads(capsys.readouterr().out)
    changed = {f["layer"] for f in told["fields"] if f["changed"]}
    assert "l12_regression_slope_short" in changed
    assert "l2_returns_volatility" not in changed
    assert told["loop"] == "none"


def test_bad_input_is_one_sentence_and_leaves_nothing(whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["domain", "run", "kinematic", "--from", str(whole), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == "there is no domain 'kinematic'; did you mean kinematics?\n"
    assert not list(tmp_path.iterdir())


def test_the_results_of_a_run_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["domain", "run", "kinematics"]) == 2
    assert "--from" in capsys.readouterr().err
