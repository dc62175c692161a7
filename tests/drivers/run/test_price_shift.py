"""A market whose price is below zero, from end to end: the same run as that of the shifted prices, but for cash and fees."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from dataflows.data.types import unknown_instruments
from drivers.pine.recorded import RecordedError, read_symbol
from drivers.run.batch import run_batch
from drivers.run.replay import replay
from drivers.run.request import RunRequest
from drivers.run.stream import run_stream
from drivers.run.venue_link import check_venue
from drivers.store.reader import open_run
from drivers.venues.base import VenueRefusal
from tests.drivers.run.test_stream import same, tables
from tests.drivers.small_market import EARLY, market

pytestmark = pytest.mark.usefixtures("no_disk")

SHIFT, TICK = 128.0, 1.0 / 64.0
FACTS = f"clock: 1m\ntick_size: {TICK}\nlot_size: 0.001\nkind: future\n"


def written(folder: Path, text: str, shift: float) -> Path:
    """The market on a grid that floats hold exactly, AAA `shift` lower: around -28."""
    frame = market(420)
    for name in ("open", "high", "low", "close"):
        frame[name] = np.round(frame[name] / TICK) * TICK - shift * (frame["symbol"] == "AAA")
    folder.mkdir()
    frame.to_parquet(folder / "bars.parquet", index=False)
    (folder / "dataset.yml").write_text(FACTS + text, encoding="utf-8")
    return folder


def ran(folder: Path, out: Path, run: object = run_batch) -> Path:
    request = RunRequest(data=folder, out=out, spec="prior_belief", overrides=EARLY, report=False)
    return run(request, Console(file=io.StringIO())).out  # type: ignore[operator, no-any-return]


def test_without_fees_it_is_the_run_of_the_shifted_prices(tmp_path: Path) -> None:
    free = "taker_fee_bps: 0\nmaker_fee_bps: 0\n"
    below = ran(written(tmp_path / "below", free + f"price_shift: {{AAA: {SHIFT}}}\n", SHIFT), tmp_path / "a")
    above = ran(written(tmp_path / "above", free, 0.0), tmp_path / "b")
    ours, theirs = tables(below), tables(above)
    for name in ("data", "kinematics", "regime", "pattern"):
        same(ours[f"features/{name}.parquet"], theirs[f"features/{name}.parquet"], name)
    with pytest.raises(
        RecordedError, match="prices of AAA have its price_shift of 128 added, and a chart shows them as quoted"
    ):
        read_symbol(open_run(below), "AAA")
    assert read_symbol(open_run(below), "BBB").symbol == "BBB"
    one, other = (pd.read_parquet(out / "fills.parquet") for out in (below, above))
    assert (one["symbol"] == "AAA").sum() > 10
    np.testing.assert_allclose(one["quantity"], other["quantity"], rtol=1e-9)
    for name in ("equity", "realised", "unrealised", "drawdown"):
        np.testing.assert_allclose(ours["ledger.parquet"][name], theirs["ledger.parquet"][name], rtol=1e-9, atol=1e-6)


def test_cash_and_fees_are_of_quoted_prices_in_a_run_a_stream_and_its_replay(tmp_path: Path) -> None:
    text = f"taker_fee_bps: 5\nmaker_fee_bps: 2\nprice_shift: {{AAA: {SHIFT}}}\n"
    folder = written(tmp_path / "data", text, SHIFT)
    out, streamed = ran(folder, tmp_path / "a"), ran(folder, tmp_path / "b", run_stream)
    fills, ledger = (pd.read_parquet(out / f"{name}.parquet") for name in ("fills", "ledger"))
    quoted = fills["price"] - SHIFT * (fills["symbol"] == "AAA")
    assert (quoted[fills["symbol"] == "AAA"] < 0.0).all()
    signed = np.where(fills["side"] == "BUY", 1.0, -1.0) * fills["quantity"]
    bps = np.where(fills["liquidity"] == "TAKER", 5.0, 2.0)
    np.testing.assert_allclose(fills["fee"], (signed * quoted).abs() * bps / 1e4, rtol=1e-9)
    cash = 100_000.0 - (signed * quoted).sum() - fills["fee"].sum()
    assert ledger["cash"].iloc[-1] == pytest.approx(cash, rel=1e-9)
    ours, theirs = tables(streamed), tables(out)
    for name in theirs:
        same(ours[name], theirs[name], name)
    assert replay(streamed).bars == 420


def test_a_venue_takes_no_orders_at_shifted_prices() -> None:
    plan: Any = SimpleNamespace(hints={"venue_events": None})
    facts = unknown_instruments(2)
    check_venue(plan, connected=True, instruments=facts)
    facts.price_shift[1] = 128.0
    with pytest.raises(VenueRefusal, match="prices have a price_shift, and a venue takes orders at quoted ones"):
        check_venue(plan, connected=True, instruments=facts)
