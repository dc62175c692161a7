"""L6 against computations of its own: paper returns by shifted panels, weights in a few lines of NumPy, figures by SciPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import linregress

from benchmarks.adaptation import YEAR, crowned, days_to_lead, days_to_leave, pooled_weights
from dataflows.carry import start_state
from dataflows.data.types import Market
from dataflows.fusion.types import PARTS, K
from dataflows.meta.account import account_epoch
from dataflows.meta.config import MetaConfig
from dataflows.meta.mixture import wealth_step
from dataflows.meta.track import Tracks, add_epoch
from dataflows.meta.types import (
    DOMAIN_OF,
    DOMAINS,
    FIRST_DOMAIN,
    FIRST_REGIME,
    FIRST_TIMEFRAME,
    FIRST_VOTE,
    ROWS,
    SCORE,
    TRACKED,
    Performance,
)
from dataflows.panel import Floats, leaves
from dataflows.pattern.types import PATTERNS
from dataflows.regime.types import REGIMES
from tests.dataflows.meta.world import MINUTE, START, closes, noise, plan_of

PLAN = plan_of("l6_performance_monitor")
USUAL = MetaConfig()
SYMBOLS = 3
R = len(REGIMES)


def world(bars: int, seed: int = 1) -> tuple[dict[str, Any], Any]:
    """What L6 takes over bars of a quarter of an hour: random, with gaps in prices and in what is said."""
    rng = np.random.default_rng(seed)
    widths = {"values": K, "votes": PATTERNS, "by_source": PARTS, "contributions": K}
    inputs = {name: noise(PLAN.type_of(name), bars, SYMBOLS, rng, widths) for name in PLAN.recorded_inputs}
    time = START + 15 * MINUTE * np.arange(1, bars + 1)
    market: Market = inputs["l0_market_feed"]
    prices = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 1e-3, (bars, SYMBOLS)), axis=0))
    prices[rng.random(prices.shape) < 0.02] = np.nan
    inputs["l0_market_feed"] = market._replace(bars=market.bars._replace(open=prices), time=time)
    chances = rng.dirichlet(np.ones(R), (bars, SYMBOLS))
    names = ("calm", "trend_up", "trend_down", "high_vol", "chaotic")
    inputs["l1_regime"] = inputs["l1_regime"]._replace(**{n: chances[:, :, i].copy() for i, n in enumerate(names)})
    inputs["l66_signal_matrix"].values[rng.random((bars, SYMBOLS, K)) < 0.1] = np.nan
    inputs["l66_signal_matrix"].values[:, :, 4] = np.nan  # a source that never speaks
    inputs["l71_trading_cost"].round_trip_bps[:] = rng.uniform(2.0, 12.0, (bars, SYMBOLS))
    equity = 1e5 * np.exp(np.cumsum(rng.normal(0.0, 1e-3, bars)))
    flows = np.where(np.arange(bars) >= bars // 2, 500.0, 0.0)
    paid = np.cumsum(rng.uniform(0.0, 2.0, bars))
    fees = np.cumsum(rng.uniform(0.0, 1.0, (bars, SYMBOLS)), axis=0)
    inputs["l97_ledger"] = inputs["l97_ledger"]._replace(
        equity=equity, cash_flows=flows, fees=paid, funding=0.1 * paid, symbol_fees=fees, symbol_funding=-0.1 * fees
    )
    inputs["l100_decision_audit"] = inputs["l100_decision_audit"]._replace(
        filled_notional=rng.uniform(0.0, 1e3, (bars, SYMBOLS))
    )
    return inputs, time


def positions(inputs: dict[str, Any]) -> Floats:
    """Every paper account's position, (T, N, ROWS)."""
    values = inputs["l66_signal_matrix"].values
    score = inputs["l7_ensemble"].score
    found = np.zeros((*score.shape, ROWS))
    found[:, :, :K] = np.nan_to_num(values)
    found[:, :, FIRST_VOTE : FIRST_VOTE + PATTERNS] = inputs["l50_pattern_consensus"].votes
    found[:, :, SCORE] = score
    market = inputs["l0_market_feed"]
    for f, frame in enumerate((market.bars_5, market.bars_15, market.bars_60)):
        held = pd.DataFrame(np.where(frame.closed == 1, score, np.nan)).ffill().fillna(0.0)
        found[:, :, FIRST_TIMEFRAME + f] = held
    for d in range(len(DOMAINS)):
        own = values[:, :, [k for k in range(K) if DOMAIN_OF[k] == d]]
        found[:, :, FIRST_DOMAIN + d] = (
            pd.DataFrame(own.reshape(-1, own.shape[2])).mean(axis=1).fillna(0.0).to_numpy().reshape(score.shape)
        )
    for r, chance in enumerate(probabilities(inputs)):
        found[:, :, FIRST_REGIME + r] = score * chance
    return found


