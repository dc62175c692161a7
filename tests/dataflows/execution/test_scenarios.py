"""Bad days, drawn and real, through the whole graph: what the gate says, what the venue does, and what is left of the account.

The drawn market trends to and fro, so that the built-in belief holds positions; each scenario breaks it at a bar at which the first
symbol is held long, and is compared with the same market unbroken.
"""

from __future__ import annotations

import functools
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from dataflows.data.sessions import utc_days
from dataflows.data.types import OPERATOR_CASH_FLOW, Instruments, Observations
from dataflows.execution.types import FILL, REJECT, REJECTIONS
from dataflows.fusion.types import EDGE_PARTS
from dataflows.regime.types import REGIMES
from dataflows.risk.types import APPROVED, EXIT, EXITS, FLATTEN, HALT, KILL_REASONS, REDUCED, RUN
from drivers.cli.common import utc_ns
from drivers.engine.chunk import Chunk, Outputs, cut
from drivers.engine.plan import Plan
from drivers.run.batch import run_batch
from drivers.run.request import RunRequest
from drivers.store.reader import RecordedRun, open_run
from tests.dataflows.execution.double_entry import DoubleEntry
from tests.properties.graph import BELIEF, engine_of, flat, plan_of, run
from tests.properties.market import MIDNIGHT, MINUTE, instruments

BARS, SYMBOLS, DEPTH = 1300, 2, 5
CAP = "risk.cap_volume_bars=240"
START = 100_000.0


def quiet(seed: int = 1) -> Observations:
    """Two symbols with books that trend for six hours up, six hours down, without a defect."""
    rng = np.random.default_rng(seed)
    shape = (BARS, SYMBOLS)
    drift = 4e-4 * np.sign(np.sin(np.arange(BARS) / 120.0 + 0.5))[:, None]
    close = np.exp(np.log(50.0 * 3.0 ** np.arange(SYMBOLS)) + np.cumsum(drift + 8e-4 * rng.normal(0, 1, shape), axis=0))
    opened = np.vstack([close[:1], close[:-1]])
    wick = np.exp(8e-4 * np.abs(rng.normal(0, 0.5, (2, *shape))))
    high, low = np.maximum(opened, close) * wick[0], np.minimum(opened, close) / wick[1]
    volume = rng.gamma(4.0, 60_000.0 / close)
    levels = np.arange(DEPTH) * 1e-4
    size = np.ones((*shape, DEPTH)) * (20_000.0 / close)[:, :, None]
    none = np.zeros(shape, np.int64)
    return Observations(
        time=MIDNIGHT + MINUTE * (np.arange(1, BARS + 1) - 900),
        **utc_days(MIDNIGHT + MINUTE * (np.arange(1, BARS + 1) - 900), MINUTE),
        open=opened,
        high=high,
        low=low,
        close=close,
        volume=volume,
        vwap=0.5 * (high + low),
        trade_count=np.full(shape, 30.0),
        buy_volume=0.5 * volume,
        buy_count=np.full(shape, 15.0),
        bid_price=(close * (1.0 - 2e-4))[:, :, None] * (1.0 - levels),
        bid_size=size,
        ask_price=(close * (1.0 + 2e-4))[:, :, None] * (1.0 + levels),
        ask_size=size.copy(),
        book_age=np.zeros(shape),
        ofi=np.zeros((*shape, DEPTH)),
        funding_rate=np.zeros(shape),
        listed=none + 1,
        duplicates=none,
        late=none,
    )


def plan(*more: str) -> Plan:
    return plan_of((*BELIEF, CAP, *more))


def through(data: Observations, *more: str, facts: Instruments | None = None) -> dict[str, dict[str, Any]]:
    """Every layer's fields over a market."""
    return flat(plan(*more), run(engine_of(plan(*more), facts or instruments(SYMBOLS), DEPTH), data))


@functools.cache
def unbroken() -> dict[str, dict[str, Any]]:
    return through(quiet())


@functools.cache
def held_long_at() -> int:
    """A bar at which the first symbol is long, has been for ten bars, and would be for ten more."""
    position = unbroken()["l97_ledger"]["position"][:, 0]
    long = position > 0.0
    for t in range(650, BARS - 300):
        if long[t - 10 : t + 11].all() and unbroken()["l81_kill_switch"]["overall"][t - 60 : t].max() == RUN:
            return t
    raise AssertionError("the drawn market holds no position to break")


