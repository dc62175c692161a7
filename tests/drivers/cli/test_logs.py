"""`stratoquant logs`: lines for people, lines for programs, and one sentence for what is not there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drivers.cli.main import run_command
from tests.drivers.runlog.test_reading import LINES


@pytest.fixture
def run(tmp_path: Path) -> str:
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(x) + "\n" for x in LINES), encoding="utf-8")
    return str(tmp_path)


def said(capsys: pytest.CaptureFixture[str], *line: str) -> tuple[int, list[str], str]:
    code = run_command(["logs", *line])
    out, err = capsys.readouterr()
    return code, out.splitlines(), err


def test_lines_are_in_columns_and_in_words(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(capsys, run)
    assert (code, len(out), err) == (0, len(LINES), "")
    assert out[0].split() == ["2026-03-01T12:00:00Z", "data", "anomaly", "L0", "AAA", "kind", "gap"]
    assert {x.index(layer) for x, layer in zip(out, [e["layer"] for e in LINES], strict=True)} == {37}


def test_json_is_the_lines_of_the_log(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = said(capsys, run, "--json", "--event", "fill")
    assert code == 0 and [json.loads(x) for x in out] == [x for x in LINES if x["event"] == "fill"]


def test_limit_and_count(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(said(capsys, run, "--limit", "3")[1]) == 3
    assert said(capsys, run, "--count", "--symbol", "AAA")[1][0].split() == ["3", "order"]
    for layer in ("L96", "96", "l96_order_lifecycle"):
        assert json.loads(said(capsys, run, "--count", "--json", "--layer", layer)[1][0]) == {"bracket": 2}


def test_an_empty_result_says_why_on_stderr(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = said(capsys, run, "--symbol", "BBB", "--event", "fill")
    assert (code, out) == (0, []) and err.startswith("None of the 13 lines matches: 1 have --symbol BBB, 2 have --event fill")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (["--event", "fil"], "did you mean fill?"),
        (["--layer", "rsi"], "there is no layer 'rsi'; did you mean l15_rsi_short?"),
        (["--layer", "312"], "there is no layer '312'; the nearest is L100 l100_decision_audit"),
        (["--order", "AAA-99"], "there is no order AAA-99"),
        (["--level", "loud"], "'loud' is none of info, warning, error"),
        (["--since", "soon"], "is not a time"),
    ],
)
def test_what_is_not_there_is_one_sentence(
    run: str, line: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = said(capsys, run, *line)
    assert (code, out) == (2, []) and sentence in err and err.count("\n") == 1


def test_damaged_lines_are_named_on_stderr(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(run) / "log.jsonl"
    path.write_text(path.read_text() + '{"event": "fi')
    code, out, err = said(capsys, run)
    assert (code, len(out)) == (0, len(LINES)) and err == f"{path}, line 14: it is cut off; it was left out.\n"
