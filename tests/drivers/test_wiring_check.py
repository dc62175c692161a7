"""The wiring check as CI calls it, and as JSON: the command and the module say the same."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drivers.cli.main import run_command
from drivers.graph.rules.findings import key_lines
from drivers.graph.wiring import load
from drivers.project.locate import defaults
from drivers.wiring_check import main


def by_module(folder: Path, *options: str) -> int:
    return main([str(folder), *options])


def by_command(folder: Path, *options: str) -> int:
    return run_command(["--project", str(folder), "wiring", "check", *options])


both = pytest.mark.parametrize("ask", [by_module, by_command])
Ask = Callable[..., int]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copy(defaults().wiring, tmp_path / "wiring_master.yaml")
    shutil.copytree(defaults().config, tmp_path / "config")
    return tmp_path


def changed(project: Path, old: str, new: str) -> None:
    path = project / "wiring_master.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def given(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(capsys.readouterr().out)
    return made


@both
def test_a_wiring_that_holds_is_counted(ask: Ask, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(project, "--json") == 0
    wiring = load(project / "wiring_master.yaml")
    edges = sum(len(wiring.inputs_of(name)) for name in wiring.enabled)
    counts = {"layers": len(wiring.enabled), "edges": edges, "findings": 0}
    assert given(capsys) == {"ok": True, "counts": counts, "findings": [], "warnings": []}
    assert ask(project) == 0
    assert capsys.readouterr().out.startswith(f"{counts['layers']} layers and {edges} edges hold; ")


@both
def test_a_missing_edge_is_a_finding_with_its_line(ask: Ask, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed(project, "inputs: [observations, instruments]", "inputs: [observations]")
    assert ask(project, "--json") == 1
    made = given(capsys)
    assert (made["ok"], made["counts"]["findings"]) == (False, 1)
    path = project / "wiring_master.yaml"
    assert made["findings"] == [
        {
            "rule": "layers",
            "layer": "l0_market_feed",
            "edge": "instruments > l0_market_feed",
            "message": "L0 l0_market_feed takes instruments, which wiring_master.yaml does not list; run `stratoquant wiring sync`.",
            "file": str(path),
            "line": path.read_text().splitlines().index("  l0_market_feed:") + 1,
        }
    ]


@both
def test_a_finding_about_a_layers_code_has_the_line_of_its_function(
    ask: Ask, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(
        project,
        "external: [observations, external_alpha, instruments, clock,",
        "external: [observations, external_alpha, instruments,",
    )
    assert ask(project, "--json") == 1
    found = [f for f in given(capsys)["findings"] if f["rule"] == "inputs"]
    assert found
    for finding in found:
        lines = Path(finding["file"]).read_text().splitlines()
        assert Path(finding["file"]).stem == finding["layer"]
        assert lines[finding["line"] - 1].startswith("@")  # its first decorator


@both
def test_a_field_that_no_layer_reads_is_a_warning_and_no_failure(
    ask: Ask, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(project, "l0_market_feed.quality.filled, l0_market_feed.quality.frozen,", "l0_market_feed.quality.valid,")
    assert ask(project) == 0
    assert capsys.readouterr().err.count("warning: ") == 3
    assert ask(project, "--json") == 0
    made = given(capsys)
    assert made["ok"] is True
    assert [warning["edge"].rpartition(".")[2] for warning in made["warnings"]] == ["filled", "frozen", "valid"]


@both
def test_text_stays_a_sentence_a_line(ask: Ask, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed(project, "inputs: [observations, instruments]", "inputs: [observations]")
    assert ask(project) == 1
    assert capsys.readouterr().err.splitlines()[0] == (
        "L0 l0_market_feed takes instruments, which wiring_master.yaml does not list; run `stratoquant wiring sync`."
    )


@both
def test_a_file_that_cannot_be_read_leaves_stdout_empty(ask: Ask, project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "wiring_master.yaml").write_text("clock: 1m\nlayers: [")
    assert ask(project, "--json") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "wiring_master.yaml, line 2" in err


def test_an_option_that_the_module_does_not_know_is_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--jsn"])
    assert ended.value.code == 2
    assert "--jsn" in capsys.readouterr().err


def test_the_module_needs_no_folder(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main() == 0, capsys.readouterr().err


def test_every_layer_of_the_file_has_a_line() -> None:
    path = defaults().wiring
    text, lines = path.read_text().splitlines(), key_lines(path)
    for name in load(path).layers:
        assert text[lines[name] - 1].startswith(f"  {name}:")
