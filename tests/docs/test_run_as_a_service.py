"""The unit and the script of docs/how-to/run-as-a-service.md are what systemd and a shell take."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "run-as-a-service.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "stratoquant@.service"
    unit.write_text(block("ini").replace("/srv/stratoquant/start", shutil.which("true") or ""), encoding="utf-8")
    said = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60, check=False)
    assert (said.returncode, said.stdout + said.stderr) == (0, "")
    unit.write_text(block("ini").replace("KillMode=mixed", "KillMode=gentle"), encoding="utf-8")
    said = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60, check=False)
    assert "gentle" in said.stderr, "it looks at the values"


@pytest.mark.parametrize(
    ("there", "then"),
    [
        (["practice-1", "practice-2.partial"], "stream --resume runs/practice-2 --serve"),
        (
            ["practice-1"],
            "stream --venue practice --mode testnet --operator practice.commands --checkpoint practice.ckpt --out runs/",
        ),
        ([], "stream --venue practice --mode testnet --operator practice.commands --checkpoint practice.ckpt --out runs/"),
    ],
)
def test_the_script_resumes_after_a_crash_and_goes_on_after_a_stop(there: list[str], then: str, tmp_path: Path) -> None:
    start, program = tmp_path / "start", tmp_path / ".venv" / "bin" / "stratoquant"
    start.write_text(block("sh"), encoding="utf-8")
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    for name in there:
        (tmp_path / "runs" / name).mkdir(parents=True)
    said = subprocess.run(["sh", start, "practice"], capture_output=True, text=True, timeout=60, check=False)
    assert said.returncode == 0, said.stderr
    assert then in said.stdout and said.stdout.startswith("--project desk ")
