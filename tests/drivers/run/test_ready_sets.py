"""The engine over recorded markets: trades, a crash, an exchange outage, and a real order book."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from dataflows.regime.types import REGIMES
from drivers.cli.common import utc_ns
from drivers.run.batch import RunResult, run_batch
from drivers.run.request import RunRequest
from drivers.store.summary import table

WARM_UP = 1440
"""Bars until the slow volatility is known, without which the gate lets nothing increase (docs: L2, L76, L83)."""


def ran(
    data: Path,
    out: Path,
    start: str | None = None,
    end: str | None = None,
    spec: str | None = "prior_belief",
    overrides: tuple[str, ...] = (),
) -> RunResult:
    """A slice of a set through the batch driver, its progress bar unseen."""
    request = RunRequest(data=data, out=out, start=utc_ns(start), end=utc_ns(end), spec=spec, overrides=overrides)
    return run_batch(request, Console(file=io.StringIO()))


def frame(run: RunResult, name: str) -> pd.DataFrame:
    """A results file by time."""
    return pq.read_table(run.out / f"{name}.parquet").to_pandas().set_index("timestamp")


def shown(run: RunResult) -> str:
    """The summary as the terminal has it."""
    console = Console(file=io.StringIO(), width=240)
    console.print(table(run.summary))
    return str(console.file.getvalue())  # type: ignore[attr-defined]


def whole(run: RunResult) -> None:
    """What every run's results must be: complete, without an impossible number, the summary that of the tables."""
    told = json.loads((run.out / "run.json").read_text(encoding="utf-8"))
    orders, fills, ledger = (frame(run, name) for name in ("orders", "fills", "ledger"))
    assert told["summary"]["fills"] == run.summary["fills"] == len(fills)
    assert run.summary["orders"]["total"] == len(orders)
    assert len(ledger) == run.summary["bars"] * len(run.summary["symbols"])
    for name in ("cash", "equity", "position", "gross", "drawdown"):
        assert np.isfinite(ledger[name]).all()
    assert (fills["quantity"] > 0.0).all()
    assert np.isfinite(fills[["price", "fee"]]).all(axis=None)
    assert set(fills["order_id"]) <= set(orders["order_id"])
    signed = np.where(fills["side"] == "BUY", 1.0, -1.0) * fills["quantity"]
    for symbol in run.summary["symbols"]:
        held = ledger["position"][ledger["symbol"] == symbol].iloc[-1]
        assert signed[fills["symbol"] == symbol].sum() == pytest.approx(held, abs=1e-6 * fills["quantity"].max())
    paid = (signed * fills["price"]).sum() + fills["fee"].sum()
    assert ledger["cash"].iloc[-1] == pytest.approx(run.summary["account"]["start_equity"] - paid, rel=1e-9)


# -- perpetuals -----------------------------------------------------------------------------------------------------------------


def test_with_a_prior_belief_perpetuals_are_traded(shared_data: Path, tmp_path: Path) -> None:
    run = ran(shared_data / "perps_2025-05", tmp_path / "out", "2025-05-04", "2025-05-06T12:00")
    whole(run)
    assert run.summary["fills"] > 50
    assert set(run.summary["orders"]["by_type"]) >= {"MARKET", "STOP_MARKET", "TAKE_PROFIT"}
    fills, ledger = frame(run, "fills"), frame(run, "ledger")
    assert fills["symbol"].nunique() == 5
    assert fills.index.min() >= ledger.index[0] + pd.Timedelta(minutes=WARM_UP)
    assert (ledger["gross"] <= 1.05 * ledger["equity"]).all()  # risk.gross is 1; prices move after the decision
    decisions = frame(run, "decisions")
    early = decisions[decisions.index < ledger.index[0] + pd.Timedelta(minutes=WARM_UP - 1)]  # the first close is bar 1
    assert (early["target_weight"] == 0.0).all()
    sided = early[early["side"].isin(["LONG", "SHORT"]) & (early["may_enter"] == 1)]
    assert sided["reasons"].str.contains("INSTRUMENT_CAP").mean() > 0.99  # how much a day trades is not known yet


