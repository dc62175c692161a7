"""Trading time: which bars a market has, by its calendar or by the rhythm of its data, and that a closed market is no gap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dataflows.data.config import DataConfig
from drivers.feeds.check import check_dataset
from drivers.feeds.dataset import open_dataset
from drivers.feeds.description import parse_clock
from drivers.feeds.errors import DataError
from drivers.feeds.trading_time import ALWAYS, RHYTHM, always, bar_clock, trading_time
from drivers.report.scan import YEAR, BarTimes
from tests.dataflows.data.observed import market

SECOND, HOUR, DAY = 10**9, 3_600 * 10**9, 86_400 * 10**9


def ns(*times: str) -> np.ndarray:
    return pd.DatetimeIndex(pd.to_datetime(list(times), utc=True)).as_unit("ns").asi8


def closes(name: str, start: str, end: str, step: str) -> list[str]:
    """The bars of an exchange between two instants, as `07-02 17:00`."""
    length = parse_clock(step)
    time, by = trading_time(name, ns(start, end), length)
    assert by == name
    part = time.between(*ns(start, end).tolist())
    return [str(t)[5:16] for t in pd.to_datetime(part.closes)]


def test_an_early_close_a_holiday_and_a_weekend_of_new_york() -> None:
    """2 July 2024 is a whole day, the 3rd closes at 13:00 New York, the 4th is a holiday."""
    got = closes("XNYS", "2024-07-02T20:00Z", "2024-07-05T15:00Z", "1h")
    third = [f"07-03 {h}:00" for h in (14, 15, 16, 17)]  # 13:30 to 17:00 UTC
    assert got == ["07-02 20:00", *third, "07-05 14:00", "07-05 15:00"]
    assert closes("XNYS", "2024-07-02T00:00Z", "2024-07-09T00:00Z", "1d") == [f"07-0{d} 00:00" for d in (2, 3, 4, 6, 9)]


def test_summer_time_moves_the_session() -> None:
    winter = closes("XNYS", "2024-03-08T00:00Z", "2024-03-08T23:00Z", "1h")
    summer = closes("XNYS", "2024-03-11T00:00Z", "2024-03-11T23:00Z", "1h")
    assert (winter[0], winter[-1]) == ("03-08 15:00", "03-08 21:00")  # 14:30 to 21:00 UTC
    assert (summer[0], summer[-1]) == ("03-11 14:00", "03-11 20:00")


def test_a_lunch_break_is_closed() -> None:
    """Hong Kong trades 09:30 to 12:00 and 13:00 to 16:00 local time, 01:30 to 08:00 UTC."""
    got = closes("XHKG", "2024-03-11T00:00Z", "2024-03-11T12:00Z", "30m")
    assert len(got) == 5 + 6
    assert "03-11 04:00" in got
    assert "03-11 04:30" not in got
    assert "03-11 05:30" in got


def test_sessions_are_counted_and_the_last_bar_of_each_is_marked() -> None:
    time, _ = trading_time("XNYS", ns("2024-07-02T20:00Z", "2024-07-05T20:00Z"), HOUR)
    part = time.between(*ns("2024-07-02T14:00Z", "2024-07-05T20:00Z").tolist())
    assert part.bar_of_session.tolist() == [*range(7), *range(4), *range(7)]
    assert np.flatnonzero(part.is_last).tolist() == [6, 10, 17]
    assert np.unique(part.session).tolist() == [int(t // DAY) for t in ns("2024-07-02", "2024-07-03", "2024-07-05")]
    assert part.ordinal.tolist() == list(range(18))


def test_a_calendar_that_does_not_exist_is_refused_by_name() -> None:
    with pytest.raises(DataError, match="there is no exchange calendar NOSUCH"):
        trading_time("NOSUCH", ns("2024-07-02T20:00Z"), HOUR)
    with pytest.raises(DataError, match=r"there is no exchange calendar XNYSS; did you mean XNYS\?"):
        trading_time("XNYSS", ns("2024-07-02T20:00Z"), HOUR)


def test_the_rhythm_of_the_data_is_their_week() -> None:
    hours = pd.date_range("2024-01-07T23:00Z", "2024-03-01T20:00Z", freq="h")
    week = hours.day_of_week * 24 + hours.hour
    fx = hours[(week <= 4 * 24 + 21) | (week >= 6 * 24 + 22)]  # Sunday 21:00 to Friday 21:00
    fx = fx[~((fx > "2024-01-31T06:00Z") & (fx < "2024-01-31T13:00Z"))]  # an outage
    time, by = trading_time("", fx.as_unit("ns").asi8, HOUR)
    assert by == RHYTHM
    missing = np.setdiff1d(time.closes, fx.as_unit("ns").asi8)
    assert len(missing) == 6
    assert pd.to_datetime(missing)[0] == pd.Timestamp("2024-01-31T07:00")
    whole = np.arange(fx[0].value, fx[-1].value + 1, HOUR)
    for calendar, bars in ((ALWAYS, fx.as_unit("ns").asi8), ("", np.delete(whole, range(50, 90))), ("", whole[:400])):
        time, by = trading_time(calendar, bars, HOUR)
        assert by == ALWAYS
        np.testing.assert_array_equal(time.closes, whole[: len(time.closes)])


def write(folder: Path, opens: pd.DatetimeIndex, calendar: str) -> Path:
    rng = np.random.default_rng(4)
    price = np.round(100.0 * np.exp(np.cumsum(rng.normal(0.0, 1e-3, len(opens)))), 2)
    frame = pd.DataFrame({"timestamp": opens.as_unit("ns"), "symbol": "SPY", "open": price, "high": price, "low": price})
    folder.mkdir()
    frame.assign(close=price, volume=100.0).to_parquet(folder / "bars.parquet", index=False)
    (folder / "dataset.yml").write_text(f"calendar: {calendar}\n" if calendar else "")
    return folder


def test_a_market_that_closes_has_no_gaps_no_stale_bars_and_higher_bars_that_close(tmp_path: Path) -> None:
    """Daily bars of two years: all weekdays but the holidays of New York."""
    import exchange_calendars

    days = pd.DatetimeIndex(exchange_calendars.get_calendar("XNYS", start="2022-01-03", end="2023-12-29").sessions)
    for calendar, by in (("XNYS", "XNYS"), ("", RHYTHM)):
        data = open_dataset(write(tmp_path / f"d{calendar}", days.tz_localize("UTC"), calendar))
        assert (data.calendar, data.step, len(data), data.quality.missing) == (by, DAY, len(days), 0)
        made = market(data.rows(0, len(data)), data=DataConfig())
        assert made.quality.valid.all()
        assert made.quality.stale.max() == 0.0
        assert np.flatnonzero(made.bars_60.closed[:, 0]).tolist() == list(range(59, len(days), 60))
        assert made.session.is_last.all()
        a, b = data.time[100], data.time[200]
        cut = open_dataset(tmp_path / f"d{calendar}", start=int(a), end=int(b))
        np.testing.assert_array_equal(cut.time, data.time[101:201])
        for one, whole in zip(cut.rows(0, 100), data.rows(101, 201), strict=True):
            np.testing.assert_array_equal(one, whole)
    notes = check_dataset(tmp_path / "d").notes
    assert any("write `calendar: XNYS` in dataset.yml" in note for note in notes)
    regular = open_dataset(write(tmp_path / "always", days.tz_localize("UTC"), "24/7"))
    assert regular.quality.missing > 200


def test_bars_outside_of_the_sessions_are_left_out_and_counted(tmp_path: Path) -> None:
    hours = pd.date_range("2024-03-11T10:00Z", "2024-03-11T22:00Z", freq="h")
    folder = write(tmp_path / "x", hours, "XNYS")
    data = open_dataset(folder)
    assert (len(data), data.quality.while_closed) == (7, 6)
    assert any("6 bars lie outside of the sessions of XNYS" in note for note in check_dataset(folder).notes)
    (folder / "dataset.yml").write_text("calendar: NOSUCH\n")
    with pytest.raises(DataError, match="there is no exchange calendar NOSUCH"):
        open_dataset(folder)


def test_chunks_end_at_midnight_in_trading_time_too(tmp_path: Path) -> None:
    hours = pd.date_range("2024-03-04T14:00Z", "2024-03-15T20:00Z", freq="h")
    data = open_dataset(write(tmp_path / "x", hours, "XNYS"))
    cuts = list(data.cuts(10_000))
    assert [b - a for a, b in cuts] == [7] * 10
    assert all(len({int(t - 1) // DAY for t in data.time[a:b]}) == 1 for a, b in cuts)


def test_a_report_knows_the_close_of_each_bar_and_the_bars_of_a_year() -> None:
    time, _ = trading_time("XNYS", ns("2023-01-03T15:00Z", "2023-12-29T21:00Z"), HOUR)
    part = time.between(*ns("2023-01-03T15:00Z", "2023-12-29T21:00Z").tolist()).closes
    jumps = np.flatnonzero(np.diff(part) != HOUR) + 1
    clock = BarTimes(int(part[0]), HOUR, len(part), tuple((int(k), int(part[k])) for k in jumps))
    np.testing.assert_array_equal(clock.closes(np.arange(len(part))), part)
    np.testing.assert_array_equal(clock.bar(part), np.arange(len(part)))
    assert clock.bar(part[7:8] - 10 * HOUR).tolist() == [7]  # at night: the bar that opens next
    assert clock.last == part[-1]
    assert clock.bars_a_year == pytest.approx(250 * 7, rel=0.02)
    assert BarTimes(HOUR, HOUR, 100).bars_a_year == YEAR / HOUR


def test_the_last_bar_of_a_long_span_is_not_lost() -> None:
    first, last = ns("2022-01-04", "2023-12-30").tolist()
    assert int(always(first, last, DAY).closes[-1]) == last
    assert len(always(first, last, DAY).closes) == 726


@pytest.mark.parametrize(
    ("calendar", "step", "day", "week"),
    [
        ("XNYS", 60, 390, 1950),
        ("XNYS", 3_600, 7, 35),
        ("XNYS", 86_400, 1, 5),
        ("XTKS", 60, 300, 1500),
        ("24/7", 300, 288, 2016),
    ],
)
def test_a_usual_day_and_week_have_the_bars_that_the_exchange_is_open(calendar: str, step: int, day: int, week: int) -> None:
    closes = np.datetime64("2020-01-06T15:00", "ns").astype(np.int64) + step * SECOND * np.arange(3 * DAY // (step * SECOND))
    clock = bar_clock(
        calendar, trading_time(calendar, closes // (step * SECOND) * (step * SECOND), step * SECOND)[0], step * SECOND
    )
    assert (clock.seconds, clock.day, clock.week) == (step, day, week)
    days = {"XNYS": 251.5, "XTKS": 244.5, "24/7": 365.0}[calendar]  # sessions of 2016 to 2019, over four
    assert clock.days_a_year == days