def moved(data: Observations, s: int, rows: slice, factor: Any, opens: Any = None) -> Observations:
    """Prices of a symbol in these bars, book included, times a factor; opens: another factor for the open."""
    data = data._replace(**{f: getattr(data, f).copy() for f in (*PRICES, *BOOK)})
    factor = np.broadcast_to(np.asarray(factor, float), (len(range(*rows.indices(BARS))),))
    for f in PRICES:
        getattr(data, f)[rows, s] *= factor
    for f in BOOK:
        getattr(data, f)[rows, s] *= factor[:, None]
    if opens is not None:
        data.open[rows, s] *= np.asarray(opens) / factor
    first = rows.start
    data.open[first, s] = data.close[first - 1, s] if opens is None else data.open[first, s]
    end = min(rows.stop if rows.stop is not None else BARS, BARS - 1)
    data.open[end, s] = data.close[end - 1, s]
    data.high[first - 1 :, s] = np.maximum.reduce([x[first - 1 :, s] for x in (data.open, data.high, data.close)])
    data.low[first - 1 :, s] = np.minimum.reduce([x[first - 1 :, s] for x in (data.open, data.low, data.close)])
    return data


PRICES, BOOK = ("open", "high", "low", "close", "vwap"), ("bid_price", "ask_price")


def grows(found: dict[str, dict[str, Any]], rows: slice, s: int) -> bool:
    """Whether a position grew from one of these bars to the next."""
    size = np.abs(found["l97_ledger"]["position"][rows, s])
    return bool((np.diff(size) > 1e-9 * size[:-1]).any())


def adds_up(found: dict[str, dict[str, Any]]) -> None:
    """Equity is the start and every symbol's profit, and the profit is its sources'."""
    ledger, audit = found["l97_ledger"], found["l100_decision_audit"]
    made = audit["profit"].sum()
    assert ledger["equity"][-1] == pytest.approx(START + ledger["cash_flows"][-1] + made, rel=1e-9)
    assert np.isfinite(ledger["equity"]).all()
    traded = audit["filled_notional"] > 0.0
    parts = sum(audit[k] for k in ("delay_bps", "spread_bps", "impact_bps", "fee_bps"))
    assert (audit["shortfall_bps"][traded] == parts[traded]).all()


def test_the_unbroken_market_is_traded_and_adds_up() -> None:
    found = unbroken()
    assert (found["l97_ledger"]["position"] != 0.0).mean() > 0.3
    assert held_long_at() > 0
    adds_up(found)


def test_a_gap_through_the_stop_fills_at_the_open_and_locks_the_side_out() -> None:
    t = held_long_at()
    stop = unbroken()["l96_order_lifecycle"]["stop_price"][t, 0]
    data = quiet()
    gap = 0.9 * stop / data.open[t + 1, 0]
    found = through(moved(data, 0, slice(t + 1, None), gap, opens=gap))
    ledger, audit, exits = found["l97_ledger"], found["l100_decision_audit"], found["l94_position_exits"]
    held = unbroken()["l97_ledger"]["position"][t, 0]
    assert (ledger["position"][t, 0], ledger["position"][t + 1, 0]) == (held, 0.0)
    assert EXITS[exits["reason"][t + 1, 0]] in ("STOP", "TRAIL")
    expected = (stop - 0.9 * stop) / (0.9 * stop) * 1e4
    assert audit["delay_bps"][t + 1, 0] > 0.9 * expected, "from the stop to the open is the price of the gap"
    assert not grows(found, slice(t + 1, t + 10), 0)
    if EXITS[exits["reason"][t + 1, 0]] == "STOP":
        long_again = ledger["position"][t + 2 : t + 60, 0] > 0.0
        assert not long_again.any(), "the side is locked out"
    adds_up(found)