def test_with_nothing_learned_nothing_is_traded_and_the_summary_says_why(shared_data: Path, tmp_path: Path) -> None:
    run = ran(shared_data / "perps_2025-05", tmp_path / "out", "2025-05-04", "2025-05-06T12:00", spec=None)
    whole(run)
    assert (run.summary["orders"]["total"], run.summary["fills"]) == (0, 0)
    asked = run.summary["proposals"]
    assert asked["may_not_enter"] == asked["with_an_edge"] > 1000
    assert asked["by_refusal"]["NOT_LEARNED"] > 1000
    assert asked["by_refusal"]["EDGE_BELOW_COST"] + asked["by_refusal"]["EDGE_UNCERTAIN"] == asked["with_an_edge"]
    text = shown(run)
    assert f"{asked['with_an_edge']}, of which {asked['with_an_edge']} may not enter" in text
    assert "Why proposals may not enter: " in text
    assert "NOT_LEARNED" in text


# -- a crash and an outage ------------------------------------------------------------------------------------------------------


def test_the_day_of_the_crash_is_chaotic_and_the_gate_says_what_it_refused(shared_data: Path, tmp_path: Path) -> None:
    run = ran(shared_data / "crash_2021-05", tmp_path / "out", "2021-05-17T12:00", "2021-05-20")
    whole(run)
    regime, kill = frame(run, "features/regime"), frame(run, "features/risk")
    crash = slice("2021-05-19T10:00", "2021-05-19T16:00")
    before = slice("2021-05-18T00:01", "2021-05-18T23:59")
    chaotic = regime["l1_regime.label"] == REGIMES.index("CHAOTIC")
    assert chaotic[crash].mean() > 0.1 > 3.0 * chaotic[before].mean()
    for symbol in run.summary["symbols"]:
        assert chaotic[crash][regime[crash]["symbol"] == symbol].any()
    assert run.summary["regimes"]["CHAOTIC"] == pytest.approx(chaotic.mean())
    decisions = frame(run, "decisions")[crash]
    refused = decisions[decisions["verdict"].isin(["REJECTED", "REDUCED"])]
    assert len(refused) > 100
    assert (refused["reasons"] != "").all()
    why = set("|".join(refused["reasons"]).split("|"))
    assert why >= {"NOT_PERMITTED", "VOLATILITY_TARGET"}
    assert (kill["l81_kill_switch.overall"][crash] > 0).any()
    assert run.summary["kill_switch_bars"]["HALT"] > 0
    for reason in ("NOT_PERMITTED", "HALTED"):
        assert reason in shown(run)
    halted = kill["l81_kill_switch.overall"].groupby(level=0).first()
    held = frame(run, "ledger").pivot(columns="symbol", values="position")
    # an order of the bar before may still fill in the first bar of a halt; after that positions only shrink
    quiet = (halted > 0) & (halted.shift(1) > 0) & (halted.shift(2) > 0)
    grown = held.abs() > held.shift(1).abs() + 1e-9
    assert not grown[quiet].any(axis=None)


