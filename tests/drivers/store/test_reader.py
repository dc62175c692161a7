"""A finished run read back: the panels that were written, to the bit, and one sentence for what is not there."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dataflows.panel import is_log, leaves, walk
from drivers.store.reader import RecordedError, RecordedRun, open_run
from drivers.store.writer import ResultWriter
from tests.drivers.store.records import ANNOTATIONS, DOMAINS, SYMBOLS, no_logs, outputs, times

BARS = 40


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RecordedRun:
    out = tmp_path_factory.mktemp("runs") / "one"
    writer = ResultWriter(out, SYMBOLS)
    writer.write(outputs(0, BARS), ANNOTATIONS, DOMAINS, times(0, BARS), no_logs(BARS))
    writer.finish({"symbols": list(SYMBOLS)})
    return open_run(out)


@pytest.mark.parametrize("node", sorted(n for n in DOMAINS if not is_log(ANNOTATIONS[n])))
def test_every_recorded_leaf_comes_back_to_the_bit(run: RecordedRun, node: str) -> None:
    made, read = outputs(0, BARS)[node], run.value(DOMAINS[node], node, ANNOTATIONS[node])
    for (path, kind), a, b in zip(walk(ANNOTATIONS[node]), leaves(made), leaves(read), strict=True):
        if not kind.recorded or "static" in kind.axes:
            assert b is None, path
        else:
            assert b.dtype == kind.numpy and b.flags.c_contiguous, path
            np.testing.assert_array_equal(np.broadcast_to(a, b.shape).view(np.int64), b.view(np.int64), err_msg=str(path))


def test_a_stretch_is_after_its_start_and_up_to_its_end(run: RecordedRun) -> None:
    all_times = run.times()
    np.testing.assert_array_equal(all_times, times(0, BARS))
    part = run.frame("features/regime", ["l2_single"], start=int(all_times[4]), end=int(all_times[9]), symbols=[SYMBOLS[1]])
    assert list(part.columns) == ["timestamp", "symbol", "l2_single"]
    assert part["timestamp"].tolist() == [pd.Timestamp(t, unit="ns", tz="UTC") for t in all_times[5:10]]
    np.testing.assert_array_equal(part["l2_single"], outputs(0, BARS)["l2_single"][5:10, 1])


@pytest.mark.parametrize(
    ("name", "columns", "symbols", "sentence"),
    [
        ("filles", None, None, r"there is no table 'filles'; did you mean fills\?"),
        ("features/regime", ["l2_singel"], None, r"features/regime: there is no column 'l2_singel'; did you mean l2_single\?"),
        ("fills", None, ["ZZZ"], r"there is no symbol 'ZZZ'; there are: "),
    ],
)
def test_what_is_not_there_is_named_with_what_is(
    run: RecordedRun, name: str, columns: list[str] | None, symbols: list[str] | None, sentence: str
) -> None:
    with pytest.raises(RecordedError, match=sentence):
        run.table(name, columns, symbols=symbols)


def test_a_leaf_that_the_run_lacks_is_named(run: RecordedRun) -> None:
    with pytest.raises(RecordedError, match=r"does not hold l9_other\.level: it was made by another version of that layer"):
        run.value("regime", "l9_other", ANNOTATIONS["l1_shape"])


def test_a_log_is_no_panel(run: RecordedRun) -> None:
    with pytest.raises(RecordedError, match=r"l90_fills is a log .* the tables orders and fills"):
        run.value("execution", "l90_fills", ANNOTATIONS["l90_fills"])


def test_what_is_no_finished_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordedError, match="is not a folder"):
        open_run(tmp_path / "none")
    unfinished = tmp_path / "run.partial"
    unfinished.mkdir()
    with pytest.raises(RecordedError, match=r"no run\.json.* still going on, or was killed"):
        open_run(unfinished)
    for text in ("{", json.dumps([]), "{}"):
        (unfinished / "run.json").write_text(text, encoding="utf-8")
        with pytest.raises(RecordedError, match=r"run\.json is damaged"):
            open_run(unfinished)


def test_a_damaged_table_is_named(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"symbols": ["A"]}', encoding="utf-8")
    (tmp_path / "fills.parquet").write_bytes(b"PAR1half")
    with pytest.raises(RecordedError, match=r"fills\.parquet cannot be read"):
        open_run(tmp_path).table("fills")
