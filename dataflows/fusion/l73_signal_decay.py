"""L73: how old the news is."""

from __future__ import annotations

from typing import NamedTuple

from dataflows.fusion.config import FusionConfig
from dataflows.fusion.freshness import News, freshness_of
from dataflows.fusion.types import Decay, Signals
from dataflows.layer import layer
from dataflows.pattern.types import PatternConsensus


class SignalDecayCarry(NamedTuple):
    """The signal when it was last renewed."""

    news: News


@layer("L73")
def l73_signal_decay(
    l50_pattern_consensus: PatternConsensus, l66_signal_matrix: Signals, fusion: FusionConfig, carry: SignalDecayCarry
) -> Decay:
    """Freshness (T, N) in [0, 1]: 1 on the bar that renews the signal, then halved every `decay_halflife_bars`.

    The signal is the sum of the sources over their number, an unknown one counting 0. It is renewed when it takes a side by
    `decay_step` or more (its first, or the other one); when it rises by as much, on its side, above the weakest it has been
    since the last renewal; and when another pattern than before leads L50. So a signal that merely stays, or fades, grows old.
    The step is the signal's usual deviation on perpetuals, which renews it on 4 % of their bars. 0 before the first; NaN, and
    nothing ages, while every source is unknown.
    """
    values, leader = l66_signal_matrix.values, l50_pattern_consensus.dominant
    return Decay(freshness_of(values, leader, fusion.decay_step, fusion.decay_halflife_bars, carry.news))