def test_in_an_outage_bars_are_filled_then_unknown_and_nothing_is_traded(shared_data: Path, tmp_path: Path) -> None:
    held_on = ("fusion.leave_cost=50", "fusion.entry_min_t=0.5")  # so that something is held when the outage begins
    run = ran(shared_data / "crash_2021-05", tmp_path / "out", "2021-04-23T12:00", "2021-04-25T20:00", overrides=held_on)
    whole(run)
    market = frame(run, "features/data")
    for symbol, minute in (("BTCUSDT", 1), ("DOGEUSDT", 1), ("ETHUSDT", 1), ("XRPUSDT", 2)):
        mine = market[market["symbol"] == symbol].filter(like="l0_market_feed")
        last = pd.Timestamp("2021-04-25T04:00", tz="UTC") + pd.Timedelta(minutes=minute)
        again = pd.Timestamp("2021-04-25T08:46", tz="UTC")
        gap = mine[(mine.index > last) & (mine.index < again)]
        close, filled = gap["l0_market_feed.bars.close"], gap["l0_market_feed.quality.filled"]
        assert len(gap) == 285 - minute
        assert (gap["l0_market_feed.quality.missing"] == 1).all()
        assert (gap["l0_market_feed.quality.valid"] == 0).all()
        assert filled.tolist() == [1] * 5 + [0] * (len(gap) - 5)  # data.max_gap
        assert (close[:5] == mine["l0_market_feed.bars.close"][last]).all()
        assert (gap["l0_market_feed.bars.volume"][:5] == 0.0).all()
        assert close[5:].isna().all()
        np.testing.assert_array_equal(gap["l0_market_feed.quality.stale"], np.arange(1, len(gap) + 1))
        assert mine["l0_market_feed.quality.valid"][last] == mine["l0_market_feed.quality.valid"][again] == 1
    dark = slice("2021-04-25T04:03", "2021-04-25T08:45")
    fills, ledger = frame(run, "fills"), frame(run, "ledger")
    assert len(fills[:"2021-04-25T04:00"]) > 20
    assert fills[dark].empty
    held = ledger[dark].groupby("symbol", observed=True)["position"]
    assert (held.nunique() == 1).all()
    assert (held.first().abs() > 0.0).any()  # there was something to lose
    assert ledger[dark]["equity"].nunique() == 1  # marked at the last price that was known
    assert len(fills["2021-04-25T08:46":]) > 20
    assert (frame(run, "decisions")[dark]["verdict"] != "APPROVED").all()


# -- an order book --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", [None, "prior_belief"])
def test_a_recorded_book_shows_spreads_and_depth_of_the_book(shared_data: Path, tmp_path: Path, spec: str | None) -> None:
    run = ran(shared_data / "book_2025-09-04", tmp_path / "out", spec=spec)
    whole(run)
    assert run.summary["data_quality"]["missing"] < 0.01 * 2 * run.summary["bars"]
    seen = frame(run, "features/microstructure")
    close = frame(run, "features/data")["l0_market_feed.bars.close"]
    spread, mid = seen["l8_spread_depth.spread_bps"], seen["l8_spread_depth.mid"]
    assert (seen["l8_spread_depth.proxied"] == 0).all()
    assert spread.notna().mean() > 0.99
    assert spread.min() > 0.0
    assert 0.05 < spread.median() < 0.5  # one tick of either is 0.09 and 0.23 basis points
    assert np.nanmax(np.abs(np.log(mid.to_numpy() / close.to_numpy()))) < 0.005
    micro = seen["l8_spread_depth.microprice"]
    assert ((micro - mid).abs() <= 0.5001e-4 * spread * mid)[micro.notna()].all()
    for side in ("bid", "ask"):
        assert (seen[f"l8_spread_depth.{side}_depth"].dropna() > 0.0).all()
    slippage = [seen[name].dropna() for name in seen if name.startswith("l63_tradeability.slippage_bps.")]
    assert len(slippage) == 3
    assert len(slippage[0]) > 0.99 * len(seen)
    assert slippage[0].median() < 0.5
    assert (slippage[1] >= slippage[0] - 1e-9).all()
    assert (slippage[2] >= slippage[1] - 1e-9).all()
    assert seen["l63_tradeability.liquidity_class"].isin([-1, 0, 1, 2]).all()
    assert (seen["l63_tradeability.avoid"] == 1).mean() < 0.15
    assert run.summary["fills"] == 0  # half an hour: what a trade costs is known after one, usual volatility after a day
