"""Folders that somebody sent: nothing in them is executed, and nothing outside of them is written, unless the user says so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from drivers.cli.main import run_command
from drivers.engine.checkpoint import is_checkpoint
from drivers.run.request import RunRequest
from drivers.run.resume import recorded_request
from drivers.store.writer import REQUEST

ALIASES = """\
a: &a [x,x,x,x,x,x,x,x,x]
b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]
c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]
d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]
e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]
f: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]
g: &g [*f,*f,*f,*f,*f,*f,*f,*f,*f]
h: [*g,*g,*g,*g,*g,*g,*g,*g,*g]
"""
"""43 million values in nine lines."""


def unfinished(folder: Path, **asked: object) -> Path:
    """What is left of a stream that was killed, with options that whoever sent it chose."""
    out = folder / "out"
    partial = folder / "out.partial"
    (partial / "journal").mkdir(parents=True)
    (partial / "journal" / "000000.journal").write_bytes(b"something that begins as a segment does not")
    about = {key: str(value) if isinstance(value, Path) else value for key, value in {**vars(RunRequest()), **asked}.items()}
    (partial / REQUEST).write_text(json.dumps({**about, "data_hash": ""}), encoding="utf-8")
    return out


def evil_project(folder: Path) -> Path:
    """A project whose layer writes a file when it is imported."""
    (folder / "layers" / "kinematics").mkdir(parents=True)
    (folder / "config").mkdir()
    code = f"import pathlib\npathlib.Path({str(folder / 'executed')!r}).touch()\n"
    (folder / "layers" / "kinematics" / "l101_evil.py").write_text(code, encoding="utf-8")
    return folder


def test_resume_runs_no_layers_of_a_project_that_the_user_did_not_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = evil_project(tmp_path / "project")
    out = unfinished(tmp_path, project=project)
    assert run_command(["stream", "--resume", str(out)]) == 2
    err = capsys.readouterr().err
    assert f"stratoquant --project {project} stream --resume {out}" in err
    other = tmp_path / "other"
    (other / "config").mkdir(parents=True)
    assert run_command(["--project", str(other), "stream", "--resume", str(out)]) == 2
    assert not (project / "executed").exists()
    assert recorded_request(out, project).project == project


def test_resume_puts_a_checkpoint_in_the_place_of_no_other_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    precious = tmp_path / "precious.txt"
    precious.write_text("mine", encoding="utf-8")
    out = unfinished(tmp_path, checkpoint=precious)
    assert run_command(["stream", "--resume", str(out)]) == 2
    assert f"{precious}, which is no checkpoint and would be lost" in capsys.readouterr().err
    assert precious.read_text(encoding="utf-8") == "mine"


def test_a_checkpoint_is_told_from_other_files(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for content in (b"", b"text", b"PK\x03\x04 no zip", b"\x93NUMPY"):
        path.write_bytes(content)
        assert not is_checkpoint(path)
    np.savez(tmp_path / "y.npz", other=np.zeros(1))
    assert not is_checkpoint(tmp_path / "y.npz")
    np.savez(tmp_path / "z.npz", f8=np.zeros(1), i8=np.zeros(1), header=np.zeros(1))
    assert is_checkpoint(tmp_path / "z.npz")
    assert recorded_request(unfinished(tmp_path, checkpoint=tmp_path / "z.npz"), None).checkpoint == tmp_path / "z.npz"


@pytest.mark.parametrize("nested", [False, True], ids=["aliases", "nested"])
def test_yaml_that_stands_for_more_than_it_says_is_refused(
    nested: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "config: " + "[" * 5000 if nested else f"config:\n  {ALIASES.replace(chr(10), chr(10) + '  ')}"
    said = "nested too deep" if nested else "an alias (*) is not taken; write the value itself"
    project = tmp_path / "project"
    (project / "specs").mkdir(parents=True)
    (project / "specs" / "evil.yaml").write_text(f"name: evil\ndomain: risk\nabout: x\n{text}\n", encoding="utf-8")
    assert run_command(["--project", str(project), "domain", "specs", "--json"]) == 2
    assert said in capsys.readouterr().err
    data = tmp_path / "data"
    data.mkdir()
    (data / "dataset.yml").write_text(text.replace("config:", "tick_size:"), encoding="utf-8")
    (data / "bars.csv").write_text(
        "timestamp,symbol,open,high,low,close,volume\n2024-01-01T00:00:00Z,A,1,1,1,1,1\n", encoding="utf-8"
    )
    assert run_command(["run", "--data", str(data), "--out", str(tmp_path / "out")]) == 2
    assert said in capsys.readouterr().err
