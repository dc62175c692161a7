"""What must hold of any run, read back from its results alone: nothing here knows how the layers came to them.

Two runs over a simulated market with an outage and a crash: `patient` waits at the touch and holds to the end of the horizon,
`hasty` has tight stops and a daily loss limit that it reaches.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import yaml
from rich.console import Console

from drivers.feeds.simulate import simulate
from drivers.run.batch import run_batch
from drivers.run.request import RunRequest

SYMBOLS = ("SIMA", "SIMB", "SIMC")
EARLY = (  # an edge that is believed in without having been learned, sides that end soon, windows that are full after hours
    "fusion.prior_slope_bps=800",
    "fusion.prior_strength=100000",
    "fusion.leave_cost=0.0",
    "fusion.leave_halflife=0.02",
    "kinematics.volatility_halflife_slow=240",
    "risk.cap_volume_bars=240",
)
STYLES = {
    "patient": (
        "fusion.horizons=[15, 30, 45, 60]",
        "execution.style_limit_ratio=0.5",
        "execution.style_post_ratio=1.0",
    ),
    "hasty": (
        "fusion.horizons=[5, 15, 60, 240]",
        "risk.stop_sigma=0.3",
        "risk.stop_atr=1.0",
        "risk.loss_daily=0.0004",
        "risk.loss_flatten_at=1.0",
    ),
}
START_CASH, LOSS_DAILY = 100_000.0, 0.0004
RUN, FLATTEN = 0, 2
MINUTE = pd.Timedelta("1min")
BRACKET = ("STOP_MARKET", "TAKE_PROFIT")


class Run(NamedTuple):
    """One run's results. `orders`, `fills`: a row each. The others (T, N) or (T,), T bars of N symbols, in order."""

    style: str
    lots: dict[str, float]
    orders: pd.DataFrame
    fills: pd.DataFrame  # with `q` signed, the bar it fell in, and its order's columns as `order_...`
    account: pd.DataFrame  # the ledger's sums, a row a bar
    panels: dict[str, pd.DataFrame]

    def __getitem__(self, name: str) -> pd.DataFrame:
        return self.panels[name]


PANELS = {
    "data": [f"l0_market_feed.bars.{x}" for x in ("open", "high", "low", "close", "volume")]
    + [f"l0_market_feed.quality.{x}" for x in ("valid", "filled")],
    "risk": ["l81_kill_switch.level", "l92_loss_limits.halt_entries", "l85_instrument_cap.fraction"]
    + [f"l4_risk_gate.{x}" for x in ("target_weight", "verdict", "reasons")],
    "fusion": ["l3_action_proposal.side", "l3_action_proposal.size_fraction"],
    "execution": [f"l96_order_lifecycle.{x}" for x in ("stop_price", "stop_id", "unknown", "overfilled", "opened_by")],
}


