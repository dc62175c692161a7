"""Layers of a user's project: found, checked, drawn and run like the package's, and imported from a named project alone."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from drivers.cli.main import run_command
from drivers.diagrams.model import read_model
from drivers.graph.modules import layer_modules
from drivers.graph.rules.findings import check_project
from drivers.project.errors import ProjectError
from drivers.project.locate import Project, defaults, locate, with_layers
from drivers.project.own_layers import own_layer_files, own_layer_modules

LAYER = '''"""L101: where the close lies within its bar."""

from __future__ import annotations

from typing import Annotated

import numpy as np

from dataflows.data.types import Market
from dataflows.layer import layer
from dataflows.panel import Panel, Within


@layer("L101")
def l101_close_location(l0_market_feed: Market) -> Annotated[Panel, Within(-1.0, 1.0)]:
    """Twice the close's share of the bar's range, less 1. Panel (T, N). NaN: the bar is not known, or has no range."""
    bars = l0_market_feed.bars
    height = np.where(bars.high > bars.low, bars.high - bars.low, np.nan)
    return np.clip(2.0 * (bars.close - bars.low) / height - 1.0, -1.0, 1.0)
'''
ENTRY = """  l101_close_location:
    id: L101
    domain: kinematics
    schedule: columnar
    sink: true
    inputs: [l0_market_feed]
"""
NAME = "l101_close_location"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with one layer of its own."""
    made = tmp_path / "mine"
    (made / "layers" / "kinematics").mkdir(parents=True)
    shutil.copytree(defaults().config, made / "config")
    (made / "layers" / "kinematics" / f"{NAME}.py").write_text(LAYER, encoding="utf-8")
    wiring = defaults().wiring.read_text(encoding="utf-8")
    (made / "wiring_master.yaml").write_text(wiring.replace("\nlayers:\n", f"\nlayers:\n{ENTRY}", 1), encoding="utf-8")
    return made


def names(project: Project) -> set[str]:
    return {module.__name__.rpartition(".")[2] for module in layer_modules(project)}


def test_a_layer_of_a_named_project_is_in_the_graph_and_the_wiring_holds(folder: Path) -> None:
    project = locate(folder)
    assert names(project) - names(defaults()) == {NAME}
    wiring, findings = check_project(project)
    assert (findings, NAME in wiring.enabled) == ([], True)
    drawn = read_model(project).layers[NAME]
    assert (drawn.id, drawn.domain, drawn.module) == ("L101", "kinematics", f"layers.kinematics.{NAME}")


def test_a_layer_without_an_entry_is_found_by_the_wiring_check(folder: Path) -> None:
    shutil.copy(defaults().wiring, folder / "wiring_master.yaml")
    messages = [finding.message for finding in check_project(locate(folder))[1]]
    assert f"L101 {NAME} is not in wiring_master.yaml; run `stratoquant wiring sync`." in messages


def test_a_disabled_layer_is_not_imported(folder: Path) -> None:
    (folder / "layers" / "kinematics" / f"{NAME}.py").write_text("raise SystemExit('imported')\n", encoding="utf-8")
    assert own_layer_modules(locate(folder), without=[NAME]) == []


def test_code_of_a_folder_that_was_not_named_is_never_imported(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that somebody sends must not run code because a command is typed in it."""
    marker = folder / "imported"
    (folder / "layers" / "kinematics" / f"{NAME}.py").write_text(f"open({str(marker)!r}, 'w').close()\n", encoding="utf-8")
    monkeypatch.chdir(folder)
    for command in (["layers"], ["wiring", "check"], ["wiring", "sync"], ["config", "show"], ["graph", "-o", "graph.html"]):
        assert run_command(command) == 2, command
        assert f"add `--project {folder}` before the command if you trust that code" in capsys.readouterr().err
    assert not marker.exists()
    run_command(["--project", ".", "layers"])
    assert marker.exists()


def test_two_projects_of_one_process_have_each_their_own_layer(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    path = other / "layers" / "kinematics" / f"{NAME}.py"
    path.write_text(LAYER.replace("L101: where", "L101: of the other, where"), encoding="utf-8")
    docs = [own_layer_modules(locate(each))[0].__doc__ for each in (folder, other, folder)]
    assert docs == [f"L101: {text} the close lies within its bar." for text in ("where", "of the other, where", "where")]
    assert sys.modules["layers"].__path__ == [str((folder / "layers").resolve())]


def test_a_layer_may_import_a_helper_beside_it(folder: Path) -> None:
    (folder / "layers" / "kinematics" / "helpers.py").write_text("LEAST = -1.0\n", encoding="utf-8")
    path = folder / "layers" / "kinematics" / f"{NAME}.py"
    path.write_text(
        LAYER.replace("\n\n@layer", "\nfrom layers.kinematics.helpers import LEAST\n\n\n@layer").replace(
            "- 1.0, -1.0", "- 1.0, LEAST"
        ),
        encoding="utf-8",
    )
    assert names(locate(folder)) - names(defaults()) == {NAME}


@pytest.mark.parametrize("what", ["file", "domain", "folder", "helper"])
def test_a_link_out_of_the_project_is_refused(folder: Path, tmp_path: Path, what: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    layers = folder / "layers"
    source = layers / "kinematics" / f"{NAME}.py"
    if what == "file":
        source.rename(outside / source.name)
        source.symlink_to(outside / source.name)
    elif what == "domain":
        (layers / "kinematics").rename(outside / "kinematics")
        (layers / "kinematics").symlink_to(outside / "kinematics")
    elif what == "folder":
        layers.rename(outside / "layers")
        layers.symlink_to(outside / "layers")
    else:
        (outside / "helpers.py").write_text("", encoding="utf-8")
        (layers / "helpers.py").symlink_to(outside / "helpers.py")
    with pytest.raises(ProjectError, match="is a link; own layers must lie in"):
        own_layer_files(locate(folder))


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("kinematics/l12_mine.py", "ids up to L100 belong to the package; give this layer an id from L101 to L999"),
        ("l102_mine.py", "is not in the folder of a domain; move it to"),
        ("nowhere/l102_mine.py", "is not in the folder of a domain; move it to"),
    ],
)
def test_a_file_in_the_wrong_place_is_refused(folder: Path, place: str, why: str) -> None:
    path = folder / "layers" / place
    path.parent.mkdir(exist_ok=True)
    path.write_text("", encoding="utf-8")
    with pytest.raises(ProjectError, match=why):
        own_layer_files(locate(folder))


def test_a_file_that_cannot_be_imported_is_named(folder: Path) -> None:
    path = folder / "layers" / "kinematics" / f"{NAME}.py"
    path.write_text("import no_such_module\n", encoding="utf-8")
    with pytest.raises(ProjectError, match=rf"{NAME}\.py cannot be imported: ModuleNotFoundError: No module named"):
        own_layer_modules(locate(folder))


def test_a_run_has_no_code_and_takes_that_of_the_project(folder: Path, tmp_path: Path) -> None:
    project = locate(folder)
    recorded = Project(tmp_path, tmp_path / "wiring_master.yaml", tmp_path / "config", tmp_path / "specs")
    assert with_layers(recorded, project) == replace(recorded, layers=folder / "layers", named=True)
