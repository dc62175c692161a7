"""Nothing that a run did not make is removed; results in parts can be read early, go on after a kill and end as one file each."""

from __future__ import annotations

import errno
from pathlib import Path

import pandas as pd
import pytest

from drivers.store.errors import StoreError, TakenError
from drivers.store.parquet import ParquetFile, parts_of
from drivers.store.writer import ResultWriter
from tests.drivers.store.records import ANNOTATIONS, DOMAINS, SYMBOLS, no_logs, outputs, times
from tests.drivers.store.test_writer import content, same, written


def write(writer: ResultWriter, a: int, b: int) -> None:
    writer.write(outputs(a, b), ANNOTATIONS, DOMAINS, times(a, b), no_logs(b - a))


def test_overwrite_refuses_results_beside_which_somebody_has_put_a_file(tmp_path: Path) -> None:
    out = written(tmp_path / "run")
    (out / "notes.txt").write_text("mine")
    before = content(tmp_path)
    with pytest.raises(TakenError, match=r"holds notes.txt, which no run writes, so --overwrite does not remove it"):
        ResultWriter(out, SYMBOLS, overwrite=True)
    assert content(tmp_path) == before


def test_overwrite_leaves_a_folder_called_replaced_alone(tmp_path: Path) -> None:
    out = written(tmp_path / "run")
    (tmp_path / "run.replaced").mkdir()
    (tmp_path / "run.replaced" / "thesis.tex").write_text("mine")
    written(out, bars=300, overwrite=True)
    assert (tmp_path / "run.replaced" / "thesis.tex").read_text() == "mine"
    assert {p.name for p in tmp_path.iterdir()} == {"run", "run.replaced"}
    assert len(pd.read_parquet(out / "features" / "regime.parquet")) == 600


@pytest.mark.parametrize("overwrite", [False, True])
def test_files_that_appear_while_a_run_goes_on_stay_and_so_do_the_results(tmp_path: Path, overwrite: bool) -> None:
    out = tmp_path / "run"
    writer = ResultWriter(out, SYMBOLS, overwrite=overwrite)
    write(writer, 0, 600)
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(TakenError, match="The results of this run are whole, in"):
        writer.finish({})
    writer.abandon()
    assert content(out) == {"notes.txt": b"mine"}
    assert len(pd.read_parquet(tmp_path / "run.partial" / "features" / "regime.parquet")) == 1200
    with pytest.raises(TakenError):
        ResultWriter(tmp_path / "run", SYMBOLS)
    assert (tmp_path / "run.partial" / "run.json").is_file()


def test_results_in_parts_are_those_in_one_piece_and_can_be_read_before_the_end(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole")
    writer = ResultWriter(tmp_path / "run", SYMBOLS, parts=True)
    table = tmp_path / "run.partial" / "features" / "regime.parquet"
    for a, b in ((0, 200), (200, 201), (201, 500)):
        write(writer, a, b)
        writer.cut()
        assert len(pd.read_parquet(table)) == 2 * b
    write(writer, 500, 600)
    assert len(pd.read_parquet(table)) == 1000  # what is being written is hidden
    writer.finish({})
    assert not (tmp_path / "run.partial").exists()
    same(tmp_path / "run", whole)


def test_a_writer_that_was_killed_goes_on_from_the_parts_that_count(tmp_path: Path) -> None:
    whole = written(tmp_path / "whole")
    first = ResultWriter(tmp_path / "run", SYMBOLS, parts=True)
    write(first, 0, 200)
    part = first.cut()
    write(first, 200, 300)
    first.cut()  # closed, but whoever goes on does not know of it
    write(first, 300, 350)
    first.release()
    then = ResultWriter(tmp_path / "run", SYMBOLS, parts=True, go_on=part)
    assert len(parts_of(tmp_path / "run.partial" / "features" / "regime.parquet")) == 1
    write(then, 200, 600)
    then.finish({})
    same(tmp_path / "run", whole)


def test_an_error_removes_no_part_that_was_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: ParquetFile, table: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    writer = ResultWriter(tmp_path / "run", SYMBOLS, parts=True)
    write(writer, 0, 200)
    writer.cut()
    before = {k: v for k, v in content(tmp_path).items() if k.endswith(".parquet")}
    monkeypatch.setattr(ParquetFile, "_write", full)
    write(writer, 200, 300)
    with pytest.raises(StoreError, match=r"the disk is full: the results for .*run are incomplete; what is in .* stays"):
        writer.cut()
    assert {k: v for k, v in content(tmp_path).items() if k.endswith(".parquet")} == before
