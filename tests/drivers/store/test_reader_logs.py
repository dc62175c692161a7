"""Logs and single leaves of a run, read back: entry by entry, at the instants that are asked for."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from dataflows.execution import types as ex
from dataflows.panel import walk
from drivers.store.reader import RecordedError, RecordedRun, open_run
from drivers.store.writer import ResultWriter
from tests.drivers.store.records import ANNOTATIONS, DOMAINS, SYMBOLS, logs, no_logs, outputs, times
from tests.drivers.store.test_order_history import place

BARS, NODE = 40, "l5_execution_bridge"
BUSY = {3: 2, 4: 1, 17: 3, 39: 1}  # bar: entries


def entries() -> list[list[dict[str, Any]]]:
    made: list[list[dict[str, Any]]] = [[] for _ in range(BARS)]
    number = 4
    for bar, count in BUSY.items():
        for _ in range(count):
            made[bar].append(place(number, quantity=0.1 * number))
            number += 4
    return made


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RecordedRun:
    out = tmp_path_factory.mktemp("runs") / "logged"
    writer = ResultWriter(out, SYMBOLS)
    given = entries()
    for a, b in ((0, 4), (4, 18), (18, BARS)):
        log, at = logs(ex.OrderIntents, given[a:b])
        values = {**outputs(a, b), NODE: log}
        writer.write(values, ANNOTATIONS, {**DOMAINS, NODE: "execution"}, times(a, b), {**no_logs(b - a), NODE: at})
    writer.finish({"symbols": list(SYMBOLS)})
    return open_run(out)


@pytest.mark.parametrize(("a", "b"), [(0, BARS), (3, 5), (5, 17), (17, 18), (30, BARS)])
def test_a_log_comes_back_with_where_each_instant_begins(run: RecordedRun, a: int, b: int) -> None:
    wanted, offsets = logs(ex.OrderIntents, entries()[a:b])
    got, at = run.log(NODE, ex.OrderIntents, times(a, b))
    np.testing.assert_array_equal(at, offsets)
    assert got.n == wanted.n
    for name in ex.OrderIntents._fields[1:]:
        column = getattr(got, name)
        np.testing.assert_array_equal(column, getattr(wanted, name)[: got.n], err_msg=name)
        assert column.flags.writeable and column.flags.c_contiguous


def test_an_entry_between_two_bars_cannot_be_given_back_by_bars(run: RecordedRun) -> None:
    instants = np.delete(times(0, BARS), 17)
    with pytest.raises(RecordedError, match=f"{NODE} acted between two bars, at .*; that cannot be run again by bars"):
        run.log(NODE, ex.OrderIntents, instants)


def test_a_log_that_was_not_kept_is_named(run: RecordedRun, tmp_path: Path) -> None:
    with pytest.raises(RecordedError, match=r"has no logs/l9_none\.parquet: an older version made it; run it again"):
        run.log("l9_none", ex.Executions, times(0, BARS))
    copy = tmp_path / "old"
    shutil.copytree(run.folder, copy)
    path = copy / "logs" / f"{NODE}.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["lifetime"]), path)
    with pytest.raises(RecordedError, match=f"does not hold {NODE}.lifetime: it was made by another version of that layer"):
        open_run(copy).log(NODE, ex.OrderIntents, times(0, BARS))


def test_leaves_that_are_not_asked_for_are_not_read(run: RecordedRun) -> None:
    annotation = ANNOTATIONS["l1_shape"]
    paths = [path for path, kind in walk(annotation) if kind.recorded and "static" not in kind.axes]
    got = run.value(DOMAINS["l1_shape"], "l1_shape", annotation, paths=paths[:1])
    np.testing.assert_array_equal(got.level, outputs(0, BARS)["l1_shape"].level)
    assert got.level.flags.writeable
    assert got.code is None
