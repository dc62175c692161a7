"""L61: is the flow one-sided, as informed flow is."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from dataflows.carry import Bind
from dataflows.data.types import DataConfig, Market
from dataflows.kernels.order import RankWindow, rolling_rank
from dataflows.layer import layer
from dataflows.microstructure.config import MicrostructureConfig
from dataflows.microstructure.trade_flow import Buckets, toxicity
from dataflows.microstructure.types import FlowToxicity, TradePressure


class FlowToxicityCarry(NamedTuple):
    """What L61 needs of the past."""

    buckets: Annotated[Buckets, Bind(W="toxicity_buckets")]
    window: Annotated[RankWindow, Bind(W="toxicity_window_bars")]


@layer("L61")
def l61_flow_toxicity(
    l0_market_feed: Market,
    l10_trade_pressure: TradePressure,
    data: DataConfig,
    microstructure: MicrostructureConfig,
    carry: FlowToxicityCarry,
) -> FlowToxicity:
    """Volume-synchronised probability of informed trading over `toxicity_buckets` buckets. Panels (T, N).

    vpin in [0, 1]: mean share of a bucket that one side bought or sold more than the other; a bucket holds a day's usual
    volume over `toxicity_buckets_per_day`. vpin_percentile in [0, 1]: its rank among the last `toxicity_window_bars` valid
    bars before this one. NaN until the buckets are full; held where nothing traded and on bars that are not valid.
    Source: Easley, Lopez de Prado and O'Hara (2012).
    """
    bars_a_day = float(data.bars_a_day)
    valid = l0_market_feed.quality.valid
    vpin = toxicity(
        l0_market_feed.bars.volume,
        l10_trade_pressure.signed_volume,
        valid,
        bars_a_day / microstructure.toxicity_buckets_per_day,
        bars_a_day,
        carry.buckets,
    )
    return FlowToxicity(vpin, rolling_rank(vpin, valid, carry.window))
