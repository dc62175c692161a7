"""What the simulated market has in common with real ones, each statistic with the same of a real set where that is present."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from statsmodels.tsa.stattools import acf

from drivers.feeds.simulate import SimulatedMarket, facts, paths, simulate_market
from drivers.feeds.simulate.facts import FlowFacts, ReturnFacts
from drivers.feeds.simulate.model import BAD_CLOSE

READY = Path(__file__).parents[4] / "shared" / "data" / "ready"
SYMBOLS = range(5)


@pytest.fixture(scope="module")
def market() -> SimulatedMarket:
    return simulate_market()  # what `make run` runs on


@pytest.fixture(scope="module")
def found(market: SimulatedMarket) -> list[tuple[ReturnFacts, FlowFacts]]:
    return [facts.facts_of_market(market, i) for i in SYMBOLS]


@pytest.fixture(scope="module")
def real() -> list[ReturnFacts]:
    path = READY / "perps_2025-05" / "bars.parquet"
    if not path.exists():
        pytest.skip(f"no comparison: {path.parent.name} is not in ../shared/data/ready")
    return [facts.facts_of_bars(path, s) for s in ("BTCUSDT", "ETHUSDT", "SOLUSDT")]


@pytest.fixture(scope="module")
def real_ticks() -> list[FlowFacts]:
    folder = READY / "book_2025-09-04"
    if not folder.exists():
        pytest.skip(f"no comparison: {folder.name} is not in ../shared/data/ready")
    return [facts.facts_of_ticks(folder, s) for s in ("BTCUSD", "ETHUSD")]


def fat_tailed(bars: ReturnFacts) -> bool:
    return 3.0 < bars.kurtosis < 40.0 and 2.5 < bars.hill < 5.0


def clustered(bars: ReturnFacts) -> bool:
    one, ten, hour, four_hours = bars.acf_abs
    return 0.12 < one < 0.45 and one > hour > four_hours > 0.02 and ten > 0.1


def unpredictable(bars: ReturnFacts) -> bool:
    return abs(bars.acf_1) < 0.035


# the statistics themselves, against somebody else's arithmetic


def test_autocorrelation_and_kurtosis_match_statsmodels_and_scipy() -> None:
    x = np.random.default_rng(1).standard_t(4, 3_000).cumsum() * 0.01 + np.random.default_rng(2).standard_normal(3_000)
    # statsmodels divides by T at every lag, this divides by the number of pairs
    want = acf(x, nlags=20, fft=False)[[1, 5, 20]] * 3_000 / (3_000 - np.array([1, 5, 20]))
    np.testing.assert_allclose(facts.autocorrelation(x, (1, 5, 20)), want, rtol=1e-10)
    assert facts.kurtosis(x) == pytest.approx(scipy.stats.kurtosis(x), rel=1e-12)
    assert facts.rank_correlation(x, np.exp(x) + x) == pytest.approx(1.0)


def test_hill_and_power_recover_a_planted_exponent() -> None:
    rng = np.random.default_rng(3)
    assert facts.hill(rng.pareto(3.0, 200_000) + 1.0, 0.02) == pytest.approx(3.0, abs=0.15)
    x = np.arange(1.0, 50.0)
    assert facts.power(x, 4.0 * x**0.6) == pytest.approx(0.6)


# bars


def test_returns_have_fat_tails(found: list[tuple[ReturnFacts, FlowFacts]]) -> None:
    assert all(fat_tailed(bars) for bars, _ in found), [(b.kurtosis, b.hill) for b, _ in found]


def test_volatility_clusters_and_is_forgotten_slowly(found: list[tuple[ReturnFacts, FlowFacts]]) -> None:
    assert all(clustered(bars) for bars, _ in found), [b.acf_abs for b, _ in found]


def test_returns_have_no_linear_autocorrelation(found: list[tuple[ReturnFacts, FlowFacts]]) -> None:
    assert all(unpredictable(bars) for bars, _ in found), [b.acf_1 for b, _ in found]


def test_bars_reach_beyond_their_bodies_as_real_ones_do(found: list[tuple[ReturnFacts, FlowFacts]]) -> None:
    assert all(1.4 < bars.range_to_move < 2.1 for bars, _ in found)


def test_the_real_set_is_within_the_same_bounds(real: list[ReturnFacts]) -> None:
    for bars in real:
        assert fat_tailed(bars) and clustered(bars) and unpredictable(bars) and 1.4 < bars.range_to_move < 2.1


def test_symbols_move_together(market: SimulatedMarket) -> None:
    assert market.truth is not None
    correlation = np.corrcoef(np.diff(np.log(market.truth.mid[market.truth.crash == 0]), axis=0).T)
    assert np.all(correlation > 0.4) and np.all(correlation[~np.eye(5, dtype=bool)] < 0.85)


def test_the_day_has_its_busy_and_quiet_hours(market: SimulatedMarket) -> None:
    opened = market.time - market.clock_seconds * facts.NS
    ordinary = (
        np.where((market.truth.crash == 0)[:, None], market.volume, np.nan) if market.truth is not None else market.volume
    )
    shapes = np.array([facts.hour_shape(opened, ordinary[:, i]) for i in SYMBOLS]).mean(axis=0)
    assert shapes[13:17].mean() > 1.25 and shapes[3:6].mean() < 0.9 and shapes[13:17].mean() > 1.6 * shapes[3:6].mean()


def test_the_real_day_is_busy_in_the_same_hours() -> None:
    path = READY / "perps_2025-05" / "bars.parquet"
    if not path.exists():
        pytest.skip("no comparison: perps_2025-05 is not in ../shared/data/ready")
    bars = pd.read_parquet(path, columns=["timestamp", "symbol", "volume"])
    eth = bars[bars.symbol == "ETHUSDT"]
    shape = facts.hour_shape(eth.timestamp.astype("int64").to_numpy(), eth.volume.to_numpy())
    assert shape[13:17].mean() > 1.25 and shape[3:6].mean() < 0.9


# trades and books


def test_signs_have_a_long_memory(found: list[tuple[ReturnFacts, FlowFacts]]) -> None:
    for _, flow in found:
        assert flow.sign_acf[0] > 0.1 and flow.sign_acf[4] > 0.04 and flow.sign_acf[-1] > 0.005
        # an exponential that fell from lag 1 to lag 20 as far as this would be gone at lag 200
        assert flow.sign_acf[-1] > 10.0 * flow.sign_acf[0] * (flow.sign_acf[4] / flow.sign_acf[0]) ** (199 / 19)
        assert 0.2 < flow.sign_decay < 0.9


def test_impact_is_concave_in_size(market: SimulatedMarket, found: list[tuple[ReturnFacts, FlowFacts]]) -> None:
    log = market.trades
    assert log is not None
    move = np.log(log.mid_after / log.mid_before) * np.where(log.buy == 1, 1.0, -1.0)
    for i in SYMBOLS:
        mine = log.symbol == i
        size, mean = facts.impact_curve(log.size[mine], move[mine])
        assert np.all(mean > 0.0) and mean[-1] > 2.0 * mean[0]
        assert 0.35 < facts.power(size, mean) < 0.8  # of a single trade
        assert 0.3 < found[i][1].impact_exponent < 0.95  # of a minute's net volume, where noise enters


def test_the_impact_of_one_trade_fades_as_a_power_law() -> None:
    bars, each, at = 1_000, 3, 30
    zero, flow = np.zeros(bars), paths.Flow(4, 1.5, 2e4, 1.1, 0.5, 100.0, 10.0, float(np.log(250.0)))
    bar = paths.Bar(np.full(bars, each), *[zero] * 4, np.full(bars, 1e-3), zero, zero + 5.0, zero.astype(np.int64), zero)
    events = bars * each
    q = np.full(events, -60.0)
    q[at] = 0.0  # one trade of a middling size among ones of none
    kept = [np.zeros(n) for n in (*[bars] * 10, events, events)]
    tape = paths.Tape(*kept, np.zeros(events, np.int64), np.zeros(events), np.zeros(events))
    paths.walk(bar, flow, np.zeros(events), np.random.default_rng(5).random(events), q, 1, tape)
    response = np.abs(np.log(tape.mid_after[at:] / tape.mid_before[at]))
    assert response[0] == pytest.approx(1e-3 / np.sqrt(each), rel=1e-6)
    assert np.all(np.diff(response) < 0.0)
    lags = np.array([1, 3, 10, 30, 100, 300, 1_000])
    assert facts.power(lags.astype(np.float64), response[lags]) == pytest.approx(-0.25, abs=0.07)


def test_spread_widens_and_depth_thins_with_volatility(found: list[tuple[ReturnFacts, FlowFacts]]) -> None:
    for _, flow in found:
        assert flow.spread_to_volatility > 0.5 and flow.depth_to_volatility < -0.4


def test_real_ticks_agree_in_sign(real_ticks: list[FlowFacts]) -> None:
    """Half an hour of two symbols: enough for the concavity and the direction of the averages, not for more."""
    assert all(0.0 < flow.impact_exponent < 0.95 for flow in real_ticks)
    assert np.mean([flow.sign_acf[:5] for flow in real_ticks]) > 0.02
    assert np.mean([flow.spread_to_volatility for flow in real_ticks]) > 0.0
    assert np.mean([flow.depth_to_volatility for flow in real_ticks]) < 0.0


# events


@pytest.mark.parametrize("seed", [7, 8, 9])
def test_a_crash_of_a_fifth_within_the_hour_and_a_recovery_in_part(seed: int) -> None:
    simulated = simulate_market(seed=seed, days=7)
    assert simulated.truth is not None
    rows = np.flatnonzero(simulated.truth.crash)
    assert np.all(simulated.observed[rows] == 1)
    mid = simulated.truth.mid[rows[0] - 1 : rows[-1] + 1]
    for i in SYMBOLS:
        bottom = int(np.argmin(mid[:60, i]))
        fall = mid[bottom, i] / mid[0, i] - 1.0
        assert -0.27 < fall < -0.14
        assert mid[-1, i] / mid[bottom, i] - 1.0 > 0.2 * -fall
        assert mid[:, i].min() / mid[0, i] - 1.0 > -0.3
    crash_volume = np.nanmedian(simulated.volume[rows[:60]], axis=0)
    assert np.all(crash_volume > 1.5 * np.nanmedian(simulated.volume, axis=0))


def test_the_wrong_ticks_of_the_default_market_are_few_and_there(market: SimulatedMarket) -> None:
    assert market.truth is not None
    wrong = int(np.sum(market.truth.bad_tick > 0))
    assert 5 < wrong < 100 and np.sum(market.truth.bad_tick == BAD_CLOSE) >= 3


# the planted edge


def test_a_plain_regression_finds_the_planted_edge(market: SimulatedMarket) -> None:
    for window, horizon in ((60, 60), (60, 120), (120, 120), (240, 120)):
        edge = facts.planted_edge(market, window, horizon)
        assert 8.0 < edge.slope_bps < 60.0, (window, horizon, edge)
        assert 0.06 < edge.correlation < edge.true_correlation < 0.6
        assert sum(slope > 0.0 for slope in edge.per_symbol_bps) >= 4


def test_the_edge_is_there_in_other_seeds_and_absent_at_zero() -> None:
    def slopes(edge: float) -> list[float]:
        runs = [simulate_market(seed=s, symbols=("SIMA", "SIMB", "SIMC"), edge=edge) for s in range(30, 38)]
        return [facts.planted_edge(run, 60, 120).slope_bps for run in runs]

    with_edge, without = np.array(slopes(1.0)), np.array(slopes(0.0))
    assert abs(without.mean()) < 2.5 * without.std(ddof=1) / np.sqrt(8)
    assert 10.0 < with_edge.mean() < 45.0 and np.mean(with_edge - without) > 15.0


def test_edge_zero_plants_no_drift_and_leaves_all_else_as_it_was() -> None:
    none, some = (simulate_market(symbols=("SIMA",), days=2, edge=e) for e in (0.0, 1.0))
    assert none.truth is not None and some.truth is not None
    assert not none.truth.drift.any() and some.truth.drift.any()
    np.testing.assert_array_equal(none.truth.volatility, some.truth.volatility)
    moved = np.log(some.truth.mid[:, 0] / none.truth.mid[:, 0])
    np.testing.assert_allclose(moved, np.cumsum(some.truth.drift[:, 0]), atol=1e-9)
