"""How far the sources agree: L72's kernel."""

from __future__ import annotations

import math

import numpy as np

from dataflows.kernels.arith import clip, sign
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


@kernel
def source_agreement(values: Floats) -> tuple[Floats, Floats, Ints]:
    """Agreement and entropy, both (T, N) in [0, 1], and the index of the strongest source, of values (T, N, K).

    Agreement: |sum of the signs| / K, so that an unknown source only weakens it. Entropy: of the shares of sum |v|, over log K;
    0 when one source says it all. NaN and -1 where every source is unknown; entropy NaN and -1 where all are 0.
    """
    bars, symbols, width = values.shape
    agreement = np.empty((bars, symbols))
    entropy = np.empty((bars, symbols))
    dominant = np.empty((bars, symbols), np.int64)
    most = math.log(float(width))
    for t in range(bars):
        for n in range(symbols):
            known = 0
            signs = 0.0
            whole = 0.0
            top = -1
            strongest = 0.0
            for k in range(width):
                v = values[t, n, k]
                if v == v:
                    known += 1
                    signs += sign(v)
                    size = math.fabs(v)
                    whole += size
                    if size > strongest:
                        strongest = size
                        top = k
            spread = 0.0
            if whole > 0.0:
                for k in range(width):
                    share = math.fabs(values[t, n, k]) / whole
                    if share > 0.0:
                        spread -= share * math.log(share)
            agreement[t, n] = math.fabs(signs) / width if known > 0 else math.nan
            entropy[t, n] = clip(spread / most, 0.0, 1.0) if whole > 0.0 else math.nan
            dominant[t, n] = top
    return agreement, entropy, dominant