def probabilities(inputs: dict[str, Any]) -> list[Floats]:
    regime = inputs["l1_regime"]
    return [regime.calm, regime.trend_up, regime.trend_down, regime.high_vol, regime.chaotic]


def moves(inputs: dict[str, Any]) -> Floats:
    """At each bar the return that is known there: of its open on the open before, over the number of symbols that have one."""
    opens = pd.DataFrame(inputs["l0_market_feed"].bars.open)
    change = opens.pct_change(fill_method=None)
    return change.div(change.notna().sum(axis=1).replace(0, np.nan), axis=0).fillna(0.0).to_numpy()


def by_day(x: Floats, time: Any) -> Floats:
    day = (time - 1) // (1440 * MINUTE)
    return np.stack([x[day == d].sum(axis=0) for d in np.unique(day)])


def numpy_weights(returns: Floats, present: Floats, spoke: Any, c: MetaConfig = USUAL) -> tuple[Floats, Floats]:
    """Weights (E, R, K) after each epoch, and the pooled ones (E, K). returns (E, R, K), present (E, R), spoke (E, K)."""
    pooled, own = np.full(K, 1.0 / K), np.full((R, K), 1.0 / K)
    total = returns.sum(axis=1)
    given, pools = [], []

    def step(w: Floats, x: Floats, on: Any) -> Floats:
        if on.any():
            w = w * (1.0 + np.where(on, x, (w * x)[on].sum() / w[on].sum()))
            w = (1.0 - c.source_share) * w / w.sum() + c.source_share / K
        return w

    for e in range(len(returns)):
        past = np.where(spoke[:e], total[:e], np.nan)
        enough = spoke[:e].sum(axis=0) >= c.source_epochs
        on = spoke[e] & enough
        scale = np.zeros(K)
        scale[on] = c.source_volatility / np.sqrt(np.nanmean(past[:, on] ** 2, axis=0))
        most = 4.0 * c.source_volatility
        pooled = step(pooled, np.clip(scale * total[e], -most, most), on)
        own = np.stack([step(own[r], np.clip(scale * returns[e, r], -most, most), on) for r in range(R)])
        belief = present[: e + 1].sum(axis=0) / (present[: e + 1].sum(axis=0) + c.regime_epochs)
        given.append(belief[:, None] * own + (1.0 - belief[:, None]) * pooled)
        pools.append(pooled)
    return np.array(given), np.array(pools)


BARS = 96 * 12 + 40
INPUTS, TIME = world(BARS)
FOUND: list[Performance] = [made["l6_performance_monitor"] for made in closes(PLAN, INPUTS, TIME, SYMBOLS)]


def test_an_epoch_that_the_data_cut_short_teaches_nothing() -> None:
    assert len(FOUND) == 12


def test_paper_returns_are_those_of_the_shifted_panels() -> None:
    held = positions(INPUTS)
    behind = np.concatenate([np.zeros((2, SYMBOLS, ROWS)), held[:-2]])
    wanted = by_day((behind * moves(INPUTS)[:, :, None]).sum(axis=1), TIME)[:12]
    got = np.array([p.paper.epoch_return_bps for p in FOUND])
    np.testing.assert_allclose(got, 1e4 * wanted, rtol=1e-9, atol=1e-9)
    traded = by_day(np.abs(np.diff(held, axis=0, prepend=0.0)).mean(axis=1), TIME)[:12]
    half = 0.5e-4 * INPUTS["l71_trading_cost"].round_trip_bps[:, :, None]
    cost = by_day((np.abs(np.diff(held, axis=0, prepend=0.0)) * half).mean(axis=1), TIME)[:12]
    spoke = np.abs(held).sum(axis=(0, 1)) > 0.0
    assert np.flatnonzero(~spoke).tolist() == [TRACKED.index("book")], "it never speaks"
    np.testing.assert_allclose(FOUND[-1].paper.turnover[spoke], traded.mean(axis=0)[spoke])
    np.testing.assert_allclose(FOUND[-1].paper.cost_bps[spoke], 1e4 * cost.mean(axis=0)[spoke])


