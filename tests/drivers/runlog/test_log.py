"""Each line of the log is JSON and says what it belongs to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.runlog.lines import AT_ONCE, MOST_TEXTS, Fact, Lines, OneOf, Stated, What
from drivers.runlog.log import open_run_log


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
    texts = ['}, {"timestamp": "', '"}, {"timestamp": "', "\u202e\n", "日本", "\\", '{"', "}, {", "", '", "'] * AT_ONCE
    many, codes, prices = len(texts), list(range(len(texts))), [1e-07, None, -0.0, 1e22, 0.1, 5.0, 7, 1e16, 2.5] * AT_ONCE
    symbol, reasons, price = (
        OneOf("symbol", texts.__getitem__),
        OneOf("reasons", lambda i: [texts[i]] * (i % 4)),
        Stated("price"),
    )
    side, note = OneOf("side", lambda i: "LONG" if i % 2 else None), Stated("note")
    facts: list[tuple[Fact, list[Any]]] = [(reasons, codes), (symbol, codes), (note, texts), (price, prices), (side, codes)]
    form = Lines(np.arange(many), None, [What("said", warns=i == 3) for i in codes], facts)
    with open_run_log(tmp_path / "once", run="r") as log:
        log.about(layer="L4").lines([form])
        log.lines([])
    with open_run_log(tmp_path / "each", run="r") as log:
        for event in form.events(np.arange(many)):
            (log.about(layer="L4").warning if event.warns else log.about(layer="L4").event)(event.name, **event.fields)

    def rows(name: str) -> list[tuple[str, str]]:
        """What follows the time of writing, which alone may differ, of each line; the line as JSON reads it."""
        found = (tmp_path / name).read_text(encoding="utf-8").splitlines()
        return [(line.partition('", "level"')[2], json.loads(line)["symbol"]) for line in found]

    assert rows("once") == rows("each")
    assert [symbol for _, symbol in rows("once")] == texts
    assert len({line["timestamp"] for line in lines(tmp_path / "once")}) == 1
    assert [("price" in line, "side" in line) for line in lines(tmp_path / "once")][:2] == [(True, False), (False, True)]


def test_lines_of_several_forms_come_by_bar_and_then_as_the_forms_do(path: Path) -> None:
    number = Stated("number")
    first = Lines(np.array([1, 4]), None, [What("a")] * 2, [(number, [1, 2])])
    second = Lines(np.array([0, 1, 1]), None, [What("b")] * 3, [(number, [3, 4, 5])])
    with open_run_log(path, run="r") as log:
        log.lines([first, second])
    assert [(line["event"], line["number"]) for line in lines(path)] == [("b", 3), ("a", 1), ("b", 4), ("b", 5), ("a", 2)]


@pytest.mark.parametrize("number", [float("nan"), float("-inf")])
def test_a_number_that_json_does_not_have_is_refused(path: Path, number: float) -> None:
    with open_run_log(path, run="r") as log, pytest.raises(ValueError, match="not JSON compliant"):
        log.lines([Lines(np.array([0]), None, [What("a")], [(Stated("x"), [number])])])


def test_a_table_of_texts_does_not_grow_without_end() -> None:
    number = OneOf("number", int)
    keys = list(range(3 * MOST_TEXTS))
    assert list(number.texts_of(keys)) == [f', "number": {key}' for key in keys]
    assert len(number) <= MOST_TEXTS


def test_a_column_named_like_a_fact_of_the_log_is_refused(path: Path) -> None:
    with open_run_log(path, run="r") as log, pytest.raises(TypeError, match=r"^level: the log itself says this"):
        log.lines([Lines(np.array([0]), None, [What("a")], [(Stated("level"), ["HALT"])])])