def read(folder: Path, style: str) -> Run:
    """The results in a folder."""
    ledger = pd.read_parquet(folder / "ledger.parquet")
    time = pd.DatetimeIndex(np.sort(ledger.timestamp.unique()))

    def panels(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
        table = table.assign(symbol=table.symbol.astype(str)).set_index(["timestamp", "symbol"])
        for name in table.columns:
            yield name.rpartition(".")[2], table[name].unstack().loc[time, list(SYMBOLS)]

    found = dict(panels(ledger))
    for domain, columns in PANELS.items():
        path = folder / "features" / f"{domain}.parquet"
        found |= dict(panels(pd.read_parquet(path, columns=["timestamp", "symbol", *columns])))

    orders, fills = (pd.read_parquet(folder / f"{name}.parquet") for name in ("orders", "fills"))
    for table in (orders, fills):
        for column in table.columns[table.dtypes == "category"]:
            table[column] = table[column].astype(object).where(table[column].notna(), "")
        table["q"] = np.where(table.side == "BUY", 1.0, -1.0) * table.quantity
    at = (time.get_indexer(pd.DatetimeIndex(fills.timestamp)), pd.Index(SYMBOLS).get_indexer(fills.symbol))
    for name in ("open", "high", "low", "volume", "valid", "filled"):
        fills[name] = found[name].to_numpy()[at]
    of = orders.set_index("order_id").loc[fills.order_id]
    for name in ("timestamp", "type", "reduce_only", "limit_price", "stop_price", "q"):
        fills[f"order_{name}"] = of[name].to_numpy()
    account = ledger.drop_duplicates("timestamp").set_index("timestamp").loc[time]
    lots = yaml.safe_load((folder.parent / "market" / "dataset.yml").read_text(encoding="utf-8"))["lot_size"]
    return Run(style, lots, orders, fills, account, found)


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    folder = tmp_path_factory.mktemp("runs")
    simulate(folder / "market", seed=5, symbols=SYMBOLS, days=3, edge=3.0, trades=False)
    for style, overrides in STYLES.items():
        request = RunRequest(data=folder / "market", out=folder / style, overrides=EARLY + overrides)
        run_batch(request, Console(file=StringIO()))
    return {style: read(folder / style, style) for style in STYLES}


@pytest.fixture(params=list(STYLES))
def run(request: pytest.FixtureRequest, runs: dict[str, Run]) -> Run:
    return runs[request.param]


def tradable(run: Run) -> pd.DataFrame:
    """Where a bar could fill anything."""
    return (run["valid"] == 1) & (run["volume"] > 0.0)


def grown(run: Run) -> pd.DataFrame:
    """Where the position is larger at the next close than at this one, or on the other side."""
    now, then = run["position"], run["position"].shift(-1)
    return (then.abs() > now.abs() * (1.0 + 1e-12)) | (now * then < 0.0)


def none(where: pd.DataFrame | pd.Series | np.ndarray) -> bool:
    """Whether it is so nowhere."""
    return not np.asarray(where).any()


def test_the_runs_hold_everything_that_the_other_tests_speak_of(runs: dict[str, Run]) -> None:
    filled = pd.concat([r.orders[r.orders.filled_quantity > 0.0].assign(style=s) for s, r in runs.items()])
    assert set(filled.type) == {"MARKET", "LIMIT", "POST_ONLY", *BRACKET}
    assert {"EXPIRED", "REJECTED", "CANCELED"} <= set(runs["patient"].orders.status)
    reasons = set(filled.reason.str.split("|").explode())
    assert {"STOP", "TARGET", "TIME", "FLAT_PROPOSAL", "FLATTENED", "VOLATILITY_TARGET"} <= reasons
    assert (runs["hasty"]["level"] == FLATTEN).to_numpy().any() and (runs["patient"]["level"] != RUN).to_numpy().any()
    assert min(len(r.fills) for r in runs.values()) > 50
    assert sum(((r["position"] != 0.0) & ~tradable(r)).to_numpy().sum() for r in runs.values()) > 0, "held through an outage"


def test_cash_and_positions_are_what_the_fills_make_of_them(run: Run) -> None:
    zero = pd.DataFrame(0.0, run.account.index, list(SYMBOLS))
    moves = run.fills.groupby(["timestamp", "symbol"]).q.sum().unstack()
    np.testing.assert_allclose((zero + moves).fillna(0.0).cumsum(), run["position"], rtol=0, atol=1e-6)
    paid = (run.fills.q * run.fills.price + run.fills.fee).groupby(run.fills.timestamp).sum()
    cash = START_CASH - paid.reindex(run.account.index, fill_value=0.0).cumsum()
    np.testing.assert_allclose(cash, run.account.cash, rtol=0, atol=1e-6)
    assert none(run.account.funding != 0.0) and none(run.account.cash_flows != 0.0)


def test_equity_is_cash_and_positions_at_the_last_known_close(run: Run) -> None:
    mark = run["close"].ffill()
    equity = run.account.cash + (run["position"] * mark.fillna(0.0)).sum(axis=1)
    np.testing.assert_allclose(equity, run.account.equity, rtol=0, atol=1e-6)
    peak = np.maximum(run.account.equity.cummax(), START_CASH)
    np.testing.assert_allclose(peak, run.account.peak, rtol=0, atol=1e-6)
    np.testing.assert_allclose(1.0 - run.account.equity / peak, run.account.drawdown, rtol=0, atol=1e-9)


def test_an_order_fills_only_in_a_bar_after_the_close_that_decided(run: Run) -> None:
    f = run.fills
    bars = (f.timestamp - f.order_timestamp) / MINUTE
    assert none(bars[~f.order_type.isin(BRACKET)] < 1.0)
    assert none(bars < 0.0), "a bracket, from the fill that opened"


def test_a_fill_lies_within_its_bar_but_for_slippage_and_slippage_never_helps(run: Run) -> None:
    f = run.fills
    assert none((f.reference_price < f.low * (1 - 1e-12)) | (f.reference_price > f.high * (1 + 1e-12)))
    assert none(np.sign(f.q) * (f.price - f.reference_price) < -1e-9 * f.price)
    market = f[f.order_type == "MARKET"]
    assert none(market.reference_price != market.open)


def test_nothing_fills_and_nothing_moves_in_an_unknown_or_filled_bar(run: Run) -> None:
    assert none((run.fills.valid != 1) | (run.fills.filled != 0) | ~(run.fills.volume > 0.0))
    assert none((run["position"].diff().fillna(0.0) != 0.0) & ~tradable(run))


def test_a_bar_fills_no_more_than_it_traded_and_entries_their_share(run: Run) -> None:
    key = [run.fills.timestamp, run.fills.symbol]
    volume = run.fills.groupby(key).volume.first()
    assert none(run.fills.groupby(key).quantity.sum() > volume * (1 + 1e-9))
    entries = run.fills.quantity.where(~run.fills.order_reduce_only, 0.0).groupby(key).sum()
    assert none(entries > 0.1 * volume * (1 + 1e-9))


def test_an_order_filled_what_its_fills_add_up_to_and_never_more_than_it_asked_for(run: Run) -> None:
    by_order = run.fills.groupby("order_id")
    o = run.orders.set_index("order_id")
    assert o.index.is_unique and run.fills.fill_id.is_unique
    assert none(run["unknown"] != 0.0) and none(run["overfilled"] != 0.0)
    np.testing.assert_allclose(by_order.quantity.sum().reindex(o.index, fill_value=0.0), o.filled_quantity, rtol=1e-12)
    assert none(o.filled_quantity > o.quantity * (1 + 1e-9))
    assert none((o.status == "FILLED") & ~o.type.isin(BRACKET) & (o.filled_quantity < o.quantity * (1 - 1e-9)))
    mean = (run.fills.quantity * run.fills.price).groupby(run.fills.order_id).sum() / by_order.quantity.sum()
    np.testing.assert_allclose(o.average_price[mean.index], mean, rtol=1e-9)
    np.testing.assert_allclose(by_order.fee.sum(), o.fee[mean.index], rtol=1e-9)


def test_a_reduce_only_order_never_grows_or_flips_and_an_entry_never_reduces(run: Run) -> None:
    for _, f in run.fills.groupby("symbol"):
        f = f.iloc[np.argsort(f.fill_id.str.rpartition("-")[2].astype(int).to_numpy())]
        after = f.q.cumsum().round(6)
        before = (f.q.cumsum() - f.q).round(6)
        reduces = f.order_reduce_only.astype(bool)
        assert none(reduces & ((after.abs() > before.abs()) | (after * before < 0.0)))
        assert none(~reduces & (before * f.q < 0.0))


def test_a_limit_fills_only_when_the_bar_trades_through_it_and_never_worse(run: Run) -> None:
    f = run.fills[run.fills.order_type.isin(["LIMIT", "POST_ONLY", "TAKE_PROFIT"])]
    buys = f.q > 0.0
    assert none(~np.where(buys, f.low < f.order_limit_price, f.high > f.order_limit_price))
    assert none(np.where(buys, f.price > f.order_limit_price, f.price < f.order_limit_price))


def test_a_stop_fills_at_the_worse_of_its_trigger_and_the_open(run: Run) -> None:
    f = run.fills[run.fills.order_type == "STOP_MARKET"]
    first = ~f.order_id.duplicated()
    worse = np.where(f.q > 0.0, np.maximum(f.open, f.order_stop_price), np.minimum(f.open, f.order_stop_price))
    np.testing.assert_allclose(f.reference_price, np.where(first, worse, f.open), rtol=1e-12)


def test_a_bar_that_reaches_the_resting_stop_closes_the_position_or_all_that_trades(run: Run) -> None:
    held, stop = run["position"].shift(), run["stop_price"].shift()
    reached = ((held > 0.0) & (run["low"] <= stop)) | ((held < 0.0) & (run["high"] >= stop))
    reached &= tradable(run)
    sold = run.fills.quantity.where(run.fills.order_reduce_only.astype(bool), 0.0)
    taken = sold.groupby([run.fills.timestamp, run.fills.symbol]).sum().unstack().reindex_like(held).fillna(0.0)
    assert none(reached & (run["position"] != 0.0) & (taken < 0.99 * run["volume"]))


def test_an_open_position_has_one_stop_at_rest_at_every_close_and_a_flat_one_none(run: Run) -> None:
    time = run.account.index
    for symbol in SYMBOLS:
        stops = run.orders[(run.orders.symbol == symbol) & (run.orders.type == "STOP_MARKET")]
        alive = np.zeros(len(time) + 1)
        np.add.at(alive, time.get_indexer(pd.DatetimeIndex(stops.timestamp)), 1)
        ended = stops.ended.dropna()
        np.add.at(alive, time.get_indexer(pd.DatetimeIndex(ended)), -1)
        np.testing.assert_array_equal(alive.cumsum()[:-1], (run["position"][symbol] != 0.0).astype(float))


def test_a_stop_never_moves_away_from_the_price(run: Run) -> None:
    same = (run["stop_id"] == run["stop_id"].shift()) & (run["stop_id"] != 0)
    assert none(same & (np.sign(run["position"]) * run["stop_price"].diff() < 0.0))


def test_an_exit_closes_the_position_in_the_next_bar_that_trades_or_takes_all_of_it(run: Run) -> None:
    exits = run["verdict"] == 4
    then = run["position"].shift(-1)
    sold = run.fills.quantity.where(run.fills.order_reduce_only.astype(bool), 0.0)
    taken = sold.groupby([run.fills.timestamp, run.fills.symbol]).sum().unstack().reindex_like(then).fillna(0.0).shift(-1)
    open_ = tradable(run).shift(-1, fill_value=False)
    assert none(exits & open_ & (then != 0.0) & (taken < 0.99 * run["volume"].shift(-1)))


def test_an_increase_stays_within_what_was_approved_when_it_was_decided(run: Run) -> None:
    most = (run["target_weight"].abs().mul(run.account.equity, axis=0) / run["mark"]).fillna(0.0)
    lately = most.rolling(5, min_periods=1).max()  # a limit order lives for three bars and may fill in its last
    grew = grown(run)
    assert none(grew & (run["position"].shift(-1).abs() > lately * (1 + 1e-9)))


def test_a_target_that_grows_is_within_the_proposal_and_every_cap(run: Run) -> None:
    weight = (run["position"] * run["mark"].fillna(0.0)).div(run.account.equity, axis=0)
    target = run["target_weight"]
    grows = (target.abs() > weight.abs() * (1 + 1e-9)) & (run["verdict"].isin([1, 2]))
    assert grows.to_numpy().any()
    asked = run["side"] * run["size_fraction"]
    assert none(grows & ((target * asked <= 0.0) | (target.abs() > asked.abs() * (1 + 1e-12))))
    assert none(grows & ((target.abs() > 0.2) | (target.abs() > run["fraction"] * (1 + 1e-12))))
    any_grows = grows.any(axis=1)
    assert none(any_grows & (target.sum(axis=1).abs() > 0.5 + 1e-9))
    assert none(any_grows & (target.abs().sum(axis=1) > 1.0 + 1e-9))


def test_nothing_grows_after_a_halt_and_everything_closes_after_a_flatten(run: Run) -> None:
    assert none(grown(run) & (run["level"] != RUN))
    flatten = (run["level"] == FLATTEN) & tradable(run).shift(-1, fill_value=False)
    left = run["position"].shift(-1).abs()
    assert none(flatten & (left > 0.0) & (left >= run["position"].abs())), "where a bar is too thin for all, it goes on"
    assert none((run["level"] == FLATTEN) & (run["verdict"] != 4))


def test_after_the_daily_loss_nothing_grows_until_midnight(run: Run) -> None:
    equity = run.account.equity
    day = (pd.DatetimeIndex(equity.index) - pd.Timedelta(1, "ns")).floor("D")  # the bar stamped 00:00 ends the day
    before = equity.groupby(day).last().shift()
    before.iloc[0] = equity.iloc[0]
    limit = LOSS_DAILY if run.style == "hasty" else 0.03
    lost = (equity / before.loc[day].to_numpy() - 1.0 <= -limit).groupby(day).cummax()
    assert lost.any() == (run.style == "hasty")
    assert none(grown(run)[lost.to_numpy()])
    np.testing.assert_array_equal(lost, run["halt_entries"][SYMBOLS[0]] == 1)


def test_an_entry_is_never_a_crumb_but_in_a_thin_market(run: Run) -> None:
    o = run.orders[~run.orders.reduce_only.astype(bool)]
    at = (run.account.index.get_indexer(pd.DatetimeIndex(o.timestamp)), pd.Index(SYMBOLS).get_indexer(o.symbol))
    least = 0.005 * run.account.equity.to_numpy()[at[0]]
    usual = run["volume"].ewm(halflife=60).mean().to_numpy()[at]
    whole = (o.quantity + o.symbol.map(run.lots)) * o.decision_price  # it was rounded down to a lot
    assert none((whole < least) & (o.quantity < 0.05 * usual))


def test_an_entry_is_not_sent_again_before_the_last_one_has_ended_or_more_is_wanted(run: Run) -> None:
    o = run.orders[~run.orders.type.isin(BRACKET)]
    assert none(o.duplicated(["timestamp", "symbol", "side", "reduce_only"])), "at most one a bar"
    both = o.groupby(["timestamp", "symbol"]).side.nunique()
    assert none(both > 1), "never both sides at once"
    reductions = o[o.reduce_only.astype(bool)].sort_values(["symbol", "timestamp"])
    under_way = reductions.groupby("symbol").ended.shift() > reductions.timestamp
    again = under_way & (reductions.groupby("symbol").quantity.shift() == reductions.quantity)
    assert none(again), "an exit that waits for a bar to trade in is not repeated"
