"""What people give as times, names and settings."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from drivers.feeds.source import Url
from stratoquant.arguments import names_of, ns_of, overrides_of, place_of

NOON = 1_746_100_800 * 10**9  # 2025-05-01T12:00:00Z


@pytest.mark.parametrize(
    "value",
    [
        "2025-05-01T12:00",
        "2025-05-01T14:00+02:00",
        dt.datetime(2025, 5, 1, 12),  # noqa: DTZ001  # without a zone is what is tried
        dt.datetime(2025, 5, 1, 12, tzinfo=dt.UTC),
        pd.Timestamp("2025-05-01T12:00"),
        pd.Timestamp("2025-05-01T14:00", tz="Europe/Berlin"),
    ],
)
def test_one_instant_in_many_forms(value: Any) -> None:
    assert ns_of("start", value) == NOON


def test_a_date_is_its_midnight() -> None:
    assert ns_of("start", dt.date(2025, 5, 1)) == ns_of("start", "2025-05-01") == NOON - 12 * 3_600 * 10**9
    assert ns_of("start", None) is None


@pytest.mark.parametrize(
    ("value", "kind"), [("noon", ValueError), (pd.NaT, (ValueError, TypeError)), (5, TypeError), ([1], TypeError)]
)
def test_what_is_no_time_is_named(value: Any, kind: Any) -> None:
    with pytest.raises(kind, match=r"time"):
        ns_of("start", value)


def test_a_place_is_a_path_or_a_url() -> None:
    assert place_of("market") == Path("market")
    assert place_of("~/market") == Path.home() / "market"
    assert place_of(Path("s3:/x")) == Path("s3:/x")
    assert place_of("s3://bucket/market") == Url("s3://bucket/market")


def test_names_are_a_text_or_a_list_of_texts() -> None:
    assert names_of("symbols", "BTC") == ("BTC",)
    assert names_of("symbols", ["BTC", "ETH"]) == ("BTC", "ETH")
    for wrong in ([], [1], [None]):
        with pytest.raises(TypeError, match=r"symbols is .* give a list of names"):
            names_of("symbols", wrong)


def test_settings_are_those_of_set() -> None:
    given = {"risk.gross": np.float64(0.5), "a.b": True, "a.c": [1, 2], "a.d": "x", "a.e": np.array([1.0])}
    assert overrides_of(given) == ("risk.gross=0.5", "a.b=true", "a.c=[1, 2]", "a.d=x", "a.e=[1.0]")
    with pytest.raises(TypeError, match=r"set: risk.gross is .* give a number"):
        overrides_of({"risk.gross": object()})
    with pytest.raises(TypeError, match="give a dict"):
        overrides_of(["risk.gross=1"])  # type: ignore[arg-type]
