"""What `--features` keeps: the same values in fewer rows, and a sentence where a value is not there."""

from __future__ import annotations

import json
import re
from io import StringIO
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from rich.console import Console

import stratoquant as sq
from dataflows.panel import Flag, IntPanel, Panel, Within
from drivers.domain.errors import DomainError
from drivers.domain.run import run_domain
from drivers.explain.show import as_data
from drivers.explain.target import target_of
from drivers.explain.trace import ExplainError, explain
from drivers.feeds.simulate import simulate
from drivers.run.batch import run_batch
from drivers.run.request import RunRequest
from drivers.run.stream import run_stream
from drivers.store.columns import columns_of
from drivers.store.kept import CHOICES, usual
from drivers.store.reader import RecordedError, open_run
from tests.drivers.report.conftest import EARLY, SYMBOLS

QUIET = Console(file=StringIO())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of each kind, named by it, of a market in which it trades."""
    folder = tmp_path_factory.mktemp("kept")
    simulate(folder / "market", seed=5, symbols=SYMBOLS, days=1, edge=3.0, book=False, trades=False)
    for kept in CHOICES:
        run_batch(RunRequest(data=folder / "market", out=folder / kept / "run", overrides=EARLY, features=kept), QUIET)
    return folder


def noted(folder: Path) -> set[tuple[str, str]]:
    """(time, symbol) of every bar that the log has a line about."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return {(line["time"], s) for line in lines for s in ([line["symbol"]] if "symbol" in line else SYMBOLS)}


def plain(path: Path) -> pd.DataFrame:
    """A table with its names as text: codes of names are numbered as they come."""
    frame = pd.read_parquet(path)
    return frame.astype({name: object for name in frame if frame[name].dtype == "category"})


