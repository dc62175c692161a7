"""Each line of the log is JSON and says what it belongs to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.runlog.log import LINES_AT_ONCE, open_run_log


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.jsonl"


def test_a_line_carries_run_epoch_symbol_layer_and_order(path: Path) -> None:
    with open_run_log(path, run="r1") as log:
        log.about(epoch=3).event("refused", reasons=["GROSS_CAP"], order=7, symbol="BTCUSDT", layer="L4")
        log.warning("late", bars=np.int64(2), folder=path.parent)
    first, second = lines(path)
    assert list(first) == ["timestamp", "level", "event", "run", "epoch", "symbol", "layer", "order", "reasons"]
    assert first.pop("timestamp").endswith("Z")
    assert first == {
        "level": "info",
        "event": "refused",
        "run": "r1",
        "epoch": 3,
        "symbol": "BTCUSDT",
        "layer": "L4",
        "order": 7,
        "reasons": ["GROSS_CAP"],
    }
    del second["timestamp"]
    assert second == {"level": "warning", "event": "late", "run": "r1", "bars": 2, "folder": str(path.parent)}


def test_a_line_is_in_the_file_at_once(path: Path) -> None:
    with open_run_log(path, run="r1") as log:
        log.event("now")
        assert lines(path)[0]["event"] == "now"


def test_two_logs_in_one_process_do_not_mix(tmp_path: Path) -> None:
    with open_run_log(tmp_path / "a", run="a") as a, open_run_log(tmp_path / "b", run="b") as b:
        a.about(symbol="X").event("one")
        b.event("two")
        a.event("three")
    assert [(line["run"], line["event"]) for line in lines(tmp_path / "a")] == [("a", "one"), ("a", "three")]
    assert [(line["run"], line["event"]) for line in lines(tmp_path / "b")] == [("b", "two")]
    assert "symbol" not in lines(tmp_path / "a")[1]


def test_an_error_is_kept_with_its_traceback(path: Path) -> None:
    with open_run_log(path, run="r1") as log:
        try:
            raise OSError("disk full")
        except OSError:
            log.error("not written")
    assert "Traceback" in lines(path)[0]["exception"]
    assert "disk full" in lines(path)[0]["exception"]


def test_nothing_is_printed(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with open_run_log(path, run="r1") as log:
        log.event("quiet")
    assert capsys.readouterr() == ("", "")


def test_an_id_that_is_none_is_refused(path: Path) -> None:
    with open_run_log(path, run="r1") as log, pytest.raises(TypeError, match="about run, epoch, symbol, layer, order"):
        log.about(bar=3)


@pytest.mark.parametrize("name", ["level", "timestamp"])
def test_a_fact_that_would_be_overwritten_is_refused(path: Path, name: str) -> None:
    with open_run_log(path, run="r1") as log, pytest.raises(TypeError, match=f"^{name}: the log itself says this"):
        log.event("kill_switch", **{name: "HALT"})


def test_lines_written_at_once_are_those_written_one_by_one_whatever_text_is_in_them(tmp_path: Path) -> None:
    texts = ['}, {"timestamp": "', '"}, {"timestamp": "', "\u202e\n", "日本", "\\", '{"', "}, {"]
    lines = [("info", "said", {"symbol": text, "reasons": [text, text], "price": 1e-07, "size": -0.0}) for text in texts]
    with open_run_log(tmp_path / "once", run="r") as log:
        log.lines(lines)
        log.lines([])
    with open_run_log(tmp_path / "each", run="r") as log:
        for _, name, fields in lines:
            log.event(name, **fields)

    def rows(name: str) -> list[tuple[str, str]]:
        """What follows the time of writing, which alone may differ, of each line; the line as JSON reads it."""
        found = (tmp_path / name).read_text(encoding="utf-8").splitlines()
        return [(line.partition('", "level"')[2], json.loads(line)["symbol"]) for line in found]

    assert rows("once") == rows("each")
    assert [symbol for _, symbol in rows("once")] == texts


def test_many_lines_are_the_lines_one_by_one(path: Path, tmp_path: Path) -> None:
    many = [
        ("warning" if i % 3 else "info", f"e{i}", {"symbol": 'A"}, {"timestamp": "', "n": i})
        for i in range(2 * LINES_AT_ONCE + 1)
    ]
    with open_run_log(path, run="r1") as log, open_run_log(tmp_path / "b", run="r1") as each:
        log.lines(iter(many))
        log.lines([])
        for level, name, fields in many:
            (each.warning if level == "warning" else each.event)(name, **fields)
    made, wanted = lines(path), lines(tmp_path / "b")
    assert len({line.pop("timestamp") for line in made}) == 1
    for line in wanted:
        del line["timestamp"]
    assert [list(line.items()) for line in made] == [list(line.items()) for line in wanted]
