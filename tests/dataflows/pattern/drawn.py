"""Drawn paths: quiet bars, then what the test draws; every price a multiple of 1/16, so that a mirror image is exact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dataflows.data.types import DataConfig, Market
from dataflows.kinematics.l2_returns_volatility import l2_returns_volatility
from dataflows.kinematics.l18_breakout_short import l18_breakout_short
from dataflows.microstructure.types import OrderFlowImbalance
from dataflows.panel import Floats
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.types import PatternSignal
from tests.dataflows.data.observed import START, hole, instruments, market, observe
from tests.dataflows.kinematics.chain import run
from tests.support import filled, run_columnar

QUIET = 60
WICK = 1.0 / 16.0
TOP = 100.25 + WICK
"""High of the quiet bars, and so the edge of the channel that a path breaks."""
BRISK = PatternConfig(confirmed_volume_bars=20, confirmed_life_bars=8, failed_within_bars=4, failed_life_bars=8)


def path(
    drawn: Sequence[float],
    *,
    mirrored: bool = False,
    volume: Mapping[int, float] | None = None,
    opens: Mapping[int, float] | None = None,
    highs: Mapping[int, float] | None = None,
    lows: Mapping[int, float] | None = None,
    lost: Any = (),
    start: int = START,
) -> Market:
    """Closes swing about 100 for QUIET bars and then go as drawn. volume: of bars of the drawing, else 10 and 12 in turn.
    opens: of bars of the drawing, else the close before; highs, lows: else a wick beyond open and close. mirrored: about 100.
    lost: bars of the drawing that were not observed. start: UTC ns, when the first bar opens."""
    close = np.concatenate([100.0 + 0.25 * np.tile([0.0, 1.0, 0.0, -1.0], QUIET // 4), drawn])[:, None]
    open_ = np.vstack([close[:1], close[:-1]])
    for at, v in (opens or {}).items():
        open_[QUIET + at] = v
    high, low = np.maximum(open_, close) + WICK, np.minimum(open_, close) - WICK
    for prices, given in ((high, highs), (low, lows)):
        for at, price in (given or {}).items():
            prices[QUIET + at] = price
    if mirrored:
        open_, high, low, close = 200.0 - open_, 200.0 - low, 200.0 - high, 200.0 - close
    traded = np.where(np.arange(len(close)) % 2 == 0, 10.0, 12.0)[:, None]
    for at, v in (volume or {}).items():
        traded[QUIET + at] = v
    seen = observe(close, start=start, open=open_, high=high, low=low, volume=traded, buy_volume=0.5 * traded)
    return market(hole(seen, [QUIET + i for i in lost]) if len(lost) else seen)


def upstream(seen: Market, flow: Mapping[int, float] | None = None) -> dict[str, Any]:
    """What the patterns take: the layers before them over the market; flow: L62's z on bars of the drawing, else 0."""
    values: dict[str, Any] = {"l0_market_feed": seen, "instruments": instruments(seen.bars.close.shape[1])}
    for fn in (l2_returns_volatility, l18_breakout_short):
        values[fn.__name__] = run(fn, values)
    z: Floats = np.zeros(seen.bars.close.shape)
    for at, v in (flow or {}).items():
        z[QUIET + at] = v
    values["l62_order_flow_imbalance"] = filled(OrderFlowImbalance, z.shape, 0.0, ofi_z=z)
    return values


MINUTES = DataConfig()


def signal(fn: Any, values: Mapping[str, Any], config: PatternConfig = BRISK, data: DataConfig = MINUTES) -> PatternSignal:
    """One pattern over what it takes."""
    taken = {name: v for name, v in values.items() if name in fn.__annotations__}
    made: PatternSignal = run_columnar(fn, taken, {"pattern": config, "data": data})
    return made


def drawn_part(signals: PatternSignal) -> tuple[list[int], list[int]]:
    """(active, side) of the drawing; nothing may be active in the quiet bars."""
    assert not signals.active[:QUIET].any()
    return signals.active[QUIET:, 0].tolist(), signals.side[QUIET:, 0].tolist()
