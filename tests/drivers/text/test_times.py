"""Times and lengths of time, against pandas and worked by hand."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.text.times import duration, parse_duration, parse_utc, rounded_duration, stamp, utc

NOON = pd.Timestamp("2026-03-01T12:00Z").value


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (-1, "1969-12-31T23:59:59.999999999Z"),
        (NOON, "2026-03-01T12:00:00Z"),
        (NOON + 1_500_000, "2026-03-01T12:00:00.0015Z"),
        (10**24, "1000000000000000000000000 ns"),
    ],
)
def test_a_time_has_as_many_digits_as_it_needs(ns: int, text: str) -> None:
    assert utc(ns) == text


@given(st.integers(-(2**62), 2**62))
def test_a_time_is_that_of_pandas(ns: int) -> None:
    assert pd.Timestamp(utc(ns)).value == ns
    assert stamp(ns) == pd.Timestamp(ns, tz="UTC").floor("s").strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize(
    "text", ["2026-03-01", "2026-03-01T12:00", "2026-03-01T12:00:30.25", "2026-03-01T13:00+01:00", "1969-07-20T20:17:40Z"]
)
def test_a_written_time_is_read_as_pandas_reads_it(text: str) -> None:
    found = pd.Timestamp(text)
    assert parse_utc(text) == (found.tz_localize("UTC") if found.tzinfo is None else found).as_unit("ns").value


@pytest.mark.parametrize("text", ["", "noon", "12:00", "2026-13-01", "01.03.2026"])
def test_anything_else_is_not_a_time(text: str) -> None:
    with pytest.raises(ValueError, match="is not a time; write 2026-03-01 or 2026-03-01T12:00"):
        parse_utc(text)


@pytest.mark.parametrize(
    ("text", "seconds"), [("1s", 1), ("90s", 90), ("15m", 900), ("4h", 14_400), ("1d", 86_400), ("1h30m", 5_400)]
)
def test_a_duration_is_numbers_with_units(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds * 1_000_000_000


@pytest.mark.parametrize("text", ["", "1", "m", "0m", "-1m", "1.5m", "1w", " 1m", "1m,"])
def test_anything_else_is_not_a_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; write a number and s, m, h or d"):
        parse_duration(text)


@given(st.integers(1, 10**7))
def test_a_written_duration_is_read_back(seconds: int) -> None:
    assert parse_duration(duration(seconds * 1_000_000_000)) == seconds * 1_000_000_000


@pytest.mark.parametrize(("ns", "text"), [(60 * 10**9, "1m"), (17_100 * 10**9, "4h45m"), (5, "5 ns"), (0, "0 ns")])
def test_a_duration_is_written_in_whole_units(ns: int, text: str) -> None:
    assert duration(ns) == text


def test_a_rounded_duration_has_two_units() -> None:
    assert rounded_duration((13 * 86_400 + 4 * 3_600 + 59 * 60) * 1e9) == "13 d 4 h"