def test_a_flash_crash_is_stopped_out_called_chaotic_and_halts_entries() -> None:
    t = held_long_at()
    path = np.concatenate([np.linspace(0.94, 0.78, 4), np.linspace(0.80, 0.97, 8)])
    found = through(moved(quiet(), 0, slice(t + 1, t + 13), path))
    ledger = found["l97_ledger"]["position"][:, 0]
    assert ledger[t] > 0.0
    assert ledger[t + 2] == 0.0
    label, level = found["l1_regime"]["label"][:, 0], found["l81_kill_switch"]["level"][:, 0]
    assert REGIMES[label[t + 1]] == "CHAOTIC"
    assert (level[t + 1 : t + 30] >= HALT).all()
    assert found["l81_kill_switch"]["reason"][t + 1, 0] >> KILL_REASONS.index("CHAOTIC") & 1
    verdict = found["l4_risk_gate"]["verdict"][t + 1 : t + 30, 0]
    assert not np.isin(verdict, [APPROVED, REDUCED]).any()
    assert not grows(found, slice(t + 3, t + 30), 0)
    loss = unbroken()["l97_ledger"]["equity"][t] - found["l97_ledger"]["equity"][t + 2]
    worth = unbroken()["l97_ledger"]["position"][t, 0] * unbroken()["l97_ledger"]["mark"][t, 0]
    assert 0.0 < loss < 0.12 * worth + 0.05 * START, "not the whole fall: the stop went first"
    adds_up(found)


def test_a_spike_of_volatility_shrinks_what_is_approved() -> None:
    t = held_long_at()
    rng = np.random.default_rng(4)
    noise = np.exp(np.cumsum(rng.normal(0.0, 0.006, 200)) - 0.0)
    found = through(moved(quiet(), 0, slice(t + 1, t + 201), noise))
    cap, calm = found["l83_volatility_target"]["fraction"][:, 0], unbroken()["l83_volatility_target"]["fraction"][:, 0]
    assert cap[t] == calm[t]
    assert np.nanmax(cap[t + 60 : t + 200]) < 0.6 * np.nanmin(calm[t + 60 : t + 200])
    target = np.abs(found["l4_risk_gate"]["target_weight"][:, 0])
    assert (target[t + 60 : t + 200] <= cap[t + 60 : t + 200] * (1.0 + 1e-9) + 1e-12).all()
    distance = found["l84_stop_levels"]["stop_distance"][:, 0]
    assert distance[t + 120] > 2.0 * distance[t]
    adds_up(found)


def test_when_liquidity_dries_up_nothing_is_entered_and_exits_go_out_bit_by_bit() -> None:
    t = held_long_at()
    data = quiet()
    held = unbroken()["l97_ledger"]["position"][t, 0]
    thin = data._replace(
        volume=data.volume.copy(),
        buy_volume=data.buy_volume.copy(),
        bid_size=data.bid_size.copy(),
        ask_size=data.ask_size.copy(),
    )
    rows = slice(t + 1, t + 121)
    thin.volume[rows, 0] = held / 8.0
    thin.buy_volume[rows, 0] = held / 16.0
    for book in (thin.bid_size, thin.ask_size):
        book[rows, 0] *= 1e-4
    down = np.linspace(0.999, 0.93, 120)
    found = through(moved(thin, 0, rows, down))
    position = found["l97_ledger"]["position"][:, 0]
    avoid = found["l63_tradeability"]["avoid"][:, 0]
    assert avoid[t + 5 : t + 121].mean() > 0.9
    assert not grows(found, slice(t + 3, t + 121), 0)
    going = np.flatnonzero(np.diff(position[t : t + 121]) < 0.0)
    assert len(going) > 3, "the way out takes several bars"
    assert (-np.diff(position[t : t + 121]) <= held / 8.0 * (1.0 + 1e-9)).all(), "never more than the bar traded"
    assert position[t + 121] < 0.01 * held
    adds_up(found)


def test_in_an_outage_the_position_is_held_its_stop_stays_and_the_way_out_is_first() -> None:
    t = held_long_at()
    data = quiet()
    dark = data._replace(**{f: getattr(data, f).copy() for f in (*PRICES, *BOOK, "volume", "bid_size", "ask_size")})
    rows = slice(t + 1, t + 31)
    for f in (*PRICES, *BOOK, "volume", "bid_size", "ask_size"):
        getattr(dark, f)[rows, 0] = np.nan
    stop = unbroken()["l96_order_lifecycle"]["stop_price"][t, 0]
    low = 0.95 * stop / data.open[t + 31, 0]
    found = through(moved(dark, 0, slice(t + 31, None), low, opens=low))
    ledger, orders = found["l97_ledger"], found["l96_order_lifecycle"]
    held = ledger["position"][t, 0]
    assert (ledger["position"][rows, 0] == held).all()
    assert (ledger["mark"][rows, 0] == ledger["mark"][t, 0]).all()
    assert ledger["mark_age"][t + 30, 0] == 30.0
    assert (orders["stop_id"][rows, 0] != 0).all()
    level = found["l81_kill_switch"]["level"][:, 0]
    assert (level[t + 5 : t + 31] >= HALT).all()
    assert not np.isin(found["l4_risk_gate"]["verdict"][t + 5 : t + 31, 0], [APPROVED, REDUCED]).any()
    assert ledger["position"][t + 31, 0] == 0.0, "the first price that is known is beyond the stop: it fills there"
    price = found["l100_decision_audit"]["delay_bps"][t + 31, 0]
    assert price > 0.0
    adds_up(found)


