"""L70 horizon, L71 cost, L72 agreement, L75 size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from dataflows.data.config import DataConfig
from dataflows.fusion.costs import Waiting, expected_trip
from dataflows.fusion.l70_horizon import l70_horizon
from dataflows.fusion.l71_trading_cost import l71_trading_cost
from dataflows.fusion.l72_agreement import l72_agreement
from dataflows.fusion.l75_size_suggestion import l75_size_suggestion
from dataflows.fusion.types import Agreement, Cost, Expectancy, Horizon, K, Signals, SizeSuggestion, Success
from dataflows.microstructure.types import PriceImpact, SpreadDepth, Tradeability
from dataflows.panel import Floats
from dataflows.risk.config import RiskConfig
from tests.dataflows.fusion.world import CONFIG, CONFIGS, forecast, instruments, market, parts_of, returns
from tests.support import filled, run_columnar

ONE = (1, 1)
RISK = RiskConfig()


def expected(edges: list[float], std: float = 5.0) -> Expectancy:
    edge = np.array(edges)[None, None, :]
    return Expectancy(edge, np.full(edge.shape, std), np.full(edge.shape, 200.0), np.zeros((1, 1, K)), parts_of(edge))


def costs(round_trip: float = 0.0, carry: float = 0.0) -> Cost:
    made: Cost = filled(Cost, ONE, 0.0, round_trip_bps=np.full(ONE, round_trip), carry_bps_per_bar=np.full(ONE, carry))
    return made


def horizon(edges: list[float], round_trip: float = 0.0, carry: float = 0.0) -> Horizon:
    got: Horizon = run_columnar(
        l70_horizon, {"l67_expectancy": expected(edges), "l71_trading_cost": costs(round_trip, carry)}, CONFIGS
    )
    return got


@pytest.mark.parametrize("best", range(4))
@pytest.mark.parametrize("side", [1.0, -1.0])
def test_l70_picks_the_planted_best(best: int, side: float) -> None:
    edges = [side * (10.0 + 4.0 * math.sqrt(h)) for h in CONFIG.horizons]
    edges[best] = side * (10.0 + 8.0 * math.sqrt(CONFIG.horizons[best]))
    got = horizon(edges, 10.0)
    assert got.bars[0, 0] == CONFIG.horizons[best]
    assert got.chosen[0, 0] == best
    assert got.net_edge_bps[0, 0] == pytest.approx(8.0 * math.sqrt(CONFIG.horizons[best]))


def test_l70_takes_what_is_learned_before_what_is_not() -> None:
    edge = expected([12.0, 0.0, 0.0, 500.0])
    few = np.array([[[100.0, 300.0, 300.0, 99.0]]])
    for observations, bars in ((few, 5.0), (few * 0.5, 240.0), (few * 2.0, 240.0)):
        got = run_columnar(
            l70_horizon,
            {"l67_expectancy": edge._replace(effective_observations=observations), "l71_trading_cost": costs(10.0)},
            CONFIGS,
        )
        assert got.bars[0, 0] == bars


def test_l70_pays_funding_and_counts_on_none() -> None:
    assert horizon([0.0, 0.0, 20.0, 0.0], 5.0, 0.1).net_edge_bps[0, 0] == pytest.approx(20.0 - 5.0 - 0.1 * 60)
    assert horizon([0.0, 0.0, 20.0, 0.0], 5.0, -0.1).net_edge_bps[0, 0] == pytest.approx(15.0)
    assert horizon([0.0, 0.0, -20.0, 0.0], 5.0, -0.1).net_edge_bps[0, 0] == pytest.approx(20.0 - 5.0 - 0.1 * 60)


def test_l70_says_when_there_is_no_edge_and_when_it_knows_none() -> None:
    none = horizon([0.0] * 4, 7.0)
    assert np.isnan(none.bars[0, 0])
    assert none.net_edge_bps[0, 0] == -7.0
    assert none.chosen[0, 0] >= 0
    unknown = horizon([np.nan] * 4, 7.0)
    assert (np.isnan(unknown.bars[0, 0]), np.isnan(unknown.net_edge_bps[0, 0]), unknown.chosen[0, 0]) == (True, True, -1)
    assert horizon([np.nan, 3.0, 0.0, np.nan], 7.0).bars[0, 0] == 15.0  # a small edge goes before none
    assert horizon([0.0, 5.0, 5.0, 5.0], math.nan).chosen[0, 0] == -1


def cost_of(
    spread: float = 2.0,
    *,
    notional: float = 10_000.0,
    sigma: float = 1e-3,
    volume: float = 1_000.0,
    slippage: tuple[float, float, float] = (1.0, 1.0, 1.0),
    fee: float = 5.0,
    delta: float = 0.5,
    clock: int = 60,
    funding: float = 0.0,
    measured: float = math.nan,
    r2: float = math.nan,
    bars: int = 61,
) -> Cost:
    shape = (bars, 1)
    price = np.full(shape, 100.0)
    got: Cost = run_columnar(
        l71_trading_cost,
        {
            "l0_market_feed": market(price, price, volume=volume, funding=funding),
            "l2_returns_volatility": returns(np.full(shape, sigma)),
            "l8_spread_depth": filled(SpreadDepth, shape, 1.0, spread_bps=np.full(shape, spread)),
            "l59_price_impact": PriceImpact(np.full(shape, measured), np.full(shape, 0.0), np.full(shape, r2)),
            "l63_tradeability": filled(Tradeability, shape, 0.5, slippage_bps=np.tile(np.array(slippage), (bars, 1, 1))),
            "instruments": instruments(1, fee),
        },
        {
            **CONFIGS,
            "data": DataConfig(bars_a_day=86_400 // clock),
            "fusion": CONFIG._replace(cost_reference_notional=notional, cost_delta=delta),
        },
    )
    return got


def test_l71_by_hand() -> None:
    got = cost_of()
    day_volume = 1_000.0 * 100.0 * 1_440.0
    impact = 2.0 * 1e4 * 1e-3 * math.sqrt(1_440.0) * math.sqrt(10_000.0 / day_volume)
    assert got.spread_bps[-1, 0] == 2.0
    assert got.fee_bps[-1, 0] == 10.0
    assert got.impact_bps[-1, 0] == pytest.approx(impact)
    assert got.round_trip_bps[-1, 0] == pytest.approx(12.0 + impact)
    assert np.isnan(got.round_trip_bps[58, 0])  # the mean volume is not seeded
    flatter = cost_of(delta=0.6).impact_bps[-1, 0]
    assert flatter == pytest.approx(2.0 * 10.0 * math.sqrt(1_440.0) * (10_000.0 / day_volume) ** 0.6)


def test_l71_says_what_waiting_at_the_touch_saves_an_entry() -> None:
    spread, sigma, bars = 2.0, 1e-3, CONFIGS["execution"].style_wait_bars
    chance = 2.0 * (1.0 - norm.cdf(0.5e-4 * spread / (sigma * math.sqrt(bars))))  # a walk's largest move beyond the half spread
    got = cost_of(spread=spread, sigma=sigma, fee=5.0)  # the maker pays nothing
    assert got.entry_saving_bps[-1, 0] == pytest.approx(chance * (1.0 + 5.0))
    assert cost_of(sigma=np.nan).entry_saving_bps[-1, 0] == 0.0
    assert cost_of(fee=np.nan).entry_saving_bps[-1, 0] == 0.0


@pytest.mark.parametrize(("edge", "h", "trip"), [(30.0, 60.0, 12.0 - (4.0 - 1.5)), (30.0, 30.0, 12.0), (0.0, 60.0, 8.0)])
def test_a_round_trip_counts_on_waiting_only_where_l69_would_wait(edge: float, h: float, trip: float) -> None:
    """Three bars of an hour lose 1.5 bps of an edge of 30; twice that is less than the 4 that are saved, in half an hour not."""
    waiting = Waiting(bars=3, ratio=2.0)
    assert expected_trip(edge, 12.0, 4.0, h, waiting) == pytest.approx(trip)
    assert expected_trip(-edge, 12.0, 4.0, h, waiting) == pytest.approx(trip)


def test_l71_square_root_law_does_not_depend_on_the_clock() -> None:
    """A tenth of the bar, a tenth of its volume and of its variance: the same market."""
    fast = cost_of(clock=6, volume=100.0, sigma=1e-3 / math.sqrt(10.0), delta=0.6)
    assert fast.impact_bps[-1, 0] == pytest.approx(cost_of(delta=0.6).impact_bps[-1, 0])


@given(
    spread=st.floats(0.0, 500.0),
    more=st.floats(0.0, 500.0),
    measured=st.floats(-1e-4, 1e-4),
    r2=st.floats(0.0, 1.0),
    notional=st.floats(1.0, 1e9),
    factor=st.floats(1.0, 100.0),
    steps=st.tuples(*[st.floats(0.0, 100.0)] * 3),
)
def test_l71_is_never_negative_and_grows_with_size_and_spread(
    spread: float, more: float, measured: float, r2: float, notional: float, factor: float, steps: tuple[float, float, float]
) -> None:
    slippage = (
        steps[0] + (spread + more) / 2.0,
        steps[0] + steps[1] + (spread + more) / 2.0,
        sum(steps) + (spread + more) / 2.0,
    )
    base = cost_of(spread, notional=notional, slippage=slippage, measured=measured, r2=r2)
    for part in base[:4]:
        assert (part[-1] >= 0.0).all()
    larger = cost_of(spread, notional=notional * factor, slippage=slippage, measured=measured, r2=r2)
    assert larger.round_trip_bps[-1, 0] >= base.round_trip_bps[-1, 0] - 1e-9
    moved = tuple(s + more / 2.0 for s in slippage)
    wider = cost_of(spread + more, notional=notional, slippage=moved, measured=measured, r2=r2)  # type: ignore[arg-type]
    assert wider.round_trip_bps[-1, 0] >= base.round_trip_bps[-1, 0] - 1e-9


def test_l71_thin_book_costs_more_than_the_law_says() -> None:
    assert cost_of(slippage=(50.0, 60.0, 90.0)).impact_bps[-1, 0] == pytest.approx(2.0 * (60.0 - 1.0))


def test_l71_what_was_measured_counts_by_what_it_explains() -> None:
    law = cost_of().impact_bps[-1, 0]
    seen = 2.0 * 1e4 * 5e-6 * math.sqrt(10_000.0)
    assert cost_of(measured=5e-6, r2=1.0).impact_bps[-1, 0] == pytest.approx(seen)
    assert cost_of(measured=5e-6, r2=0.3).impact_bps[-1, 0] == pytest.approx(0.7 * law + 0.3 * seen)
    assert cost_of(measured=5e-6, r2=0.0).impact_bps[-1, 0] == pytest.approx(law)
    assert cost_of(measured=-5e-6, r2=0.3).impact_bps[-1, 0] == pytest.approx(0.7 * law)  # no trade is paid for its impact
    assert cost_of(measured=5e-6).impact_bps[-1, 0] == law
    assert cost_of(r2=0.3).impact_bps[-1, 0] == law


def test_l71_crossed_book_and_rebates_are_no_income_and_the_unknown_is_unknown() -> None:
    assert cost_of(-3.0).spread_bps[-1, 0] == 0.0
    assert cost_of(fee=-1.0).fee_bps[-1, 0] == 0.0
    assert cost_of(fee=math.nan).fee_bps[-1, 0] == 2.0 * CONFIG.cost_fee_bps
    assert np.isnan(cost_of(math.nan).round_trip_bps[-1, 0])
    assert np.isnan(cost_of(volume=0.0).round_trip_bps[-1, 0])
    assert np.isnan(cost_of(sigma=math.nan).round_trip_bps[-1, 0])


def test_l71_funding_is_the_mean_paid_a_bar() -> None:
    assert cost_of(funding=1e-6).carry_bps_per_bar[-1, 0] == pytest.approx(0.01)


def agree(values: list[float]) -> Agreement:
    got: Agreement = run_columnar(l72_agreement, {"l66_signal_matrix": Signals(np.array(values)[None, None, :])}, {})
    return got


@given(st.lists(st.one_of(st.floats(-1.0, 1.0), st.just(math.nan)), min_size=K, max_size=K))
def test_l72_lies_in_zero_to_one(values: list[float]) -> None:
    got = agree(values)
    for x in (got.agreement[0, 0], got.entropy[0, 0]):
        assert math.isnan(x) or 0.0 <= x <= 1.0
    assert math.isnan(got.agreement[0, 0]) == all(map(math.isnan, values))


def test_l72_by_hand() -> None:
    got = agree([0.5, 0.5, 0.5, 0.5])
    assert (got.agreement[0, 0], got.entropy[0, 0], got.dominant[0, 0]) == (1.0, pytest.approx(1.0), 0)
    got = agree([0.0, 0.0, -0.7, 0.0])
    assert (got.agreement[0, 0], got.entropy[0, 0], got.dominant[0, 0]) == (0.25, 0.0, 2)
    got = agree([0.4, -0.4, math.nan, math.nan])
    assert (got.agreement[0, 0], got.entropy[0, 0]) == (0.0, pytest.approx(0.5))
    got = agree([0.0] * 4)
    assert (got.agreement[0, 0], math.isnan(got.entropy[0, 0]), got.dominant[0, 0]) == (0.0, True, -1)


def size_of(
    edge: float, std: float = 5.0, round_trip: float = 10.0, sigma: float = 1e-3, p: float = 0.9, **config: Any
) -> float:
    made: dict[str, Any] = {
        "l76_volatility_forecast": forecast(np.full(ONE, sigma)),
        "l67_expectancy": expected([0.0, 0.0, edge, 0.0], std),
        "l68_success_probability": Success(np.full(ONE, p), np.full(ONE, 0.2)),
        "l71_trading_cost": costs(round_trip),
    }
    fusion = {**CONFIGS, "fusion": CONFIG._replace(**config)}
    made["l70_horizon"] = run_columnar(l70_horizon, {k: made[k] for k in ("l67_expectancy", "l71_trading_cost")}, fusion)
    got: SizeSuggestion = run_columnar(l75_size_suggestion, made, fusion)
    return float(got.fraction[0, 0])


def test_l75_by_hand() -> None:
    net, error, variance = 2e-4, 5e-4, 1e-6 * 60
    kelly = 0.1 * net / variance * net**2 / (net**2 + error**2)
    assert size_of(12.0, kelly_fraction=0.1) == pytest.approx(kelly)
    assert size_of(-12.0, kelly_fraction=0.1) == pytest.approx(kelly)  # a short is sized as a long


@given(
    edge=st.floats(-1e4, 1e4),
    std=st.floats(0.0, 1e4),
    cost=st.floats(0.0, 1e3),
    sigma=st.floats(1e-8, 1.0),
    p=st.floats(0.0, 1.0),
)
def test_l75_is_zero_when_the_edge_does_not_cover_the_cost_and_never_above_the_cap(
    edge: float, std: float, cost: float, sigma: float, p: float
) -> None:
    size = size_of(edge, std, cost, sigma, p)
    assert 0.0 <= size <= CONFIG.kelly_cap
    if abs(edge) <= cost:
        assert size == 0.0


def test_l75_no_larger_than_the_odds_of_target_and_stop_after_cost() -> None:
    stop = RISK.stop_sigma * 1e-3 * math.sqrt(CONFIG.success_horizon_bars)
    lost, won = stop + 10e-4, RISK.reward_risk * stop - 10e-4
    even = lost / (lost + won)  # the chance at which the bet is fair
    p = even + 1e-3
    bet = CONFIG.kelly_fraction * (p / lost - (1.0 - p) / won)
    assert 0.0 < bet < size_of(80.0, p=0.9)
    assert size_of(80.0, p=p) == pytest.approx(bet)
    assert size_of(-80.0, p=p) == pytest.approx(bet)
    assert size_of(80.0, p=even - 1e-3) == 0.0
    assert size_of(80.0, p=1.0 / (1.0 + RISK.reward_risk)) == 0.0  # L68 has learned nothing yet
    assert size_of(300.0, round_trip=250.0, p=1.0) == 0.0  # the cost is beyond the target


@given(edge=st.floats(11.0, 100.0), std=st.floats(0.1, 50.0), more=st.floats(0.0, 50.0))
def test_l75_falls_with_doubt_cost_and_volatility(edge: float, std: float, more: float) -> None:
    size = size_of(edge, std)
    assert size_of(edge, std + more) <= size + 1e-15
    assert size_of(edge, std, 10.0 + more) <= size + 1e-15
    assert size_of(edge, std, sigma=1e-3 * (1.0 + more)) <= size + 1e-15
    assert size_of(edge + more, std) >= size - 1e-15
    assert size_of(edge, std, p=0.9 / (1.0 + more)) <= size + 1e-15


@pytest.mark.parametrize(
    "bad",
    [
        {"edge": 20.0, "std": math.nan},
        {"edge": 20.0, "sigma": math.nan},
        {"edge": 20.0, "round_trip": math.nan},
        {"edge": 20.0, "p": math.nan},
    ],
)
def test_l75_is_unknown_where_an_input_is(bad: dict[str, float]) -> None:
    assert math.isnan(size_of(**bad))


def test_l75_runs_on_a_whole_panel() -> None:
    rng = np.random.default_rng(1)
    edge: Floats = rng.normal(0.0, 20.0, (50, 3, 4))
    got = run_columnar(
        l75_size_suggestion,
        {
            "l76_volatility_forecast": forecast(np.full((50, 3), 1e-3)),
            "l67_expectancy": Expectancy(edge, np.abs(edge), np.abs(edge), edge, parts_of(edge)),
            "l68_success_probability": Success(np.full((50, 3), 0.9), np.full((50, 3), 0.2)),
            "l70_horizon": Horizon(np.full((50, 3), 60.0), edge[..., 0].copy(), np.full((50, 3), 2, np.int64)),
            "l71_trading_cost": filled(Cost, (50, 3), 3.0, entry_saving_bps=np.zeros((50, 3))),
        },
        CONFIGS,
    ).fraction
    assert got.shape == (50, 3)
    assert ((got > 0.0) == (np.abs(edge[..., 2]) - 3.0 - 3.0 * 60.0 * (edge[..., 2] > 0.0) > 0.0)).all()
