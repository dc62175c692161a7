"""Runs at an exchange's days and hours, of a currency without volume and of seconds: nothing halts and prices are measured."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import exchange_calendars
import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from drivers.feeds.trading_time import sessions
from drivers.run.batch import run_batch
from drivers.run.request import RunRequest

BARS = 420
SHORT = (
    "l11_", "l12_", "l13_", "l14_", "l15_", "l16_", "l18_", "l51_", "l55_", "l76_", "l77_", "l83_", "l84_",
    "l1_regime.calm", "l1_regime.trend_up", "l2_returns_volatility.sigma", "l2_returns_volatility.r_1", "l8_spread_depth.mid",
)  # fmt: skip
"""Columns of prices of the base bars: their windows are shorter than BARS at every clock."""


def opens(calendar: str, step: int) -> Any:
    """Opens of BARS bars in trading time from 2023 on."""
    if calendar == "XNYS" and step == 86_400:
        return exchange_calendars.get_calendar("XNYS", start="2022-01-03", end="2024-12-31").sessions[:BARS].tz_localize("UTC")
    if calendar == "XNYS":
        first, last = (pd.Timestamp(day).value for day in ("2023-01-03", "2023-06-30"))
        begin, end, _ = sessions("XNYS", first, last)
        hours = [np.arange(a // 10**9 // step * step, b // 10**9, step) for a, b in zip(begin, end, strict=True)]
        return pd.to_datetime(np.concatenate(hours)[:BARS], unit="s", utc=True)
    every = pd.date_range("2023-01-02", periods=2 * BARS, freq=f"{step}s", tz="UTC")
    return every[:BARS] if step < 3_600 else every[every.dayofweek < 5][:BARS]


def folder(out: Path, calendar: str, step: int, volume: float) -> Path:
    time = opens(calendar, step)
    rng = np.random.default_rng(4)
    sigma = 0.01 * np.sqrt(step / 86_400)
    path = np.cumsum(rng.normal(0.0, sigma / 4.0, BARS * 16)).reshape(BARS, 16)
    tick = 100.0 * np.exp(path)
    frame = pd.DataFrame(
        {"timestamp": time, "symbol": "ABC", "open": tick[:, 0], "high": tick.max(axis=1), "low": tick.min(axis=1)}
    )
    frame = frame.assign(close=tick[:, -1], volume=volume * rng.lognormal(0.0, 0.3, BARS))
    out.mkdir()
    frame.to_parquet(out / "bars.parquet")
    (out / "dataset.yml").write_text(f"clock: {step}s\ncalendar: {calendar}\n" if calendar else f"clock: {step}s\n")
    return out


@pytest.mark.parametrize(
    ("calendar", "step", "volume", "day", "pace"),
    [("XNYS", 86_400, 1e6, 1, 1), ("XNYS", 3_600, 1e5, 7, 1), ("", 3_600, np.nan, 24, 1), ("24/7", 1, 1e3, 86_400, 60)],
    ids=["daily equities", "hourly equities", "hourly currency without volume", "seconds"],
)
def test_a_run_at_another_clock(tmp_path: Path, calendar: str, step: int, volume: float, day: int, pace: int) -> None:
    request = RunRequest(
        data=folder(tmp_path / "data", calendar, step, volume),
        out=tmp_path / "out",
        overrides=(f"data.pace={pace}",),
        report=False,
    )
    out = run_batch(request, Console(file=io.StringIO())).out
    about = json.loads((out / "run.json").read_text())
    assert (about["clock"]["seconds"], about["clock"]["day"], about["bars"]) == (step, day, BARS)
    assert about["configuration"]["data"]["bars_a_day"] == day

    risk = pd.read_parquet(out / "features" / "risk.parquet")
    assert (risk["l81_kill_switch.level"][-BARS // 4 :] == 0).mean() > 0.9
    assert np.isfinite(risk["l83_volatility_target.fraction"][-BARS // 4 :]).all()
    seen = [
        (name, np.isfinite(column.to_numpy()[-BARS // 4 :]).mean())
        for domain in ("kinematics", "regime", "microstructure", "risk")
        for name, column in pd.read_parquet(out / "features" / f"{domain}.parquet").items()
        if column.dtype.kind == "f" and name.startswith(SHORT) and not name.endswith(("_15", "_60", "_slow"))
    ]
    assert len(seen) > 40
    assert [name for name, known in seen if known < 0.9] == []
