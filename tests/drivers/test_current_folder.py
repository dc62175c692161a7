"""What lies in the current folder is never imported: neither by a process that a command starts, nor by a quoted command."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from drivers.run import precompile

ROOT = Path(__file__).parents[2]
TEXTS = [
    ROOT / "Makefile",
    ROOT / ".pre-commit-config.yaml",
    ROOT / ".ci" / "run",
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "drivers").rglob("*.py"),
    *(ROOT / "drivers" / "web").glob("*.json"),
]
PAGE = ROOT / "docs" / "how-to" / "check-and-validate.md"
QUOTED = re.findall(r"^python (.*-m drivers\.\w+)", PAGE.read_text(), re.MULTILINE)


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    """A folder with a module of the standard library and a package of our name, which leave a file when they are imported."""
    folder = tmp_path / "sent"
    (folder / "drivers" / "run").mkdir(parents=True)
    trap = f"import os\nos.mkdir({str(tmp_path / 'executed')!r})\n"
    for name in ("hashlib.py", "json.py", "drivers/__init__.py", "drivers/run/__init__.py", "drivers/wiring_check.py"):
        (folder / name).write_text(trap)
    return folder


def ran(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)


def test_the_trap_is_one(planted: Path) -> None:
    ran([sys.executable, "-c", "import hashlib"], planted)
    assert (planted.parent / "executed").is_dir()


def test_the_process_that_compiles_beside_a_run_does_not_import_from_the_current_folder(planted: Path) -> None:
    done = ran(precompile.command(Path("/no/such/project")), planted)
    assert "/no/such/project is not a folder" in done.stderr  # it has come as far as its work
    assert not (planted.parent / "executed").exists()


@pytest.mark.parametrize("quoted", QUOTED)
def test_a_quoted_command_does_not_import_from_the_current_folder(planted: Path, quoted: str) -> None:
    done = ran([sys.executable, *shlex.split(quoted), "--help"], planted)
    assert done.returncode == 0 and "usage" in done.stdout.lower()
    assert not (planted.parent / "executed").exists()


def test_every_quoted_command_is_the_safe_one() -> None:
    assert len(QUOTED) == 3
    named = [path.relative_to(ROOT) for path in TEXTS if re.search(r"python\d? -m drivers", path.read_text())]
    assert not named
    started = [path.relative_to(ROOT) for path in (ROOT / "drivers").rglob("*.py") if '"-m"' in path.read_text()]
    assert not started  # a child of ours takes -P and -c
