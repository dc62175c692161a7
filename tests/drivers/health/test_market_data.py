"""Market data that are absent, empty, broken, old, or of another clock."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from drivers.health.context import AgeError, Context, parse_age
from drivers.text.times import parse_duration
from tests.drivers.health.planted import found, project, wrong
from tests.drivers.small_market import folder, market

MINUTE = 60_000_000_000
END = (pd.Timestamp("2024-03-04T21:00:00Z") + pd.Timedelta(minutes=240)).value


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return folder(tmp_path / "market", 240)


@pytest.mark.parametrize(
    ("text", "ns"),
    [("90m", 90 * MINUTE), ("2h", 120 * MINUTE), ("1d", 1440 * MINUTE), ("5bars", 25 * MINUTE), ("1 bar", 5 * MINUTE)],
)
def test_an_age_is_a_number_and_a_unit(text: str, ns: int) -> None:
    assert parse_age(text, 5 * MINUTE) == ns


@pytest.mark.parametrize("text", ["", "5", "bars", "0m", "-1h", "1.5h", "2 weeks"])
def test_anything_else_is_no_age(text: str) -> None:
    with pytest.raises(AgeError, match="is not an age; write a number and s, m, h, d or bars"):
        parse_age(text, MINUTE)


@pytest.mark.parametrize(("text", "minutes"), [("1m", 1), ("1h30m", 90), ("1d", 1440)])
def test_the_clock_of_a_report_is_read_back(text: str, minutes: int) -> None:
    assert parse_duration(text) == minutes * MINUTE


def test_sound_data_have_nothing_wrong(data: Path) -> None:
    context = Context(data=(data,))
    for name in ("feeds", "data", "fresh", "clock"):
        assert wrong(name, context) == []
    assert found("feeds", context)[0].detail == f"{data} holds bars.parquet."


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    context = Context(data=(tmp_path / "nothing",))
    assert wrong("feeds", context) == [("fail", f"{tmp_path}/nothing does not exist; market data are a folder.")]
    assert wrong("data", context) == []  # said once


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    context = Context(data=(tmp_path / "empty",))
    assert wrong("feeds", context) == [("fail", f"{tmp_path}/empty holds neither bars nor trades.")]
    ((status, detail),) = wrong("data", context)
    assert status == "fail"
    assert detail.startswith("empty: holds neither bars.* nor trades.*")


def test_what_a_run_would_refuse_is_told_with_its_row(data: Path) -> None:
    frame = market(240)
    frame.loc[5, "high"] = frame.loc[5, "low"] / 2.0
    frame.to_parquet(data / "bars.parquet", index=False)
    (finding,) = found("data", Context(data=(data,)))
    assert finding.status == "fail"
    assert "high" in finding.detail
    assert finding.advice == f"A run refuses this; `stratoquant data check {data}` lists everything."


def test_a_recording_is_never_too_old(data: Path) -> None:
    (finding,) = found("fresh", Context(data=(data,), now=END + 500 * 1440 * MINUTE))
    assert finding.status == "ok"
    assert "500d ago; taken for a recording" in finding.detail


@pytest.mark.parametrize(
    ("limit", "status"), [("2h", "ok"), ("121m", "ok"), ("10m", "fail"), ("10bars", "fail"), ("60bars", "ok")]
)
def test_a_feed_is_stale_beyond_the_age_that_was_given(data: Path, limit: str, status: str) -> None:
    (finding,) = found("fresh", Context(data=(data,), max_age=limit, now=END + 30 * MINUTE))
    assert finding.status == status
    if status == "fail":
        assert finding.detail == (
            f"market: the newest bar closed at 2024-03-05T01:00:00Z, 30m ago; older than {limit}: AAA since 30m ago, BBB since 30m ago."
        )


def test_one_symbol_that_stopped_is_named(data: Path) -> None:
    frame = market(240)
    stopped = (frame["symbol"] == "BBB") & (frame["timestamp"] >= frame["timestamp"].max() - pd.Timedelta(minutes=40))
    frame[~stopped].to_parquet(data / "bars.parquet", index=False)
    ((status, detail),) = wrong("fresh", Context(data=(data,), max_age="30m", now=END))
    assert status == "fail"
    assert "older than 30m: BBB since 41m ago." in detail


def test_a_time_that_is_too_many_bars_at_the_datas_clock_is_told(tmp_path: Path, data: Path) -> None:
    own = project(tmp_path / "own")
    settings = own / "config" / "kinematics.yml"
    settings.write_text(settings.read_text().replace("jump_window_bars: 2h", "jump_window_bars: 800d"))
    (detail,) = [detail for _, detail in wrong("clock", Context(folder=own, data=(data,)))]
    assert "does not fit bars of 1m (market)" in detail
    assert "jump_window_bars is 800d, which is 1152000 bars at the data's clock of 1m" in detail


def test_without_a_folder_it_is_the_sample_market(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path / "cache"))
    (finding,) = found("feeds")
    assert finding.status == "ok"
    assert f"which the first run simulates into {tmp_path}/cache/samples" in finding.detail
    assert [f.detail for f in found("data")] == ["There is no market data to read yet."]
    assert not (tmp_path / "cache").exists()