def indexed(path: Path) -> pd.DataFrame:
    frame = pd.read_parquet(path)
    times = frame["timestamp"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
    return frame.drop(columns=["timestamp", "symbol"]).set_index([times, frame["symbol"].astype(str)])


def test_where_nobody_says_what_to_keep_a_long_backtest_keeps_decisions() -> None:
    assert [usual(rows) for rows in (1, 250_000, 250_001)] == ["all", "all", "decisions"]
    assert usual(None) == "all" == RunRequest().keeps


def test_decisions_are_the_rows_of_all_that_the_log_has_a_line_about(folder: Path) -> None:
    wanted = noted(folder / "decisions/run")
    assert wanted == noted(folder / "all/run")
    domains = sorted(p.name for p in (folder / "all/run/features").iterdir())
    assert sorted(p.name for p in (folder / "decisions/run/decided").iterdir()) == domains
    for name in domains:
        few, every = indexed(folder / "decisions/run/decided" / name), indexed(folder / "all/run/features" / name)
        assert 0 < len(few) < len(every)
        assert set(few.index) == wanted & set(every.index)
        pd.testing.assert_frame_equal(few, every.loc[few.index])


def test_what_the_report_draws_is_kept_at_every_bar(folder: Path) -> None:
    for path in (folder / "decisions/run/features").iterdir():
        few, every = indexed(path), indexed(folder / "all/run/features" / path.name)
        pd.testing.assert_frame_equal(few, every[list(few.columns)])


def test_the_report_is_the_same(folder: Path) -> None:
    def page(kept: str) -> str:
        text = (folder / kept / "run/report.html").read_text()
        return re.sub(r"[\d.,]+ (s|bars/s|bars a second)\b", "", text.replace(str(folder / kept), ""))

    assert page("decisions") == page("all")
    assert page("none") != page("all")  # prices, regimes, sources and data quality are not in it


def test_the_other_tables_are_the_same(folder: Path) -> None:
    for name in ("orders", "fills", "ledger", "decisions"):
        whole = pd.read_parquet(folder / "all/run" / f"{name}.parquet")
        assert len(whole)
        for kept in ("decisions", "none"):
            pd.testing.assert_frame_equal(pd.read_parquet(folder / kept / "run" / f"{name}.parquet"), whole)
    assert not (folder / "none/run/features").exists()
    assert not (folder / "none/run/decided").exists()


def test_an_order_is_explained_with_the_same_values(folder: Path) -> None:
    whole, few = open_run(folder / "all/run"), open_run(folder / "decisions/run")
    for order in whole.frame("orders")["order_id"].iloc[:3]:
        assert as_data(explain(few, target_of(few, order))) == as_data(explain(whole, target_of(whole, order)))


def test_a_bar_of_which_nothing_is_kept_is_named_with_the_cure(folder: Path) -> None:
    few = open_run(folder / "decisions/run")
    every = pd.read_parquet(folder / "all/run/ledger.parquet", columns=["timestamp", "symbol"])
    kept = noted(folder / "decisions/run")
    time, symbol = next(
        (t.strftime("%Y-%m-%dT%H:%M:%SZ"), s)
        for t, s in zip(every["timestamp"], every["symbol"], strict=True)
        if (t.strftime("%Y-%m-%dT%H:%M:%SZ"), s) not in kept
    )
    found = explain(few, target_of(few, f"{symbol} {time}"))
    assert len(found.steps) == 1
    (missing,) = found.steps[found.root].missing
    assert "--features decisions kept the layers' values only at the bars that log.jsonl has a line about" in missing
    assert "run it again with --features all" in missing


def test_who_needs_every_bar_says_so(folder: Path, tmp_path: Path) -> None:
    cure = "run it again with --features all"
    for kept in ("decisions", "none"):
        with pytest.raises(RecordedError, match=cure):
            sq.load_run(folder / kept / "run").features("L12")
        with pytest.raises(DomainError, match=cure):
            run_domain("kinematics", folder / kept / "run", out=tmp_path / "alone")
        with pytest.raises(RecordedError, match=cure):
            open_run(folder / kept / "run").frame("features/kinematics")
    with pytest.raises(ExplainError, match="--features decisions or all"):
        run = open_run(folder / "none/run")
        explain(run, target_of(run, run.frame("orders")["order_id"].iloc[0]))
    assert not (tmp_path / "alone").exists()


class Said(NamedTuple):
    """What a layer might return."""

    flag: Flag
    count: IntPanel
    wide: Annotated[IntPanel, Within(0, 1000)]
    score: Panel


def test_codes_that_fit_are_bytes_with_the_same_values() -> None:
    """Whole numbers whose range is not promised, or is larger, stay as they are."""
    flag, count = np.array([[0, 1], [1, 0]]), np.array([[300, -5], [7, 0]])
    value = Said(flag, count, count + 5, count * 0.5)
    found = columns_of("l", value, Said, 2)
    assert {name: column.dtype for name, column in found.items()} == {
        "l.flag": np.int8,
        "l.count": np.int64,
        "l.wide": np.int64,
        "l.score": np.float64,
    }
    for name, column in found.items():
        np.testing.assert_array_equal(column.reshape(2, 2), getattr(value, name[2:]))


def test_flags_of_the_patterns_are_bytes(folder: Path) -> None:
    schema = pq.read_schema(folder / "all/run/features/pattern.parquet")
    assert sum(str(f.type) == "int8" for f in schema) >= 40


def test_a_stream_keeps_the_same(folder: Path, tmp_path: Path) -> None:
    request = RunRequest(
        data=folder / "market", out=tmp_path / "stream", overrides=EARLY, features="decisions", journaled=False, report=False
    )
    run_stream(request, QUIET)
    found = sorted(p.relative_to(folder / "decisions/run") for p in (folder / "decisions/run").rglob("*.parquet"))
    assert found
    for name in found:
        pd.testing.assert_frame_equal(plain(folder / "decisions/run" / name), plain(tmp_path / "stream" / name))
