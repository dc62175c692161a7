"""The commands that look at the system and at data."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from drivers.cli.layers import show
from drivers.cli.main import run_command
from drivers.graph.modules import layer_modules
from drivers.graph.network import graph_of
from drivers.graph.wiring import load
from drivers.project.configs import load_configs
from drivers.project.locate import defaults


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of the user's own: a copy of the shipped wiring."""
    shutil.copy(defaults().wiring, tmp_path / "wiring_master.yaml")
    return tmp_path


def test_wiring_check_passes_on_the_shipped_project(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["wiring", "check"]) == 0, capsys.readouterr().err
    assert "every path from a proposal to an order leads through l4_risk_gate" in capsys.readouterr().out


def test_wiring_check_names_what_is_wrong_and_fails(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = project / "wiring_master.yaml"
    path.write_text(path.read_text().replace("id: L12\n    domain: kinematics", "id: L12\n    domain: regime"))
    assert run_command(["--project", str(project), "wiring", "check"]) == 1
    err = capsys.readouterr().err.splitlines()
    assert (
        "L12 l12_regression_slope_short: domain is regime in wiring_master.yaml and kinematics in the code; make the two agree."
        in err
    )
    assert err[-1].startswith("The wiring does not hold: ")


def test_wiring_check_names_a_file_that_cannot_be_read(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "wiring_master.yaml").write_text("clock: 1m\nlayers: [")
    assert run_command(["--project", str(project), "wiring", "check"]) == 2
    assert "wiring_master.yaml, line 2" in capsys.readouterr().err


def test_wiring_sync_puts_the_lists_right(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = project / "wiring_master.yaml"
    before = path.read_text()
    path.write_text(before.replace("inputs: [observations, instruments]", "inputs: []", 1))
    assert run_command(["--project", str(project), "wiring", "sync"]) == 0
    assert "is up to date with the code now" in capsys.readouterr().out
    assert path.read_text() == before
    assert run_command(["--project", str(project), "wiring", "sync"]) == 0
    assert "was up to date" in capsys.readouterr().out


def test_layers_lists_every_layer_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["layers"]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    ids = [int(row.split()[0][1:]) for row in rows]
    assert ids == sorted(ids)
    assert {row.split()[1] for row in rows} == set(load(defaults().wiring).layers)


@pytest.mark.parametrize("name", ["L12", "l12", "l12_regression_slope_short"])
def test_layers_shows_one_layer_in_full(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["layers", name]) == 0
    out = capsys.readouterr().out
    for part in (
        "L12 l12_regression_slope_short",
        "kinematics, columnar",
        "l0_market_feed  L0, data",
        "t_stat  float64 (T, N)",
        "kinematics.slope_short_bars = 30m (time, 10 bars or more): window",
        "l1_regime",
        "l12_regression_slope_short.py:",
        "least squares",
    ):
        assert part in out


def test_layers_shows_what_comes_round_and_what_is_handed_in(capsys: pytest.CaptureFixture[str]) -> None:
    run_command(["layers", "L96"])
    assert "orders  from l5_execution_bridge, one bar late" in capsys.readouterr().out
    run_command(["layers", "L0"])
    assert "observations  handed in by the engine" in capsys.readouterr().out
    run_command(["layers", "L5"])
    assert "orders (delayed: one bar)" in capsys.readouterr().out


def test_a_layer_that_does_not_exist_is_named_with_its_neighbour(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["layers", "l12_regresion_slope"]) == 2
    assert capsys.readouterr().err == ("there is no layer 'l12_regresion_slope'; did you mean l12_regression_slope_short?\n")


def test_every_layer_can_be_shown(capsys: pytest.CaptureFixture[str]) -> None:
    wiring, configs = load(defaults().wiring), load_configs(defaults())
    nodes = graph_of(layer_modules(defaults()), wiring.variants)
    assert nodes.keys() == wiring.layers.keys()
    for name, node in nodes.items():
        show(node, nodes, wiring, configs, Console(markup=False))
        assert f"{node.layer_id} {name}" in capsys.readouterr().out


def test_data_simulate_makes_what_data_check_accepts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "market"
    line = ["data", "simulate", str(folder), "--days", "1", "--symbols", "AAA,BBB", "--no-book", "--no-trades", "--clock", "5m"]
    assert run_command(line) == 0
    assert f"stratoquant run --data {folder}" in capsys.readouterr().out
    run_command(["data", "check", str(folder), "--json"])
    report = json.loads(capsys.readouterr().out)
    assert [s["symbol"] for s in report["symbols"]] == ["AAA", "BBB"]
    assert run_command(line) == 2
    assert "exists already" in capsys.readouterr().err


def test_data_check_fails_on_impossible_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ["timestamp,symbol,open,high,low,close,volume"]
    rows += [f"2026-03-01T00:0{i}:00Z,AAA,100,99,101,100,1" for i in range(5)]
    (tmp_path / "bars.csv").write_text("\n".join(rows) + "\n")
    assert run_command(["data", "check", str(tmp_path)]) == 1
    out, err = capsys.readouterr()
    assert "not usable" in out
    assert "high" in err


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (["--clock", "1w"], "'1w' is not a duration"),
        (["--days", "0"], "stratoquant data simulate: invalid value for '--days'"),
        (["--edge", "-1"], "stratoquant data simulate: invalid value for '--edge'"),
    ],
)
def test_what_data_simulate_cannot_make_is_refused(
    line: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["data", "simulate", str(tmp_path / "x"), *line]) == 2
    assert said in capsys.readouterr().err
