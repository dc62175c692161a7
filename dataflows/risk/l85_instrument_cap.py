"""L85: how much of one symbol, for its own sake and for that of the market it trades in."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

from dataflows.carry import Bind
from dataflows.data.types import Clock, Instruments, Market
from dataflows.execution.types import Ledger
from dataflows.kernels.contract import notional_of
from dataflows.kernels.window import RollingSum, sum_push, window_sum
from dataflows.layer import layer
from dataflows.microstructure.types import UNKNOWN, Tradeability
from dataflows.risk.config import RiskConfig
from dataflows.risk.types import LiquidityStress, SizeCap
from dataflows.runtime.scratch import full


class InstrumentCapCarry(NamedTuple):
    """Notional of the last `cap_volume_bars` valid bars."""

    notional: Annotated[RollingSum, Bind(W="cap_volume_bars")]


@layer("L85", schedule="step")
def l85_instrument_cap(
    l0_market_feed: Market,
    l63_tradeability: Tradeability,
    l79_liquidity_stress: LiquidityStress,
    l97_ledger: Ledger,
    instruments: Instruments,
    clock: Clock,
    risk: RiskConfig,
    carry: InstrumentCapCarry,
) -> SizeCap:
    """The smallest of max_fraction, a share of what trades, and what can be left in time when the market dries up.

    The share is cap_participation of the notional traded in the last `cap_volume_bars` valid bars; in time is within
    `max_liquidation_bars`, by L79. Returns (N,) fractions of equity, >= 0. 0 when equity is not positive or unknown, until
    that many valid bars and a mark are known, and where the liquidity is unknown or L79 is infinite. 0 admits no increase;
    it is no reason to close (see L86). Thinner liquidity never raises it. Notional is that of the contracts, in the
    account's currency."""
    symbols = l0_market_feed.bars.volume.shape[0]
    equity = l97_ledger.equity
    fraction = full(symbols, 0.0)
    for n in range(symbols):
        vwap = l0_market_feed.bars.vwap[n]
        unit = notional_of(vwap, instruments.multiplier[n], instruments.inverse[n]) if vwap > 0.0 else math.nan
        traded = l0_market_feed.bars.volume[n] * unit
        if clock.is_bar != 0 and l0_market_feed.quality.valid[n] != 0 and 0.0 <= traded < math.inf:
            sum_push(traded, n, carry.notional)
        marked = l97_ledger.mark[n] > 0.0
        if marked and 0.0 < equity < math.inf and l63_tradeability.liquidity_class[n] != UNKNOWN:
            cap = risk.cap_participation * window_sum(n, carry.notional) / equity
            time = l79_liquidity_stress.bars_to_liquidate[n]
            in_time = risk.max_liquidation_bars / time * risk.liquidity_notional / equity if time > 0.0 else math.nan
            if cap >= 0.0 and in_time >= 0.0:
                cap = cap if cap < in_time else in_time
                fraction[n] = cap if cap < risk.max_fraction else risk.max_fraction
    return SizeCap(fraction)
