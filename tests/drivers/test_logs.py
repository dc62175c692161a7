"""Each line of the log is JSON and says what it belongs to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.logs import about, get_log, run_log


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_carries_run_epoch_symbol_layer_and_order(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with run_log(path, run="r1"):
        log = get_log("batch")
        with about(epoch=3):
            log.info("refused", symbol="BTCUSDT", layer="L4", order=7, reason="GROSS_CAP")
        log.warning("late", bars=np.int64(2), folder=tmp_path)
    first, second = lines(path)
    assert list(first)[:3] == ["timestamp", "level", "event"]
    del first["timestamp"], second["timestamp"]
    assert first == {
        "level": "info",
        "event": "refused",
        "logger": "batch",
        "run": "r1",
        "epoch": 3,
        "symbol": "BTCUSDT",
        "layer": "L4",
        "order": 7,
        "reason": "GROSS_CAP",
    }
    assert second == {"level": "warning", "event": "late", "logger": "batch", "run": "r1", "bars": 2, "folder": str(tmp_path)}


def test_a_line_is_in_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with run_log(path, run="r1"):
        get_log("x").info("now")
        assert lines(path)[0]["event"] == "now"


def test_a_second_run_does_not_carry_the_first_ones_ids(tmp_path: Path) -> None:
    for run in ("r1", "r2"):
        with run_log(tmp_path / "log.jsonl", run=run), about(epoch=1):
            get_log("x").info("begin")
    assert [line["run"] for line in lines(tmp_path / "log.jsonl")] == ["r1", "r2"]


def test_outside_a_run_nothing_is_written_or_printed(capsys: pytest.CaptureFixture[str]) -> None:
    get_log("x").info("nobody hears this")
    assert capsys.readouterr() == ("", "")


def test_an_exception_is_kept_with_its_traceback(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with run_log(path, run="r1"):
        try:
            raise OSError("disk full")
        except OSError:
            get_log("x").exception("not written")
    assert "disk full" in lines(path)[0]["exception"]


def test_an_id_that_is_none_is_refused() -> None:
    with pytest.raises(TypeError, match="log lines are about run, epoch, symbol, layer, order"):
        about(bar=3)
