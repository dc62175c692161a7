"""`stratoquant validate`: a verdict for each property, exit code 1 when one does not hold, 2 for misuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from drivers.cli.main import run_command
from drivers.engine.engine import Engine
from drivers.validation.suite import every_property
from tests.drivers.small_market import folder

BELIEF = ("--spec", "prior_belief", "--set", "kinematics.volatility_halflife_slow=120", "--set", "risk.cap_volume_bars=120")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("market") / "data", 700)


def validated(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any], str]:
    code = run_command(["validate", *arguments, "--json"])
    said = capsys.readouterr()
    return code, json.loads(said.out) if said.out else {}, said.err


def test_sound_data_keep_every_property(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, report, err = validated(capsys, "--data", str(data), *BELIEF)
    assert (code, err) == (0, "")
    assert report["ok"] and report["symbols"] == ["AAA", "BBB"]
    assert [v["name"] for v in report["verdicts"]] == ["data", *(p.name for p in every_property())]
    assert {v["state"] for v in report["verdicts"]} == {"holds"}
    assert all(v["means"].endswith(".") for v in report["verdicts"])
    assert report["orders"] > 0 and report["notes"] == []


def test_the_table_says_what_was_run_again_and_that_nothing_traded(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["validate", "--data", str(data), "--bars", "200"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Run again in other ways: 1" in said and "The run had no order." in said
    assert "tested on an account that did nothing; --spec prior_belief makes it trade" in said
    assert said.count("holds") == len(every_property()) + 1


def test_data_that_a_run_refuses_are_a_verdict(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = folder(tmp_path / "bad", 240)
    bars = pd.read_parquet(bad / "bars.parquet")
    bars.loc[5, "close"] = -1.0
    bars.to_parquet(bad / "bars.parquet", index=False)
    code, report, err = validated(capsys, "--data", str(bad))
    assert code == 1
    assert err.startswith("1 property does not hold, the first: data. ") and "bars.parquet" in err
    states = [v["state"] for v in report["verdicts"]]
    assert states == ["broken", *["not tested"] * len(every_property())]
    assert report["verdicts"][1]["finding"] == "a run refuses these data."


def test_a_property_that_does_not_hold_fails_the_command(
    data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = Engine.advance

    def planted(self: Engine, chunk: Any) -> Any:
        out = real(self, chunk)
        out.values["l97_ledger"] = out.values["l97_ledger"]._replace(cash=np.asarray(out.values["l97_ledger"].cash) + 1.0)
        return out

    monkeypatch.setattr(Engine, "advance", planted)
    assert run_command(["validate", "--data", str(data), "--bars", "50"]) == 1
    said = capsys.readouterr()
    assert said.err.startswith("1 property does not hold, the first: ledger identity. L97 l97_ledger, cash at 2024-03-04T")
    assert "broken" in said.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "nowhere"], "nowhere"),
        (["--bars", "5", "--all"], "give --bars or --all, not both"),
        (["--bars", "0"], "greater than or equal to 1"),
        (["--set", "risk.gross=-1"], "risk.gross=-1"),
    ],
)
def test_misuse_is_one_sentence(arguments: list[str], said: str, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = arguments if "--data" in arguments else ["--data", str(data), *arguments]
    assert run_command(["validate", *given]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1
