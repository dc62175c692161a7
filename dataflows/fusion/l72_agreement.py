"""L72: do the sources agree, or does one of them speak alone."""

from __future__ import annotations

from dataflows.fusion.agreement import source_agreement
from dataflows.fusion.types import Agreement, Signals
from dataflows.layer import layer


@layer("L72")
def l72_agreement(l66_signal_matrix: Signals) -> Agreement:
    """Panels (T, N): agreement and entropy in [0, 1], dominant a SOURCES index or -1.

    Agreement: |sum of the sources' signs| over their number; an unknown source only weakens it. Entropy: Shannon (1948), of the
    sources' shares of the total strength, over its greatest value; 0 when one source says it all, NaN when all are 0. NaN and
    -1 where every source is unknown.
    """
    return Agreement(*source_agreement(l66_signal_matrix.values))
