"""The package of kernels, and the server that runs it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.dataflows.runtime.packages import BEFORE, SERVER, Outcome, Package


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A process with numba loaded that forks one child a line."""
    if not hasattr(os, "fork"):
        pytest.skip("this system has no fork")
    folder = tmp_path_factory.mktemp("package")
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SERVER)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PK": str(folder), "NUMBA_DISABLE_JIT": "0"},
        cwd=Path(__file__).parents[3],
    )
    yield folder, process
    process.communicate(timeout=30)


@pytest.fixture(scope="module")
def package(server: Any) -> Package:
    """The package, its kernels compiled once into the cache, and found there."""
    made = Package(*server)
    assert made.run() == Outcome(BEFORE, False, [])
    assert made.run() == Outcome(BEFORE, True, [])
    return made
