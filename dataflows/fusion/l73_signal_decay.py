"""L73: how old the news is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dataflows.fusion.config import FusionConfig
from dataflows.fusion.types import Decay, Signals
from dataflows.kernels.fuse import News, freshness_of
from dataflows.layer import layer


class SignalDecayCarry(NamedTuple):
    """The signal when it was last renewed."""

    news: News


@layer("L73")
def l73_signal_decay(l66_signal_matrix: Signals, fusion: FusionConfig, carry: SignalDecayCarry) -> Decay:
    """Freshness (T, N) in [0, 1]: 1 on the bar that renews the signal, then halved every `decay_halflife_bars`.

    The signal is the sum of the sources over their number, an unknown one counting 0. It is renewed when it takes a side by
    `decay_step` or more (its first, or the other one), and when it rises by as much, on its side, above the weakest it has been
    since the last renewal. So a signal that merely stays, or fades, grows old. 0 before the first; NaN, and nothing ages, while
    every source is unknown.
    """
    values = l66_signal_matrix.values
    none = np.zeros(values.shape[:2], np.int64)
    return Decay(freshness_of(values, none, fusion.decay_step, fusion.decay_halflife_bars, carry.news))
