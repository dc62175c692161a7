"""The runs that the scripts are held against: four days of the sample market, and the crash of May 2021 where it is there."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

from drivers.cli.common import utc_ns
from drivers.run.batch import run_batch
from drivers.run.request import RunRequest
from tests.pine.cases import Case, case_of
from tests.pine.runtimes import Drawn, Runtime


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Case:
    out = tmp_path_factory.mktemp("pine") / "sample"
    end = utc_ns("2026-01-09T12:00")
    run_batch(RunRequest(out=out, symbols=("SIMA",), end=end, spec="prior_belief", report=False))
    return case_of(out, "SIMA", 500, 1e-5, chart=3600)


@pytest.fixture(scope="session")
def crash(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Case:
    out = tmp_path_factory.mktemp("pine") / "crash"
    span = {"start": utc_ns("2021-05-16T12:00"), "end": utc_ns("2021-05-19T14:00")}
    data = shared_data / "crash_2021-05"
    run_batch(RunRequest(data=data, out=out, symbols=("BTCUSDT",), spec="prior_belief", report=False, **span))  # type: ignore[arg-type]
    return case_of(out, "BTCUSDT", 480, 0.01, chart=3600)


@pytest.fixture(scope="session")
def scripts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the transpiled scripts are kept while the tests run."""
    return tmp_path_factory.mktemp("scripts")


@pytest.fixture(scope="session")
def drawn(scripts: Path) -> Any:
    """What a runtime draws of a whole case; computed once for all tests of a worker."""

    @functools.cache
    def run(runtime: Runtime, folder: Path, script: str) -> Drawn:
        case = cases[folder]
        return runtime(case.exported().scripts[script], case.bars, {}, scripts)

    cases: dict[Path, Case] = {}

    def of(runtime: Runtime, case: Case, script: str) -> Drawn:
        cases[case.run.folder] = case
        return run(runtime, case.run.folder, script)

    return of
