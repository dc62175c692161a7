"""Depth, impact, slippage, cost and liquidity of contracts are those of the coins or shares that they stand for."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest

from dataflows.data.types import Clock, DataConfig, Flow, Instruments, Market, unknown_instruments
from dataflows.execution.types import ExecutionConfig, Ledger
from dataflows.fusion.config import FusionConfig
from dataflows.fusion.l71_trading_cost import l71_trading_cost
from dataflows.kinematics.types import Returns
from dataflows.microstructure.book_walk import safe_side, walk_side
from dataflows.microstructure.config import MicrostructureConfig
from dataflows.microstructure.l8_spread_depth import l8_spread_depth
from dataflows.microstructure.l59_price_impact import l59_price_impact
from dataflows.microstructure.l63_tradeability import l63_tradeability
from dataflows.microstructure.types import (
    BookImbalance,
    FlowToxicity,
    OrderFlowImbalance,
    PriceImpact,
    SpreadDepth,
    Tradeability,
    TradePressure,
)
from dataflows.panel import Floats, leaves
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.l47_impact_reversal import l47_impact_reversal
from dataflows.regime.types import Regime
from dataflows.risk.config import RiskConfig
from dataflows.risk.l79_liquidity_stress import l79_liquidity_stress
from dataflows.risk.l85_instrument_cap import l85_instrument_cap
from dataflows.risk.types import LiquidityStress
from tests.dataflows.microstructure.markets import instruments, random_book, traded, with_book
from tests.support import carry_of, filled, row, run_columnar

BARS = 400
MICRO = MicrostructureConfig(
    proxy_window_bars=20, proxy_errors=0.0, impact_least_bars=30, order_notionals=(1e3, 2e4, 4e5), safe_slippage_bps=20.0
)
CONFIGS: dict[str, Any] = {
    "microstructure": MICRO,
    "data": DataConfig(),
    "fusion": FusionConfig(cost_reference_notional=5e4),
    "execution": ExecutionConfig(),
    "risk": RiskConfig(cap_volume_bars=60),
    "pattern": PatternConfig(),
}


class Contract(NamedTuple):
    multiplier: float
    inverse: int

    def units(self, base: Floats, price: Floats) -> Floats:
        """So many contracts have the notional of `base` units at the price."""
        return base * price * price / self.multiplier if self.inverse else base / self.multiplier


def market_of(contract: Contract) -> tuple[Market, Instruments]:
    """A symbol with a book and one without, drawn in base units and told in contracts."""
    rng = np.random.default_rng(5)
    bid, bid_size, ask, ask_size = random_book(rng, (BARS, 2))
    bid_size, ask_size = (400.0 * x for x in (bid_size, ask_size))
    plain = traded(rng, BARS, 2, spread=1e-3, sigma=5e-4)
    price = plain.bars.close
    volume = contract.units(1_000.0 * plain.bars.volume, price)
    bars = plain.bars._replace(volume=volume, vwap=price)
    bought = volume * rng.beta(2.0, 2.0, volume.shape)
    book = with_book(bid, contract.units(bid_size, bid), ask, contract.units(ask_size, ask)).book
    flow = filled(Flow, volume.shape, np.nan, buy_volume=bought, sell_volume=volume - bought)
    facts = unknown_instruments(2)._replace(
        multiplier=np.full(2, contract.multiplier),
        inverse=np.full(2, contract.inverse, np.int64),
        book_feed=np.array([1, 0]),
        taker_fee_bps=np.full(2, 5.0),
    )
    return plain._replace(bars=bars, book=book, flow=flow), facts


def everything(contract: Contract) -> dict[str, Any]:
    """The layers that count notional, by name."""
    market, facts = market_of(contract)
    shape = market.bars.close.shape
    r = np.vstack([np.zeros((1, 2)), np.diff(np.log(market.bars.close), axis=0)])
    signed = market.flow.buy_volume - market.flow.sell_volume
    values: dict[str, Any] = {
        "l0_market_feed": market,
        "instruments": facts,
        "l1_regime": filled(Regime, shape, 0.1),
        "l2_returns_volatility": filled(Returns, shape, 5e-4, r_1=r),
        "l9_book_imbalance": filled(BookImbalance, shape, 0.1),
        "l10_trade_pressure": filled(TradePressure, shape, 0.1, signed_volume=signed, proxied=np.zeros(shape, np.int64)),
        "l61_flow_toxicity": filled(FlowToxicity, shape, 0.5),
        "l62_order_flow_imbalance": filled(OrderFlowImbalance, shape, 1.0),
    }
    for fn in COLUMNAR:
        taken = {name: values[name] for name in fn.__annotations__ if name in values}
        values[fn.__name__] = run_columnar(fn, taken, CONFIGS)
    carry, caps = carry_of(l85_instrument_cap, 2, CONFIGS), []
    for t in range(BARS):
        given = [row(values[name], kind, t) for name, kind in TAKEN_BY_L85.items()]
        ledger = filled(Ledger, (2,), 0.0, mark=market.bars.close[t])._replace(equity=1e6)
        caps.append(l85_instrument_cap(*given, ledger, facts, Clock(t, 1, 0, 0.0, -1, 0), CONFIGS["risk"], carry).fraction)
    values["l85_instrument_cap"] = np.array(caps)
    return values


COLUMNAR: tuple[Any, ...] = (
    l8_spread_depth,
    l59_price_impact,
    l63_tradeability,
    l71_trading_cost,
    l79_liquidity_stress,
    l47_impact_reversal,
)
TAKEN_BY_L85: dict[str, Any] = {
    "l0_market_feed": Market,
    "l63_tradeability": Tradeability,
    "l79_liquidity_stress": LiquidityStress,
}


@pytest.fixture(scope="module")
def coins() -> dict[str, Any]:
    return everything(Contract(1.0, 0))


@pytest.mark.parametrize("contract", [Contract(50.0, 0), Contract(0.001, 0), Contract(100.0, 1), Contract(1e-3, 1)], ids=str)
def test_contracts_of_the_same_notional_are_the_same_market(contract: Contract, coins: dict[str, Any]) -> None:
    told = everything(contract)
    known = 0
    for values in (coins, told):  # the touch is weighted by contracts, which is another price by less than the spread
        values["l8_spread_depth"] = values["l8_spread_depth"]._replace(microprice=values["l8_spread_depth"].mid)
    for name in (*(fn.__name__ for fn in COLUMNAR), "l85_instrument_cap"):
        for a, b in zip(leaves(coins[name]), leaves(told[name]), strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-9, atol=0.0, err_msg=name)
            known += int(np.isfinite(a).any())
    assert known >= 20
    assert (coins["l63_tradeability"].max_safe_notional[-1] > 0.0).all() and (coins["l85_instrument_cap"][-1] > 0.0).all()
    assert np.isfinite(coins["l71_trading_cost"].round_trip_bps[-1]).all()


def test_a_book_of_futures_is_walked_by_hand() -> None:
    """Futures of 50 at 100: the touch at 100.01 shows 2 of them, 10,001; an order of 15,000 takes 4,999 at 100.03 as well."""
    ask_price, ask_size = np.array([[[100.01, 100.03]]]), np.array([[[2.0, 3.0]]])
    bid_price, bid_size = np.array([[[99.99, 99.97]]]), np.array([[[2.0, 3.0]]])
    market = with_book(bid_price, bid_size, ask_price, ask_size)
    facts = instruments(1, feed=1, multiplier=50.0)
    seen = run_columnar(l8_spread_depth, {"l0_market_feed": market, "instruments": facts}, CONFIGS)
    assert seen.ask_depth[0, 0] == pytest.approx(50.0 * (2.0 * 100.01 + 3.0 * 100.03))
    one = 50.0 * 2.0 * 100.01
    by_hand = (one * 1.0 + (15_000.0 - one) * 3.0) / 15_000.0
    assert walk_side(ask_price, ask_size, 0, 0, 100.0, 1.0, 10.0, 0.0, 15_000.0, 50.0, 0) == pytest.approx(by_hand)
    whole = 50.0 * (2.0 * 100.01 + 3.0 * 100.03)
    assert safe_side(ask_price, ask_size, 0, 0, 100.0, 1.0, 10.0, 5.0, 50.0, 0) == pytest.approx(whole)


def test_a_book_of_inverse_contracts_is_walked_by_hand() -> None:
    """Contracts of 100 dollars at 20,000 dollars a coin: 400 of them are 2 coins at 20,000, and 1.998 at 20,020."""
    price, size = np.array([[[20_000.0, 20_020.0]]]), np.array([[[400.0, 400.0]]])
    mid = 19_980.0
    near, far = (1e4 * (p - mid) / mid for p in (20_000.0, 20_020.0))
    by_hand = (2.0 * near + 1.0 * far) / 3.0
    assert walk_side(price, size, 0, 0, mid, 1.0, 50.0, 0.0, 3.0, 100.0, 1) == pytest.approx(by_hand)
    assert safe_side(price, size, 0, 0, mid, 1.0, 50.0, 50.0, 100.0, 1) == pytest.approx(2.0 + 40_000.0 / 20_020.0)


@pytest.mark.parametrize(("contract", "volume"), [(Contract(50.0, 0), 20.0), (Contract(1e6, 1), 10.0)])
def test_the_cost_of_a_trade_goes_by_what_contracts_are_worth(contract: Contract, volume: float) -> None:
    """100,000 trade in a minute of 100, as 20 futures of 50 or 10 inverse contracts of 1,000,000: L71 by hand."""
    shape = (61, 1)
    price = np.full(shape, 100.0)
    market = with_book(*(np.full((*shape, 1), x) for x in (99.99, 1e9, 100.01, 1e9)))
    market = market._replace(bars=market.bars._replace(volume=np.full(shape, volume), close=price), funding=np.zeros(shape))
    facts = instruments(1, feed=1, multiplier=contract.multiplier, inverse=contract.inverse)
    got = run_columnar(
        l71_trading_cost,
        {
            "l0_market_feed": market,
            "l2_returns_volatility": filled(Returns, shape, 1e-3),
            "l8_spread_depth": filled(SpreadDepth, shape, 1.0, spread_bps=np.full(shape, 2.0)),
            "l59_price_impact": PriceImpact(*(np.full(shape, x) for x in (np.nan, 0.0, np.nan))),
            "l63_tradeability": filled(Tradeability, shape, 0.5, slippage_bps=np.zeros((*shape, 3))),
            "instruments": facts._replace(taker_fee_bps=np.array([5.0])),
        },
        {**CONFIGS, "fusion": FusionConfig(cost_reference_notional=1e4, cost_delta=0.5)},
    )
    impact = 2.0 * 1e4 * 1e-3 * np.sqrt(1_440.0) * np.sqrt(1e4 / (1e5 * 1_440.0))
    assert got.impact_bps[-1, 0] == pytest.approx(impact)
    assert got.round_trip_bps[-1, 0] == pytest.approx(12.0 + impact)
