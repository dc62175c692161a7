"""The cache folder, what is in it, and the room on the disks. As root, permissions refuse nothing: other obstacles stand in."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from drivers.graph.modules import layer_modules
from drivers.health import machine_code
from drivers.health.context import Context
from tests.drivers.health.planted import found, wrong

Usage = namedtuple("Usage", ["total", "used", "free"])


def test_a_cache_folder_that_cannot_be_made_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path / "file" / "cache"))
    (finding,) = found("cache")
    assert (finding.status, finding.detail) == (
        "fail",
        f"The cache folder {tmp_path}/file/cache cannot be made: {tmp_path}/file is a file.",
    )
    assert "STRATOQUANT_CACHE" in finding.advice


def test_a_cache_folder_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def refused(**_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(machine_code.tempfile, "NamedTemporaryFile", refused)
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path))
    assert wrong("cache") == [("fail", f"The cache folder {tmp_path} cannot be written: read-only file system.")]


def test_a_cache_folder_that_is_not_there_yet_can_be_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path / "new" / "cache"))
    assert [f.status for f in found("cache")] == ["ok"]
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("free", "status"), [(10**7, "fail"), (3 * 10**8, "warn"), (10**11, "ok")])
def test_a_disk_that_is_nearly_full_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, status: str) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 0, free))
    results, cache = found("disk", Context(results=tmp_path / "runs"))
    assert (results.status, cache.status) == (status, status)
    if status == "fail":
        assert results.detail == f"0.0 GB are free for results in {tmp_path}/runs, less than 200 MB."
        assert results.advice == "Make room there, or name another folder with --out."


def test_with_an_empty_cache_every_layer_is_named_as_not_compiled_and_none_is_compiled(tmp_path: Path) -> None:
    """A process of its own: in this one, kernels may be loaded already."""
    done = subprocess.run(
        [sys.executable, "-m", "drivers.health_check", "--quick", "--json"],
        env={**os.environ, "STRATOQUANT_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    given = json.loads(done.stdout)
    (kernels,) = [c for c in given["checks"] if c["name"] == "kernels"]
    every = {module.__name__.rpartition(".")[2]: vars(module).values() for module in layer_modules()}
    compiled = [name for name, held in every.items() if any(hasattr(x, "py_func") for x in held)]
    assert len(compiled) > 80
    lacking = kernels["detail"].partition(" of ")
    assert kernels["status"] == "warn"
    assert len(compiled) <= int(lacking[0]) <= len(every)  # a step layer without kernels of its own is compiled as it is
    assert lacking[2].startswith(f"{len(every)} layers lack machine code in the cache: ")
    assert "compiles them once" in kernels["advice"]
    assert not list(tmp_path.rglob("*.nbc"))
    assert "smoke" not in {c["name"] for c in given["checks"]}


def test_a_compiler_that_is_off_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import numba

    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    ((status, detail),) = wrong("kernels")
    assert status == "warn"
    assert detail.startswith("NUMBA_DISABLE_JIT is set")
