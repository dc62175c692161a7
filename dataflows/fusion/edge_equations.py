"""The regression behind L67: what the samples add up to, and the posterior of the slopes that follows from it."""

from __future__ import annotations

import math
from typing import Annotated, NamedTuple

from dataflows.carry import Axes
from dataflows.fusion.edge_calibration import REGIME_COUNT, VOLATILITY_COUNT
from dataflows.kernels.arith import clip
from dataflows.kernels.cholesky import LEAST_PIVOT, inverse_factor, solve
from dataflows.panel import Floats, Ints
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
    """Scratch of `solve_symbol`, for M sources that have been heard."""

    scaled: Floats  # (M, M)
    own: Floats  # (M, M)
    factor: Floats  # (M, M)
    right: Floats  # (M,)
    solved: Floats  # (M,)
    drawn: Floats  # (M,)


@kernel
def first_pair(i: int) -> int:
    """Where row i begins in the lower triangle of a square table that is kept row by row."""
    return i * (i + 1) >> 1


@kernel
def design_effect(together: float, apart: float, symbols: int) -> float:
    """How many symbols say as much as one that stands alone, in [1, symbols]: Kish's effect of samples that move together.

    together: sum over time of squares of the symbols' sum; apart: of the sum of their squares. `symbols` before any sample.
    """
    if not apart > 0.0:
        return float(symbols)
    return clip(together / apart, 1.0, float(symbols))


@kernel
def ridge_of(xx: float, seen: float, rules: LearningRules) -> float:
    """Precision of the prior of a source's slope: `prior_strength` observations of its typical square.

    xx: sum of its squares over `seen` effective observations of all symbols.
    """
    strength = rules.prior_strength
    return strength * ((strength * (rules.prior_source * rules.prior_source) + xx) / (strength + seen))


@kernel
def factor_of_silent(all_seen: float, rules: LearningRules) -> float:
    """What `solve_symbol` would have on the diagonal of its factor for a source of weight 1 that was 0 in all samples."""
    ridge = ridge_of(0.0, all_seen, rules)
    drawn = rules.symbol_strength / rules.prior_strength * ridge
    shrunk = 1.0 / math.sqrt(ridge + drawn)
    own = drawn - drawn * drawn * (shrunk * shrunk)
    least = LEAST_PIVOT * own
    return 1.0 / math.sqrt(least if own < least else own)


@kernel
def solve_symbol(
    j: int,
    n: int,
    effect: float,
    heard: Ints,
    weights: Floats,
    rules: LearningRules,
    sums: Sums,
    made: Solution,
    space: Equations,
) -> None:
    """Posterior of symbol n's slopes at horizon j, into `made`.

    heard: (M,) of the K sources, ascending: all others have been 0 so far, have no part in the equations, and a slope of 0.
    In units of source times weight: the others' slope b has the prior N(0, s^2 / ridge) and their data, divided by the design
    effect; the symbol's own has the prior N(b, s^2 / drawn) and its own data. Integrated over b, whose posterior has the
    precision A and the right side r, its prior is normal with precision (drawn^-1 + A^-1)^-1 = drawn - drawn M^-1 drawn, where
    M = drawn + A, and with right side drawn M^-1 r.
    """
    count = len(heard)
    scaled, own, factor, right, solved, drawn = space.scaled, space.own, space.factor, space.right, space.solved, space.drawn
    xx, all_xx, xy, all_xy = sums.xx[j, n], sums.all_xx[j], sums.xy[j, n], sums.all_xy[j]
    slopes, factors = made.slope[j, n], made.factor[j, n]
    seen, all_seen = sums.n[j, n], sums.all_n[j]
    strength, symbol_strength = rules.prior_strength, rules.symbol_strength
    share = 1.0 / effect
    for a in range(count):
        i = heard[a]
        weight, pair = weights[i], first_pair(i)
        row = scaled[a]
        for b in range(a + 1):
            k = heard[b]
            row[b] = share * weight * weights[k] * (all_xx[pair + k] - xx[pair + k])
        ridge = ridge_of(all_xx[pair + i], all_seen, rules)
        drawn[a] = symbol_strength / strength * ridge
        row[a] += ridge + drawn[a]
        right[a] = share * weight * (all_xy[i] - xy[i])
    inverse_factor(scaled, factor)
    solve(factor, right, solved)
    for a in range(count):
        i = heard[a]
        weight, pair, much = weights[i], first_pair(i), drawn[a]
        row = own[a]
        for b in range(a + 1):
            k = heard[b]
            inverse = 0.0  # of M
            for m in range(a, count):
                inverse += factor[m, a] * factor[m, b]
            row[b] = weight * weights[k] * xx[pair + k] - much * drawn[b] * inverse
        row[a] += much
        right[a] = weight * xy[i] + much * solved[a]
    inverse_factor(own, factor)
    solve(factor, right, solved)
    silent = factor_of_silent(all_seen, rules)
    for k in range(len(weights)):
        factors[k, k] = silent * weights[k]
    misfit = sums.yy[j, n]
    for a in range(count):
        i = heard[a]
        weight, pair = weights[i], first_pair(i)
        slopes[i] = weight * solved[a]
        s = -xy[i]
        for b in range(a):
            k = heard[b]
            factors[i, k] = factor[a, b] * weights[k]
            s += xx[pair + k] * slopes[k]
        factors[i, i] = factor[a, a] * weight
        misfit += slopes[i] * (2.0 * s + xx[pair + i] * slopes[i])
    made.variance[j, n] = (strength + (misfit if misfit > 0.0 else 0.0)) / (strength + seen)
    others = share * (all_seen - seen)
    others = others if others > 0.0 else 0.0
    made.seen[j, n] = seen + symbol_strength * others / (symbol_strength + others)
