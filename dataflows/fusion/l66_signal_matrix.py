"""L66: what each source says of the next move, all on one scale."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from dataflows.carry import Bind
from dataflows.data.types import Market
from dataflows.fusion.config import FusionConfig
from dataflows.fusion.types import Signals
from dataflows.kernels.fuse import signal_values, squashed
from dataflows.kernels.order import SortedWindow
from dataflows.kinematics.types import Alignment, KinematicState
from dataflows.layer import layer
from dataflows.regime.types import Regime


class SignalMatrixCarry(NamedTuple):
    """The last sizes of every source that is not bounded by construction."""

    momentum: Annotated[SortedWindow, Bind(W="signal_window_5")]


@layer("L66")
def l66_signal_matrix(
    l0_market_feed: Market,
    l1_regime: Regime,
    l25_timeframe_alignment: Alignment,
    l60_kinematic_state: KinematicState,
    fusion: FusionConfig,
    carry: SignalMatrixCarry,
) -> Signals:
    """Four sources, panels (T, N, 4), each in [-1, 1] and positive for up.

    regime: P(trend up) - P(trend down). trend: mean of L25's agreement across timeframes and L60's damped trend score; one that
    is unknown counts 0. reversion: L60's reversion score. These three are bounded by construction and pass as they are.
    momentum: the t-statistic of the last half hour's slope, which is not: tanh(t / s), s = 1.4826 * trailing median of |t| at
    the last `signal_window_5` closes of 5-bars before this bar, at least `signal_floor`. Not centred, so the sign is kept.
    (Every fifth bar: neighbours share most of their half hour, so the others add work and hardly any knowledge.)
    NaN where a source says nothing: momentum until 30 values are known, the others while what they read is unknown.
    Takes L0 for that mask alone; a 5-bar with a missing part does not enter the scale. Later sources append columns.
    """
    momentum = squashed(l1_regime.trend_t, l0_market_feed.bars_5.closed, fusion.signal_floor, carry.momentum)
    return Signals(
        signal_values(
            l1_regime.trend_up,
            l1_regime.trend_down,
            l25_timeframe_alignment.score,
            l60_kinematic_state.trend_score,
            momentum,
            l60_kinematic_state.reversion_score,
        )
    )
