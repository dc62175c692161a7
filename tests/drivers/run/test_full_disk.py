"""A run whose results do not fit on the disk ends in one sentence, with nothing left behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drivers.cli.main import run_command
from tests.drivers.small_market import folder, left

resource = pytest.importorskip("resource", reason="no file-size limits on this system")


@contextmanager
def room(size: int) -> Iterator[None]:
    """No file may grow beyond `size` bytes: what a full disk is to the one who writes, without being root."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A market whose results are fine where there is room; to have run it once leaves nothing to compile and keep."""
    path = tmp_path_factory.mktemp("market")
    made = folder(path / "data")
    assert run_command(["run", "--data", str(made), "--out", str(path / "out"), "--spec", "prior_belief"]) == 0
    return made


@pytest.mark.parametrize(  # the mark, the log, the first file, row groups, the last file
    ("command", "size"),
    [("run", 0), pytest.param("stream", 100, marks=pytest.mark.long), ("run", 3_000), ("stream", 30_000), ("run", 100_000)],
)
def test_a_full_disk_leaves_neither_results_nor_a_partial_folder(
    data: Path, tmp_path: Path, command: str, size: int, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    line = [command, "--data", str(data), "--out", str(out), "--spec", "prior_belief"]
    line += ["--no-journal"] if command == "stream" else []  # with a journal it goes on: see test_failing_sinks.py
    with room(size):
        code = run_command(line)
    assert code == 1
    assert left(tmp_path) == set()
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines()[-1] == (
        f"the disk is full: the results for {out} could not be written and were removed; free some space, or name a folder on "
        "another disk"
    )


@pytest.mark.parametrize("size", [100_000])
def test_a_full_disk_leaves_the_results_that_were_there(data: Path, tmp_path: Path, size: int) -> None:
    out = tmp_path / "out"
    line = ["run", "--data", str(data), "--out", str(out)]
    assert run_command(line) == 0
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with room(size):
        assert run_command([*line, "--overwrite", "--spec", "prior_belief"]) == 1
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("size", [0, 3_000])
def test_a_disk_that_cannot_take_the_beginning_of_a_journal_leaves_nothing(
    data: Path, tmp_path: Path, size: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with room(size):
        assert run_command(["stream", "--data", str(data), "--out", str(tmp_path / "out")]) == 1
    assert left(tmp_path) == set()
    shown = capsys.readouterr().err.splitlines()[-1]
    assert "the disk is full" in shown or "the journal cannot be begun" in shown