STORM = ("execution.extra_latency_bars=1", "execution.style_limit_ratio=0.000001", "execution.style_post_ratio=1000000")


def test_a_storm_of_rejects_halts_all_until_the_operator_speaks() -> None:
    """Limit orders that reach the venue a bar late, at a venue whose price band is narrower than a bar's move."""
    facts = instruments(SYMBOLS)._replace(price_band_bps=np.full(SYMBOLS, 1.0))
    found = through(quiet(), *STORM, facts=facts)
    log = found["l90_fills"]
    refused = {REJECTIONS[int(r)] for k, r in zip(log["kind"], log["reason"], strict=True) if k == REJECT}
    assert "PRICE_BAND" in refused
    overall = found["l81_kill_switch"]["overall"]
    latched = np.flatnonzero(found["l81_kill_switch"]["overall_reason"] >> KILL_REASONS.index("REJECTS") & 1)
    assert len(latched)
    first = int(latched[0])
    assert found["l96_order_lifecycle"]["rejects"][: first + 1].sum() >= 5
    assert (overall[first:] >= HALT).all(), "latched"
    for s in range(SYMBOLS):
        assert not grows(found, slice(first + 3, BARS), s)
    assert not np.isin(found["l4_risk_gate"]["verdict"][first:], [APPROVED]).any()
    adds_up(found)


