"""A view from outside, from its file to the score: the same bits in a batch, a stream and the domain alone."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from drivers.domain.run import run_domain
from drivers.run.batch import RunResult, run_batch
from drivers.run.request import RunRequest
from drivers.run.stream import run_stream
from tests.drivers.small_market import START, folder

MINUTES = 240
COLUMN = "l66_signal_matrix.values.external"


def quiet() -> Console:
    return Console(file=io.StringIO())


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A word on AAA every quarter of an hour, one on BBB before the data begin."""
    made = folder(tmp_path_factory.mktemp("market") / "data", MINUTES)
    times = [START + pd.Timedelta(minutes=15 * k, seconds=7) for k in range(16)]
    words = pd.DataFrame({"timestamp": times, "symbol": "AAA", "value": np.sin(np.arange(16.0)) * 300.0})
    early = pd.DataFrame({"timestamp": [START - pd.Timedelta(hours=2)], "symbol": "BBB", "value": [-0.01]})
    pd.concat([early, words]).to_csv(made / "alpha.csv", index=False, date_format="%Y-%m-%dT%H:%M:%SZ")
    return made


@pytest.fixture(scope="module")
def batch(data: Path, tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    return run_batch(RunRequest(data=data, out=tmp_path_factory.mktemp("batch") / "out", report=False), quiet())


def said(out: Path) -> pd.DataFrame:
    return pd.read_parquet(out / "features" / "fusion.parquet")


def test_the_source_speaks_for_both_symbols_and_with_their_signs(batch: RunResult) -> None:
    frame = said(batch.out)
    for symbol, signs in (("AAA", {-1.0, 1.0}), ("BBB", {-1.0})):
        values = frame.loc[frame["symbol"] == symbol, COLUMN].dropna()
        assert len(values) > 40
        assert set(np.sign(values)) == signs


def test_a_stream_says_the_same_to_the_bit(batch: RunResult, data: Path, tmp_path: Path) -> None:
    streamed = run_stream(RunRequest(data=data, out=tmp_path / "out", report=False), quiet())
    pd.testing.assert_frame_equal(said(streamed.out), said(batch.out), check_exact=True)


def test_the_domain_alone_takes_it_from_the_data_of_the_run(batch: RunResult, tmp_path: Path) -> None:
    alone = run_domain("fusion", batch.out, out=tmp_path / "alone", console=quiet())
    pd.testing.assert_frame_equal(said(alone.out), said(batch.out), check_exact=True)
