"""`stratoquant data import` and `data presets` as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drivers.cli.main import run_command
from drivers.feeds.importing import PRESETS
from tests.drivers.feeds.folders import bars, book, write


def ran(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    code = run_command([str(word) for word in words])
    told = capsys.readouterr()
    return code, told.out, told.err


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    """Files with names of their own."""
    frame = bars(60).rename(columns={"timestamp": "when", "open": "o", "high": "h", "low": "l", "close": "c", "volume": "v"})
    for symbol, part in frame.groupby("symbol"):
        (tmp_path / "dump").mkdir(exist_ok=True)
        part.drop(columns="symbol").assign(note="x").to_csv(tmp_path / "dump" / f"{symbol}-1m.csv", index=False)
    return tmp_path / "dump"


def test_what_is_taken_for_what_is_shown_and_what_to_do_next(
    dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    code, shown, told = ran(capsys, "data", "import", dump, "--out", out, "--column", "timestamp=when", "--licence", "CC0")
    assert (code, told) == (0, "")
    for text in (
        "bars: BTCUSDT-1m.csv, ETHUSDT-1m.csv",
        "│ when",
        "│ timestamp",
        "symbol BTCUSDT, ETHUSDT",
        "dropped: note",
        "out is usable",
    ):
        assert text in shown
    assert shown.rstrip().endswith(f"stratoquant run --data {out}")
    assert "licence: CC0" in (out / "dataset.yml").read_text(encoding="utf-8")


def test_a_dry_run_shows_and_writes_nothing(dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, shown, _ = ran(capsys, "data", "import", dump, "--out", tmp_path / "out", "--column", "timestamp=when", "--dry-run")
    assert code == 0
    assert "Nothing was written" in shown
    assert [p.name for p in tmp_path.iterdir()] == ["dump"]


def test_a_column_that_is_not_recognised_is_asked_for(dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, told = ran(capsys, "data", "import", dump, "--out", tmp_path / "out")
    assert code == 2
    assert told.startswith(
        "BTCUSDT-1m.csv: no column is recognised as the timestamp of bars; the file has when, o, h, l, c, v, note;"
    )
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--column", "timestamp"), "'timestamp' is not OURS=THEIRS, e.g. timestamp=ts"),
        (("--column", "open=o", "--column", "open=h"), "open is named twice"),
        (("--preset", "binance"), "there is no preset binance; did you mean binance-"),
        (("--duplicates", "all"), "'all' is not one of"),
    ],
)
def test_misuse_is_told_in_a_sentence(
    words: tuple[str, ...], sentence: str, dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, told = ran(capsys, "data", "import", dump, "--out", tmp_path / "out", *words)
    assert code == 2
    assert sentence in told
    assert [p.name for p in tmp_path.iterdir()] == ["dump"]


def test_a_folder_with_faults_fails_though_it_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = bars(60)
    frame.loc[3, "high"] = 1.0
    frame.to_csv(tmp_path / "bars.csv", index=False)
    code, _, told = ran(capsys, "data", "import", tmp_path / "bars.csv", "--out", tmp_path / "out")
    assert code == 2
    assert told.startswith("nothing was written: ETHUSDT 2026-03-01T00:01:00Z: high 1 is below low")
    code, _, told = ran(capsys, "data", "import", tmp_path / "bars.csv", "--out", tmp_path / "out", "--allow-faults")
    assert code == 1
    assert "was written, and a run would refuse it" in told


def test_every_preset_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    code, shown, _ = ran(capsys, "data", "presets")
    assert code == 0
    assert all(name in shown for name in PRESETS)


def test_check_draws_a_page_and_a_line_for_each_symbol(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path / "d", bars=bars(60), book=book())
    code, shown, _ = ran(capsys, "data", "check", folder, "--html", tmp_path / "d.html")
    assert code == 0
    assert "BTCUSDT █" in shown
    assert "d.html" in shown
    assert "<title>Market data: d</title>" in (tmp_path / "d.html").read_text(encoding="utf-8")
    code, shown, _ = ran(capsys, "data", "check", folder, "--json", "--html", tmp_path / "e.html")
    assert json.loads(shown)["ok"]
    assert (tmp_path / "e.html").exists()


def test_check_draws_what_cannot_be_read_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "d").mkdir()
    code, _, told = ran(capsys, "data", "check", tmp_path / "d", "--html", tmp_path / "d.html")
    assert code == 1
    assert "holds neither bars" in told
    assert "holds neither bars" in (tmp_path / "d.html").read_text(encoding="utf-8")