def cash_taken(at: int, left: float) -> dict[str, dict[str, Any]]:
    """The quiet market, with all but `left` of the equity taken out of the account at a bar."""
    data = quiet()
    amount = -(unbroken()["l97_ledger"]["equity"][at] - left)
    engine = engine_of(plan(), instruments(SYMBOLS), DEPTH)
    midnight = int(np.flatnonzero(np.diff((data.time - 1) // engine.epoch_ns))[0]) + 1
    outputs: list[Outputs] = []
    for a, b in ((0, midnight), (midnight, BARS)):
        operator, money = np.zeros(b - a, np.int64), np.zeros(b - a)
        if a <= at < b:
            operator[at - a], money[at - a] = OPERATOR_CASH_FLOW, amount
        outputs.append(engine.advance(Chunk(data.time[a:b], {"observations": cut(data, Observations, a, b)}, operator, money)))
    return flat(plan(), outputs)


@pytest.mark.parametrize("left", [0.0, -500.0])
def test_at_no_equity_and_below_everything_is_closed_and_nothing_is_entered(left: float) -> None:
    t = held_long_at()
    found = cash_taken(t, left)
    ledger, gate, kill = found["l97_ledger"], found["l4_risk_gate"], found["l81_kill_switch"]
    assert ledger["equity"][t] == pytest.approx(left, abs=1e-6)
    assert ledger["drawdown"][t + 1] == (1.0 if ledger["equity"][t + 1] <= 0.0 else ledger["drawdown"][t + 1])
    if left < 0.0:
        assert kill["overall"][t] == FLATTEN
        assert gate["verdict"][t, 0] == EXIT
        assert (ledger["position"][t + 2 :] == 0.0).all()
        assert (kill["overall"][t:] == FLATTEN).all(), "latched"
    for s in range(SYMBOLS):
        assert not grows(found, slice(t + 2, t + 100), s)
    assert not np.isin(gate["verdict"][t : t + 1], [APPROVED]).any()
    assert np.isfinite(ledger["equity"]).all()


# -- real ---------------------------------------------------------------------------------------------------------------------------


NEAR = ("risk.stop_sigma=0.3", "risk.stop_atr=1.0")


@pytest.fixture(scope="module")
def crash(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> RecordedRun:
    """The crash of 2021-05-19 with the built-in belief, and stops so near that they are reached."""
    out = tmp_path_factory.mktemp("crash") / "run"
    span = {"start": utc_ns("2021-05-17T12:00"), "end": utc_ns("2021-05-20")}
    request = RunRequest(data=shared_data / "crash_2021-05", out=out, spec="prior_belief", overrides=NEAR, report=False, **span)
    run_batch(request, Console(file=io.StringIO()))
    return open_run(out)


def test_in_the_crash_of_2021_05_19_stops_fill_at_the_worse_of_stop_and_open(crash: RecordedRun) -> None:
    orders, fills_ = crash.frame("orders").set_index("order_id"), crash.frame("fills")
    bars = crash.frame("features/data", ["l0_market_feed.bars.open"]).set_index(["timestamp", "symbol"])[
        "l0_market_feed.bars.open"
    ]
    stops = fills_[fills_["order_id"].map(orders["type"]) == "STOP_MARKET"]
    assert len(stops) >= 2
    for _, fill in stops.iterrows():
        stop, open_ = orders["stop_price"][fill["order_id"]], bars[(fill["timestamp"], fill["symbol"])]
        side = 1.0 if fill["side"] == "BUY" else -1.0
        worse = max(stop, open_) if side > 0.0 else min(stop, open_)
        assert fill["reference_price"] == worse or fill["reference_price"] == open_, (
            "what a bar could not take goes on at the next open"
        )
        assert side * (fill["price"] - fill["reference_price"]) >= 0.0


def test_the_fills_of_the_crash_through_a_double_entry_ledger_give_the_same_account(crash: RecordedRun) -> None:
    symbols = crash.symbols
    ledger, fills_ = crash.frame("ledger"), crash.frame("fills")
    funding = crash.frame("features/data", ["l0_market_feed.funding"])["l0_market_feed.funding"].to_numpy()
    times = crash.times()
    rates = funding.reshape(len(times), len(symbols))
    books = DoubleEntry(len(symbols), START)
    by_bar = dict(tuple(fills_.groupby(fills_["timestamp"].astype("int64"))))
    wide = {f: ledger[f].to_numpy().reshape(len(times), len(symbols)) for f in ("position", "mark", "unrealised", *PARTS)}
    series = {f: ledger[f].to_numpy()[:: len(symbols)] for f in ("cash", "fees", "funding", "realised", "equity")}
    marks = np.full(len(symbols), np.nan)
    for t, time in enumerate(times):
        books.pay_funding(rates[t], marks)
        if time in by_bar:
            books.take(as_log(by_bar[time], symbols))
        marks = wide["mark"][t]
        if t % 100 == 0 or t == len(times) - 1:
            row = {k: v[t] for k, v in (*wide.items(), *series.items())}
            books.agrees(type("Row", (), row))
    assert len(books.seen) == len(fills_) > 30


PARTS = ("symbol_realised", "symbol_fees", "symbol_funding")


def as_log(rows: pd.DataFrame, symbols: tuple[str, ...]) -> Any:
    """Rows of fills.parquet as the reports they were."""
    column = np.array([symbols.index(s) for s in rows["symbol"]])
    number = np.array([int(i.rpartition("-")[2]) for i in rows["fill_id"]])
    log = {
        "n": len(rows),
        "kind": np.full(len(rows), FILL),
        "symbol": column,
        "fill_id": (column + 1) << 32 | number,
        "quantity": np.where(rows["side"] == "BUY", 1.0, -1.0) * rows["quantity"].to_numpy(),
        "price": rows["price"].to_numpy(),
        "fee": rows["fee"].to_numpy(),
    }
    return type("Log", (), log)


def test_in_the_crash_the_audit_s_profit_is_the_account_s(crash: RecordedRun) -> None:
    audit = crash.frame(
        "features/execution",
        ["l100_decision_audit.profit", *(f"l100_decision_audit.by_source.{name}" for name in EDGE_PARTS)],
    )
    equity = crash.frame("ledger", ["equity"])["equity"]
    made = audit["l100_decision_audit.profit"]
    assert made.sum() == pytest.approx(equity.iloc[-1] - START, abs=1e-6)
    parts = audit.filter(like="by_source").sum(axis=1)
    assert parts.sum() == pytest.approx(made.sum(), rel=1e-6), "every position was opened by an edge that is known"