def test_figures_by_symbol_are_those_of_the_score_on_it() -> None:
    score = np.concatenate([np.zeros((2, SYMBOLS)), INPUTS["l7_ensemble"].score[:-2]])
    change = pd.DataFrame(INPUTS["l0_market_feed"].bars.open).pct_change(fill_method=None).fillna(0.0).to_numpy()
    wanted = by_day(score * change, TIME)[:12]
    np.testing.assert_allclose([p.by_symbol.epoch_return_bps for p in FOUND], 1e4 * wanted, rtol=1e-9)
    sharpe = wanted.mean(axis=0) / wanted.std(axis=0, ddof=1) * np.sqrt(365.0 * 1440 / 96)
    np.testing.assert_allclose(FOUND[-1].by_symbol.sharpe, sharpe, rtol=1e-9)


def test_weights_are_those_of_a_few_lines_of_numpy() -> None:
    values = np.concatenate([np.zeros((2, SYMBOLS, K)), np.nan_to_num(INPUTS["l66_signal_matrix"].values)[:-2]])
    earned = values * moves(INPUTS)[:, :, None]
    returns, present = [], []
    for chance in probabilities(INPUTS):
        late = np.concatenate([np.zeros((2, SYMBOLS)), chance[:-2]])
        returns.append(by_day((earned * late[:, :, None]).sum(axis=1), TIME)[:12])
        present.append(np.array([chance[96 * d : 96 * d + 96].mean() for d in range(12)]))
    spoke = by_day(np.abs(values * np.isfinite(moves(INPUTS))[:, :, None]).sum(axis=1), TIME)[:12] > 0.0
    weights, pooled = numpy_weights(np.stack(returns, axis=1), np.stack(present, axis=1), spoke)
    np.testing.assert_allclose([p.source_weights.weights for p in FOUND], weights, rtol=1e-10)
    np.testing.assert_allclose([p.evidence.pooled_weight for p in FOUND], pooled, rtol=1e-10)
    np.testing.assert_allclose(weights[:5], 1.0 / K)
    assert np.ptp(weights[5]) > 1e-3, "something moves once five epochs are known"
    assert (weights >= USUAL.source_share / K).all()


def test_the_account_is_kept_apart_and_cash_that_comes_in_is_no_return() -> None:
    ledger, day = INPUTS["l97_ledger"], slice(95, None, 96)
    equity = np.concatenate([ledger.equity[:1], ledger.equity[day][:12]])
    flows = np.concatenate([ledger.cash_flows[:1], ledger.cash_flows[day][:12]])
    wanted = (equity[1:] - np.diff(flows)) / equity[:-1] - 1.0
    assert np.diff(flows).any()
    np.testing.assert_allclose([p.realised.epoch_return_bps[0] for p in FOUND], 1e4 * wanted, rtol=1e-9)
    audit = INPUTS["l100_decision_audit"]
    np.testing.assert_allclose(FOUND[3].realised.profit_by_symbol, audit.profit[288:384].sum(axis=0))
    np.testing.assert_allclose(FOUND[3].realised.profit_by_source, audit.by_source[288:384].sum(axis=(0, 1)))
    traded = audit.filled_notional.sum(axis=1)
    turnover = [traded[96 * d : 96 * d + 96].sum() / equity[d] for d in range(12)]
    assert FOUND[-1].realised.turnover[0] == pytest.approx(np.mean(turnover))


