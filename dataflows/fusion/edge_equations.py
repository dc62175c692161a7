"""The regression behind L67: what the samples add up to, and the posterior of the slopes that follows from it."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from dataflows.carry import Axes
from dataflows.fusion.edge_calibration import REGIME_COUNT, VOLATILITY_COUNT
from dataflows.kernels.arith import clip
from dataflows.kernels.cholesky import inverse_factor, solve
from dataflows.panel import Floats
from dataflows.runtime.compile import kernel


class Sums(NamedTuple):
    """Weighted sums of the samples whose time is up, older ones faded: x the sources, y the standardised return."""

    n: Annotated[Floats, Axes("C", "N", start=0.0)]  # effective observations
    xx: Annotated[Floats, Axes("C", "N", "P", start=0.0)]  # of each pair: the lower triangle, row by row
    xy: Annotated[Floats, Axes("C", "N", "S", start=0.0)]
    yy: Annotated[Floats, Axes("C", "N", start=0.0)]
    all_n: Annotated[Floats, Axes("C", start=0.0)]  # of all symbols together
    all_xx: Annotated[Floats, Axes("C", "P", start=0.0)]
    all_xy: Annotated[Floats, Axes("C", "S", start=0.0)]
    together: Annotated[Floats, Axes("C", start=0.0)]  # squares of the symbols' sum of x y, over the sources
    apart: Annotated[Floats, Axes("C", start=0.0)]  # sum of their squares
    raw_xx: Annotated[Floats, Axes("C", VOLATILITY_COUNT, start=0.0)]  # of y on what the regression said, by volatility
    raw_xy: Annotated[Floats, Axes("C", VOLATILITY_COUNT, start=0.0)]
    claim_xx: Annotated[Floats, Axes("C", REGIME_COUNT, start=0.0)]  # of y on the claim, by regime
    claim_xy: Annotated[Floats, Axes("C", REGIME_COUNT, start=0.0)]


class Solution(NamedTuple):
    """The last solution of the equations."""

    slope: Annotated[Floats, Axes("C", "N", "S", start=0.0)]  # standard deviations per unit of the source
    factor: Annotated[Floats, Axes("C", "N", "S", "S", start=0.0)]  # its inverse Cholesky factor, in units of the source
    variance: Annotated[Floats, Axes("C", "N", start=1.0)]  # residual, standard deviations squared
    seen: Annotated[Floats, Axes("C", "N", start=0.0)]  # effective observations behind it
    volatility: Annotated[Floats, Axes("C", VOLATILITY_COUNT, start=1.0)]  # factors on what the regression says
    regime: Annotated[Floats, Axes("C", REGIME_COUNT, start=1.0)]  # factors on the claim


class LearningRules(NamedTuple):
    """How samples become an edge: the keys of the fusion configuration that L67 reads."""

    horizons: tuple[int, ...]  # bars
    belief_horizon: int  # bars: to which the prior slope refers
    max_gap: int  # bars without data that a sample survives
    prior_strength: float  # effective observations
    prior_source: float  # typical size of a source
    prior_slope_bps: float
    symbol_strength: float  # effective observations
    regime_strength: float  # effective observations
    forget_halflife: float  # effective observations
    usual_bars: int  # after which the usual volatility begins to forget


class Equations(NamedTuple):
    """Scratch of `solve_symbol`."""

    scaled: Floats  # (K, K)
    own: Floats  # (K, K)
    factor: Floats  # (K, K)
    right: Floats  # (K,)
    solved: Floats  # (K,)
    drawn: Floats  # (K,)


@kernel
def design_effect(together: float, apart: float, symbols: int) -> float:
    """How many symbols say as much as one that stands alone, in [1, symbols]: Kish's effect of samples that move together.

    together: sum over time of squares of the symbols' sum; apart: of the sum of their squares. `symbols` before any sample.
    """
    if not apart > 0.0:
        return float(symbols)
    return clip(together / apart, 1.0, float(symbols))


@kernel
def solve_symbol(
    j: int,
    n: int,
    effect: float,
    weights: Floats,
    rules: LearningRules,
    sums: Sums,
    made: Solution,
    space: Equations,
) -> None:
    """Posterior of symbol n's slopes at horizon j, into `made`.

    In units of source times weight: the others' slope b has the prior N(0, s^2 / ridge) and their data, divided by the design
    effect; the symbol's own has the prior N(b, s^2 / drawn) and its own data. Integrated over b, whose posterior has the
    precision A and the right side r, its prior is normal with precision (drawn^-1 + A^-1)^-1 = drawn - drawn M^-1 drawn, where
    M = drawn + A, and with right side drawn M^-1 r.
    """
    width = weights.shape[0]
    scaled, own, factor, right, solved, drawn = space.scaled, space.own, space.factor, space.right, space.solved, space.drawn
    xx, all_xx, xy, all_xy = sums.xx[j, n], sums.all_xx[j], sums.xy[j, n], sums.all_xy[j]
    slopes, factors = made.slope[j, n], made.factor[j, n]
    seen, all_seen = sums.n[j, n], sums.all_n[j]
    strength, symbol_strength = rules.prior_strength, rules.symbol_strength
    typical = rules.prior_source * rules.prior_source
    share = 1.0 / effect
    p = 0
    for i in range(width):
        for k in range(i + 1):
            scaled[i, k] = share * weights[i] * weights[k] * (all_xx[p] - xx[p])
            own[i, k] = 0.0
            p += 1
        ridge = strength * ((strength * typical + all_xx[p - 1]) / (strength + all_seen))
        drawn[i] = symbol_strength / strength * ridge
        scaled[i, i] += ridge + drawn[i]
        right[i] = share * weights[i] * (all_xy[i] - xy[i])
    inverse_factor(scaled, factor)
    solve(factor, right, solved)
    for m in range(width):  # M^-1, a row of its factor at a time
        for i in range(m + 1):
            much = factor[m, i]
            for k in range(i + 1):
                own[i, k] += much * factor[m, k]
    p = 0
    for i in range(width):
        for k in range(i + 1):
            own[i, k] = weights[i] * weights[k] * xx[p] - drawn[i] * drawn[k] * own[i, k]
            p += 1
        own[i, i] += drawn[i]
        right[i] = weights[i] * xy[i] + drawn[i] * solved[i]
    inverse_factor(own, factor)
    solve(factor, right, solved)
    misfit = sums.yy[j, n]
    p = 0
    for i in range(width):
        slopes[i] = weights[i] * solved[i]
        s = -xy[i]
        for k in range(i):
            factors[i, k] = factor[i, k] * weights[k]
            s += xx[p] * slopes[k]
            p += 1
        factors[i, i] = factor[i, i] * weights[i]
        misfit += slopes[i] * (2.0 * s + xx[p] * slopes[i])
        p += 1
    made.variance[j, n] = (strength + (misfit if misfit > 0.0 else 0.0)) / (strength + seen)
    others = share * (all_seen - seen)
    others = others if others > 0.0 else 0.0
    made.seen[j, n] = seen + symbol_strength * others / (symbol_strength + others)
