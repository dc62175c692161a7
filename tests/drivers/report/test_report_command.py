"""The report comes with every run, again when it is asked for, and never at the price of the results."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from drivers.cli.common import Failed
from drivers.cli.main import run_command
from drivers.cli.outcome import show
from drivers.report import html
from drivers.report.contents import RunReport, read_report
from drivers.run.batch import RunResult, run_batch
from drivers.run.request import RunRequest
from drivers.run.stream import run_stream
from drivers.web.page import PageError
from tests.drivers.report.conftest import EARLY
from tests.drivers.small_market import folder as small_market


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_market(tmp_path_factory.mktemp("market") / "m")


def run(market: Path, out: Path, **more: object) -> RunResult:
    return run_batch(RunRequest(data=market, out=out, **more), Console(file=StringIO()))  # type: ignore[arg-type]


def test_a_run_leaves_its_report_under_its_own_name(finished: dict[str, Path]) -> None:
    for name, folder in finished.items():
        page = (folder / "report.html").read_text(encoding="utf-8")
        assert (
            f"<title>Run {name}</title>" in page
            and ".partial" not in page.partition('<script type="application/json"')[0][-9000:]
        )


def test_the_command_makes_the_same_page_again(
    finished: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    last = finished["idle"]  # the trials after a run change what its report says of luck
    page = tmp_path / "page.html"
    assert run_command(["report", str(last), "-o", str(page)]) == 0
    assert capsys.readouterr().out.strip() == str(page)
    assert page.read_bytes() == (last / "report.html").read_bytes()


def test_two_runs_make_a_comparison_here(
    finished: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(["report", str(finished["traded"]), str(finished["hasty"])]) == 0
    assert capsys.readouterr().out.strip() == "compare_traded_hasty.html"
    assert "<title>traded and hasty</title>" in (tmp_path / "compare_traded_hasty.html").read_text(encoding="utf-8")


def test_open_shows_the_page_that_was_written(
    finished: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr("webbrowser.open", shown.append)
    assert run_command(["report", str(finished["idle"]), "-o", str(tmp_path / "p.html"), "--open"]) == 0
    assert shown == [(tmp_path / "p.html").as_uri()]


def test_json_prints_the_figures_alone(
    finished: dict[str, Path], reports: dict[str, RunReport], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["report", str(finished["traded"]), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["run"] == "traded"
    assert {key: f["value"] for key, f in told["figures"].items()} == {f.key: f.value for f in reports["traded"].figures}
    assert run_command(["report", str(finished["traded"]), str(finished["idle"]), "--json"]) == 0
    assert [each["run"] for each in json.loads(capsys.readouterr().out)] == ["traded", "idle"]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (["nowhere"], "nowhere is not a folder; name the results of a run"),
        (["."], "has no run.json, so it holds no finished run"),
    ],
)
def test_what_is_no_run_is_refused_in_a_sentence(
    given: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_command(["report", *given]) == 2
    assert sentence in capsys.readouterr().err and not any(tmp_path.iterdir())


def test_a_page_into_a_folder_that_is_not_there_is_refused(finished: dict[str, Path], tmp_path: Path) -> None:
    assert run_command(["report", str(finished["idle"]), "-o", str(tmp_path / "no" / "p.html")]) == 2


@pytest.mark.parametrize(
    "fault", [PageError("the page needs echarts.min.js, which is not there"), OSError(28, "No space left")]
)
def test_results_whose_report_fails_are_whole_and_the_command_says_so(
    market: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def broken(*args: object, **kwargs: object) -> str:
        raise fault

    monkeypatch.setattr(html, "report_page", broken)
    result = run(market, tmp_path / "out")
    assert read_report(tmp_path / "out").clock.bars == 420
    assert {p.name for p in tmp_path.iterdir()} == {"out", "trials.jsonl"} and not (tmp_path / "out" / "report.html").exists()
    with pytest.raises(Failed, match=r"are whole, but their report could not be made: .*Make it with: stratoquant report"):
        show(result)
    monkeypatch.undo()
    assert run_command(["report", str(tmp_path / "out")]) == 0 and (tmp_path / "out" / "report.html").is_file()


def test_a_run_without_a_report_has_none_and_names_none(
    market: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = run(market, tmp_path / "out", report=False)
    assert not (tmp_path / "out" / "report.html").exists() and not result.report_failed
    show(result)
    assert "report.html" not in capsys.readouterr().out
    (tmp_path / "out" / "report.html").write_text("a report")
    show(result)
    lines = capsys.readouterr().out.splitlines()
    assert lines[-2] == f"Results: {tmp_path / 'out'}"
    assert lines[-1].startswith(
        f"Open {tmp_path / 'out' / 'report.html'} in a browser. Next: stratoquant logs {tmp_path / 'out'} "
    )


def test_the_report_of_a_stream_has_the_figures_of_the_run(market: Path, tmp_path: Path) -> None:
    run(market, tmp_path / "batch", overrides=EARLY)
    run_stream(RunRequest(data=market, out=tmp_path / "streamed", overrides=EARLY), Console(file=StringIO()))
    assert "<title>Run streamed</title>" in (tmp_path / "streamed" / "report.html").read_text(encoding="utf-8")
    batch, streamed = (read_report(tmp_path / name) for name in ("batch", "streamed"))
    assert batch.figures == streamed.figures and len(batch.book.fills) > 10


def test_seven_hours_of_a_market_that_nothing_is_learned_from_report_too(market: Path, tmp_path: Path) -> None:
    run(market, tmp_path / "out")
    report = read_report(tmp_path / "out")
    assert report.clock.bars == 420 and report.figures and "Nothing was traded" in html.report_page(report)
