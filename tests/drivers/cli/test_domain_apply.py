"""`stratoquant domain apply|undo|history|specs`, `stratoquant config`, and the module that CI runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drivers import domain_apply
from drivers.cli.main import run_command
from drivers.project.configs import load_configs
from drivers.project.locate import locate
from drivers.project.machine_specs import known_specs
from drivers.specs.config_files import begin
from tests.drivers.specs.conftest import everything, held

CAPTURE = pytest.CaptureFixture[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    begin(tmp_path)
    (tmp_path / "specs" / "gateless.yaml").write_text(
        "name: gateless\ndomain: risk\nabout: no gate\nenabled: {l4_risk_gate: false}\n"
    )
    return tmp_path


def command(folder: Path, *line: str) -> int:
    return run_command(["--project", str(folder), *line])


def test_apply_shows_the_difference_and_undo_takes_it_back(folder: Path, capsys: CAPTURE) -> None:
    before = held(locate(folder))
    assert command(folder, "domain", "apply", "conservative_risk") == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "config/risk.yml"
    assert any(line.split()[:4] == ["gross", "1", "->", "0.5"] and "fraction: L86" in line for line in out)
    assert out[-1] == "conservative_risk is applied: config/risk.yml changed. `stratoquant domain undo` takes it back."
    assert load_configs(locate(folder))["risk"].gross == 0.5
    assert command(folder, "domain", "apply", "conservative_risk") == 0
    assert capsys.readouterr().out == "conservative_risk changes nothing: all of it is so already.\n"
    assert command(folder, "domain", "history") == 0
    assert "conservative_risk  risk    applied" in capsys.readouterr().out
    assert command(folder, "domain", "undo") == 0
    assert capsys.readouterr().out.endswith("conservative_risk is taken back: config/risk.yml changed.\n")
    assert held(locate(folder)) == before
    assert command(folder, "domain", "history", "--json") == 0
    (step,) = json.loads(capsys.readouterr().out)
    assert (step["spec"]["name"], step["undone"] is None) == ("conservative_risk", False)
    assert command(folder, "domain", "undo") == 2
    assert "no machine spec is applied in" in capsys.readouterr().err


@pytest.mark.parametrize("line", [["apply", "conservative_risk"], ["undo"]])
def test_a_dry_run_writes_nothing(folder: Path, line: list[str], capsys: CAPTURE) -> None:
    if line == ["undo"]:
        command(folder, "domain", "apply", "conservative_risk")
    before = everything(locate(folder))
    capsys.readouterr()
    assert command(folder, "domain", *line, "--dry-run") == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith("would change config/risk.yml; nothing is written.")
    assert command(folder, "domain", *line, "--dry-run", "--json") == 0
    assert json.loads(capsys.readouterr().out)["status"] == "dry-run"
    assert everything(locate(folder)) == before


def test_diff_shows_the_files_lines(folder: Path, capsys: CAPTURE) -> None:
    assert command(folder, "domain", "apply", "conservative_risk", "--diff", "--dry-run") == 0
    out = capsys.readouterr().out.splitlines()
    assert out[:2] == ["--- a/config/risk.yml", "+++ b/config/risk.yml"]
    assert "\x1b" not in "".join(out)


def test_a_spec_that_takes_the_gate_away_is_refused_by_command_and_module(folder: Path, capsys: CAPTURE) -> None:
    before = everything(locate(folder))
    sentence = (
        "spec gateless would break the wiring, so nothing is changed: the gate l4_risk_gate is declared with l4_risk_gate"
    )
    assert command(folder, "domain", "apply", "gateless") == 1
    assert capsys.readouterr().err.startswith(sentence)
    assert command(folder, "domain", "apply", "gateless", "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["status"], "door" in {f["rule"] for f in found["findings"]}) == ("refused", True)
    assert domain_apply.main(["gateless", "--project", str(folder), "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out) == found
    assert err.startswith(sentence)
    assert everything(locate(folder)) == before


def test_the_module_applies_as_the_command_does(folder: Path, capsys: CAPTURE) -> None:
    assert domain_apply.main(["conservative_risk", "--project", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["status"], found["files"]) == ("applied", ["config/risk.yml"])
    assert {"key": "gross", "domain": "risk", "old": 1.0, "new": 0.5}.items() <= next(
        change for change in found["keys"] if change["key"] == "gross"
    ).items()
    assert domain_apply.main(["conservative_risk", "--project", str(folder)]) == 0
    assert "changes nothing" in capsys.readouterr().out
    assert domain_apply.main(["conservativ_risk", "--project", str(folder)]) == 2
    assert "did you mean conservative_risk?" in capsys.readouterr().err


def test_specs_lists_what_there_is_and_what_is_applied(folder: Path, capsys: CAPTURE) -> None:
    command(folder, "domain", "apply", "prior_belief")
    capsys.readouterr()
    assert command(folder, "domain", "specs") == 0
    out = capsys.readouterr().out
    assert all(f"{name}  " in out for name in known_specs(locate(folder)))
    assert "prior_belief  fusion, applied" in out


def test_regenerate_rewrites_and_check_fails_before_and_passes_after(folder: Path, capsys: CAPTURE) -> None:
    path = folder / "config" / "risk.yml"
    whole = path.read_text()
    path.write_text("# mine\ngross: 1.0\n")
    before = everything(locate(folder))
    assert command(folder, "config", "regenerate", "--check") == 1
    assert capsys.readouterr().err == (
        "Not up to date with the code: config/risk.yml. `stratoquant config regenerate` rewrites what differs.\n"
    )
    assert command(folder, "config", "regenerate", "--dry-run") == 0
    assert everything(locate(folder)) == before
    assert command(folder, "config", "regenerate") == 0
    assert "Rewritten: config/risk.yml. What they were is kept in" in capsys.readouterr().out
    assert path.read_text() == whole.replace("gross: 1.0", "# mine\ngross: 1.0")
    assert command(folder, "config", "regenerate", "--check") == 0


def test_init_makes_a_project_and_show_shows_it(tmp_path: Path, capsys: CAPTURE) -> None:
    folder = tmp_path / "new" / "project"
    assert run_command(["config", "init", str(folder)]) == 0
    assert f"{folder} is a project" in capsys.readouterr().out
    assert command(folder, "wiring", "check") == 0
    capsys.readouterr()
    assert command(folder, "config", "show", "risk") == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("  gross "))
    assert row.split()[:4] == ["gross", "1.0", ">=", "1e-09,"]
    assert command(folder, "config", "show", "--json") == 0
    assert {"domain": "risk", "key": "gross", "value": 1.0}.items() <= next(
        s for s in json.loads(capsys.readouterr().out) if s["key"] == "gross"
    ).items()