def test_the_parts_of_the_account_are_what_pandas_makes_of_the_ledger_and_the_audit() -> None:
    """By symbol and regime all figures, by source and domain without turnover and cost: over equity at the epoch's start."""
    audit, ledger = INPUTS["l100_decision_audit"], INPUTS["l97_ledger"]
    equity = ledger.equity
    day = (TIME - 1) // (1440 * MINUTE)
    days = np.unique(day)[: len(FOUND)]
    start = np.array([equity[0] if d == days[0] else equity[day < d][-1] for d in days])
    paid = ledger.symbol_fees + ledger.symbol_funding
    cost = np.maximum(0.0, np.diff(paid, axis=0, prepend=paid[:1]))
    shares = np.stack([np.ones_like(equity)[:, None] * p for p in probabilities(INPUTS)], axis=2)

    def of(x: Floats) -> Floats:
        return np.stack([x[day == d].sum(axis=0) for d in days]) / start[:, None]

    def by_regime(x: Floats) -> Floats:
        return of(np.einsum("tn,tnr->tr", x, shares))

    profit = {
        "by_symbol": of(audit.profit),
        "by_regime": by_regime(audit.profit),
        "by_source": of(audit.by_source.sum(axis=1)),
    }
    profit["by_domain"] = np.stack(
        [profit["by_source"][:, [k for k in range(K) if DOMAIN_OF[k] == d]].sum(axis=1) for d in range(len(DOMAINS))], axis=1
    )
    last = FOUND[-1].realised
    for name, made in profit.items():
        part = getattr(last, name)
        got = np.array([getattr(p.realised, name).epoch_return_bps for p in FOUND])
        np.testing.assert_allclose(got, 1e4 * made, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(part.mean_return_bps, 1e4 * made.mean(axis=0), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(part.hit_rate, (made > 0.0).mean(axis=0))
        summed = np.cumsum(made, axis=0)
        falls = (np.maximum.accumulate(np.maximum(summed, 0.0), axis=0) - summed).max(axis=0)
        np.testing.assert_allclose(part.drawdown_bps, 1e4 * falls, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(last.by_symbol.turnover, of(audit.filled_notional).mean(axis=0))
    np.testing.assert_allclose(last.by_regime.turnover, by_regime(audit.filled_notional).mean(axis=0))
    np.testing.assert_allclose(last.by_symbol.cost_bps, 1e4 * of(cost).mean(axis=0))
    np.testing.assert_allclose(last.by_regime.cost_bps, 1e4 * by_regime(cost).mean(axis=0))
    total = np.array([p.realised.by_regime.epoch_return_bps.sum() for p in FOUND])
    np.testing.assert_allclose(total, 1e4 * profit["by_symbol"].sum(axis=1), rtol=1e-9, err_msg="probabilities sum to 1")


@pytest.mark.parametrize("cuts, restore_at", [(range(1, 400), 0), ((), 150), ((95, 97, 191, 192), 96)])
def test_a_stream_and_a_checkpoint_give_the_bits_of_the_batch(cuts: Any, restore_at: int) -> None:
    got = closes(PLAN, INPUTS, TIME[:400], SYMBOLS, cuts=[c for c in cuts if c < 400], restore_at=restore_at)
    assert len(got) == 4
    for mine, theirs in zip(got, FOUND, strict=False):
        for a, b in zip(leaves(mine["l6_performance_monitor"]), leaves(theirs), strict=True):
            np.testing.assert_array_equal(a, b)


def test_switched_off_all_weights_are_alike_and_the_record_goes_on() -> None:
    off = plan_of("l6_performance_monitor", overrides=("meta.adapt_sources=0",))
    (*_, last) = closes(off, INPUTS, TIME, SYMBOLS)
    assert (last["l6_performance_monitor"].source_weights.weights == 1.0 / K).all()
    np.testing.assert_array_equal(last["l6_performance_monitor"].evidence.log_wealth, FOUND[-1].evidence.log_wealth)


# ---- what the weights promise


@settings(max_examples=200, deadline=None)
@given(
    arrays(np.float64, (40, 4), elements=st.floats(-0.999, 5.0)),
    arrays(np.int64, (40, 4), elements=st.integers(0, 1)),
    st.floats(0.0, 0.5),
)
def test_no_source_is_richer_than_the_mixture_by_more_than_its_prior(x: Floats, awake: Any, share: float) -> None:
    """On every path: wealth of the mixture >= (1 - share)^T / K times that of each source, one asleep earning what the others do."""
    weights = np.full(4, 0.25)
    mixture, alone, kept = 0.0, np.zeros(4), 1.0
    for t in range(len(x)):
        on = awake[t] == 1
        together = (weights * x[t])[on].sum() / weights[on].sum() if on.any() else 0.0
        mixture += np.log1p(together)
        alone += np.log1p(np.where(on, x[t], together))
        wealth_step(weights, x[t], awake[t], share)
        kept *= 1.0 - share if on.any() else 1.0
        assert weights.sum() == pytest.approx(1.0) and (weights >= 0.0).all()
        assert (mixture >= np.log(kept * 0.25) + alone - 1e-9).all()


def table(trials: int) -> tuple[float, float, float]:
    """Median days to a weight over 0.5 at a Sharpe ratio of 10 and of 6, and the share of noise that is ever crowned."""
    noise = crowned(pooled_weights(0.0, trials, 730))
    ten, six = (days_to_lead(pooled_weights(sharpe, trials, 500)) for sharpe in (10.0, 6.0))
    return float(np.median(ten)), float(np.median(six)), noise


def test_what_earns_is_found_and_noise_is_not_crowned() -> None:
    ten, six, noise = table(200)
    assert ten <= 125 and six <= 210 and noise <= 0.12


def median_days_to_leave(trials: int) -> float:
    """After which a source that earned a Sharpe ratio of 10 for a year, and then nothing, has less than half of the weight."""
    left = days_to_leave(pooled_weights(10.0, trials, 2 * YEAR + 100, dies_at=YEAR), YEAR)
    assert len(left) > 0.9 * trials, "it led when it died"
    return float(np.median(left))


def test_weights_move_away_after_the_source_dies() -> None:
    assert median_days_to_leave(60) <= 240


@pytest.mark.long
def test_weights_move_away_after_the_source_dies_within_seven_months() -> None:
    assert median_days_to_leave(1000) <= 215


@pytest.mark.long
def test_the_table_of_speeds() -> None:
    """Sharpe 10 within 120 days, 6 within 200, noise crowned in at most 10 % of two years."""
    ten, six, noise = table(1000)
    assert ten <= 120 and six <= 200 and noise <= 0.1


def test_weights_leave_a_source_that_dies() -> None:
    """Earning Sharpe 10 for a year and then nothing, its weight is under one half within a year in most trials."""
    weights = pooled_weights(10.0, 40, 900, dies_at=365)[:, :, 0]
    assert (weights[:, 364] > 0.5).mean() > 0.95
    under = weights[:, 365:] < 0.5
    days = np.where(under.any(axis=1), under.argmax(axis=1) + 1, np.inf)
    assert np.median(days) < 365


# ---- figures


def test_figures_are_the_textbooks() -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(1e-3, 1e-2, 80)
    state = start_state(Tracks, {"G": 1}, {})
    one = np.ones(1)
    for v in x:
        got = add_epoch(np.array([v]), 3.0 * one, 2e-4 * one, np.ones(1, np.int64), 365.0, state)
    level = np.cumsum(x)
    falls = np.maximum(np.maximum.accumulate(level), 0.0) - level
    line = linregress(np.arange(80), level)
    wanted = [
        1e4 * x[-1], 1e4 * x.mean(), x.mean() / x.std(ddof=1) * np.sqrt(365.0), (x > 0.0).mean(),
        1e4 * falls.max(), 3.0, 2.0, line.rvalue**2,
    ]  # fmt: skip
    np.testing.assert_allclose(got[:, 0], wanted, rtol=1e-9)
    idle = add_epoch(0.0 * one, one, one, np.zeros(1, np.int64), 365.0, state)
    np.testing.assert_allclose(idle[1:, 0], wanted[1:], rtol=1e-9)


def test_of_nothing_nothing_is_known() -> None:
    state = start_state(Tracks, {"G": 2}, {})
    got = add_epoch(np.zeros(2), np.zeros(2), np.zeros(2), np.array([0, 1]), 365.0, state)
    assert np.isnan(got[1:, 0]).all() and got[0, 0] == 0.0
    assert np.isnan(got[[2, 7], 1]).all() and got[1, 1] == 0.0


def test_an_account_that_is_empty_or_unknown_has_no_return() -> None:
    before = np.full(3, np.nan)
    zero = np.zeros(2)
    made = account_epoch(np.array([0.0, 10.0]), zero, zero, np.zeros((2, 1)), before)
    assert made.active[0] == 0 and before[0] == 10.0
    made = account_epoch(np.array([10.0, np.nan]), zero, zero, np.zeros((2, 1)), before)
    assert made.active[0] == 0


def test_its_records_tell_bars_from_instants_between_them() -> None:
    """`clock.bars_from` is no field: what it reads must be kept all the same."""
    assert ("is_bar",) in PLAN.epoch_needs["clock"]
