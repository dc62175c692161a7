"""The tutorial, done: every file written and every command run, in order, as the page has them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
REPOSITORY = ("dataflows", "drivers", "config", "specs", "tests", "wiring_master.yaml", "pyproject.toml")


class Block(NamedTuple):
    """One fenced block: its language, the rest of its first line, and what it holds."""

    language: str
    about: dict[str, str]
    text: str


def blocks() -> list[Block]:
    """The fenced blocks of the page, in order; those without a language are for the reader alone."""
    found = re.findall(r"^``` ?\{?\.?(\w+)([^\n]*)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    made = []
    for language, rest, text in found:
        about = dict(re.findall(r'(\w+)="([^"]*)"', rest)) | ({"fails": ""} if ".fails" in rest else {})
        made.append(Block(language, about, text))
    return made


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a clone of the repository holds, and `stratoquant` and `python` on the path as the activated environment has them."""
    folder = tmp_path_factory.mktemp("tutorial") / "stratoquant"
    folder.mkdir()
    unneeded = shutil.ignore_patterns("__pycache__", "node_modules")
    for name in REPOSITORY:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=unneeded)
        else:
            shutil.copy(source, folder / name)
    return folder


def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    bin_folder = folder.parent / "bin"
    if not bin_folder.is_dir():
        bin_folder.mkdir()
        for name, begins in (("python", ""), ("stratoquant", '-c "from drivers.cli.main import main; main()"')):
            (bin_folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {begins} "$@"\n', encoding="utf-8")
            (bin_folder / name).chmod(0o755)
    path = os.pathsep.join([str(bin_folder), os.environ["PATH"]])
    environment = {**os.environ, "PYTHONPATH": str(folder), "PATH": path, "COLUMNS": "160"}
    return subprocess.run(line, shell=True, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_page_holds_what_is_tested_here() -> None:
    languages = [block.language for block in blocks()]
    assert languages.count("sh") >= 10
    assert languages.count("python") == 3
    assert set(languages) == {"sh", "python", "yaml"}


def test_every_command_of_the_tutorial_does_what_the_page_says(clone: Path) -> None:
    for block in blocks():
        if block.language == "sh":
            for line in block.text.strip().splitlines():
                done = run(line, clone)
                assert (done.returncode != 0) == ("fails" in block.about), f"{line}\n{done.stdout}\n{done.stderr}"
        elif "replaces" in block.about:
            path = clone / block.about["title"]
            before = path.read_text(encoding="utf-8")
            assert before.count(f"{block.about['replaces']}\n") == 1
            path.write_text(before.replace(f"{block.about['replaces']}\n", block.text), encoding="utf-8")
        else:
            path = clone / block.about["title"]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
    for made in (
        "compared.html",
        "graph.html",
        "kinematics.svg",
        "l101.svg",
        "my-data-quality.html",
        "runs/believing/report.html",
    ):
        assert (clone / made).stat().st_size > 1000, made
    assert "l101_close_location" in (clone / "l101.svg").read_text(encoding="utf-8")
    recorded = pq.read_schema(clone / "runs" / "with-l101" / "features" / "kinematics.parquet").names
    assert "l101_close_location" in recorded
