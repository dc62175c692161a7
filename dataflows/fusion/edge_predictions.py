"""What L67 says of each bar, from the last solution of a horizon's equations."""

from __future__ import annotations

import math
from typing import NamedTuple

from dataflows.fusion.edge_calibration import REGIME_COUNT, VOLATILITY_COUNT
from dataflows.fusion.edge_samples import LARGEST, Predictors, Seen
from dataflows.panel import Floats, Ints
from dataflows.runtime.compile import kernel


class Posterior(NamedTuple):
    """What predictions of one horizon are made of; see `Solution`."""

    slope: Floats  # (N, K)
    factor: Floats  # (N, K, K)
    variance: Floats  # (N,)
    seen: Floats  # (N,)
    volatility: Floats  # (VOLATILITY_COUNT,)
    regime: Floats  # (REGIME_COUNT,)
    prior: float  # bps that one unit of the score is believed to be worth
    stated: float  # effective observations behind that


class Predicted(NamedTuple):
    """The predictions of one horizon, panels (T, N)."""

    edge: Floats  # bps
    std: Floats  # bps
    known: Floats
    parts: Floats  # (T, N, PARTS), bps
    slope: Floats  # (T, N, K), bps per unit of the source: of one horizon alone
    raw: Floats  # standard deviations
    claim: Floats
    belief: Floats  # a return


@kernel
def predict_four(
    n: int, t: int, end: int, root: float, heard: Ints, said: Predictors, seen: Seen, of: Posterior, out: Predicted
) -> None:
    """Predictions of symbol n at bars t to t + 3, of which those from `end` on count as the one before it.

    Four at a time: their sums do not wait for each other. root: of the horizon's bars.
    """
    sources, score, sigma = seen.sources, said.score, said.sigma
    own, square, by_volatility, by_regime = of.slope[n], of.factor[n], of.volatility, of.regime
    width = len(own)
    if sources.shape[2] != width or square.shape[0] != width or square.shape[1] != width or out.parts.shape[2] != width + 1:
        raise ValueError("predict_four: not of one number of sources")  # said once, it need not be checked in the loops
    t1, t2, t3 = min(t + 1, end - 1), min(t + 2, end - 1), min(t + 3, end - 1)
    x0, x1, x2, x3 = sources[t, n], sources[t1, n], sources[t2, n], sources[t3, n]
    raw0 = raw1 = raw2 = raw3 = 0.0
    for k in range(width):
        v = own[k]
        raw0 += v * x0[k]
        raw1 += v * x1[k]
        raw2 += v * x2[k]
        raw3 += v * x3[k]
    square0 = square1 = square2 = square3 = 0.0  # x' a^-1 x
    for i in heard:
        if not 0 <= i < width:
            raise ValueError("predict_four: no such source")
        row = square[i]
        s0 = s1 = s2 = s3 = 0.0
        for k in range(i + 1):
            v = row[k]
            s0 += v * x0[k]
            s1 += v * x1[k]
            s2 += v * x2[k]
            s3 += v * x3[k]
        square0 += s0 * s0
        square1 += s1 * s1
        square2 += s2 * s2
        square3 += s3 * s3
    for at, raw, form in ((t, raw0, square0), (t1, raw1, square1), (t2, raw2, square2), (t3, raw3, square3)):
        part = out.parts[at, n]
        if seen.told[at, n] == 0:
            out.raw[at, n] = out.claim[at, n] = out.belief[at, n] = 0.0
            out.edge[at, n] = out.std[at, n] = out.known[at, n] = math.nan
            for k in range(width + 1):
                part[k] = math.nan
            continue
        within = LARGEST / math.fabs(raw) if math.fabs(raw) > LARGEST else 1.0
        factor = 0.0
        shares = seen.volatilities[at, n]
        for c in range(VOLATILITY_COUNT):
            factor += shares[c] * by_volatility[c]
        worth = 0.0
        shares = seen.regimes[at, n]
        for r in range(REGIME_COUNT):
            worth += shares[r] * by_regime[r]
        out.raw[at, n] = raw * within
        out.claim[at, n] = factor * (raw * within)
        factor *= worth
        scale = sigma[at, n] * root
        unit = 1e4 * scale * factor * within
        belief = of.prior * score[at, n]
        whole = 0.0
        x = sources[at, n]
        for k in range(width):
            v = unit * own[k] * x[k]
            part[k] = v
            whole += v
        part[width] = belief
        out.belief[at, n] = 1e-4 * belief
        out.edge[at, n] = whole + belief
        out.std[at, n] = 1e4 * scale * math.sqrt(of.variance[n] * form) * (factor if factor > 1.0 else 1.0)
        out.known[at, n] = of.seen[n] + of.stated


@kernel
def show_slopes(first: int, end: int, root: float, sigma: Floats, told: Ints, slopes: Floats, out: Floats) -> None:
    """Writes slopes (N, K) in bps per unit of the source into out (T, N, K) from bar `first` to before `end`."""
    for t in range(first, end):
        for n in range(slopes.shape[0]):
            unit = 1e4 * sigma[t, n] * root if told[t, n] != 0 else math.nan
            row, own = out[t, n], slopes[n]
            for k in range(len(own)):
                row[k] = unit * own[k]
