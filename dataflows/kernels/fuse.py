"""Fusion: sources to a score, the score's edge to a horizon, a size and a side."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from dataflows.carry import Count, Unknown, Zero
from dataflows.kernels.arith import clip, known, logistic, sign
from dataflows.kernels.compile import kernel
from dataflows.kernels.order import SortedWindow, count_below, sorted_median, window_push
from dataflows.kernels.success import stop_of
from dataflows.panel import Floats, Ints

MAD_TO_SIGMA: Final = 1.4826
"""A Gaussian's standard deviation over its median absolute value."""
LEAST_EDGE: Final = 1e-12
"""Of price: a smaller net edge is none (and its reciprocal could overflow)."""
LEAST_STD: Final = 1e-9
"""bps: a standard error below this is that of a score of 0."""

UNKNOWN: Final = 2
"""Side: hold what there is."""
AVOID, NOT_LEARNED, EDGE_BELOW_COST, EDGE_UNCERTAIN, UNKNOWN_INPUT, NO_SIGNAL, NO_SIZE = 1, 2, 4, 8, 16, 32, 64
"""Bits of a refusal, in the order of `dataflows.fusion.types.REFUSALS`."""


@kernel
def squashed(v: float, size: int, sizes: Floats, floor: float) -> float:
    """tanh(v / s) in [-1, 1], s = 1.4826 * median of the first `size` of the sorted `sizes` (W,), at least `floor`.

    For a source that is not bounded by construction. Not centred: centring turns a steady trend negative, and the sign of v
    must be kept. floor > 0, in units of v. NaN where v is not finite, and where there are not 30 sizes (W where W is less).
    """
    if not math.isfinite(v):
        return math.nan
    scale = MAD_TO_SIGMA * sorted_median(size, sizes)
    if scale < floor:
        scale = floor
    return math.tanh(v / scale)


@kernel
def mean_of_two(a: float, b: float) -> float:
    """Mean of a and b; one that is unknown counts 0 and the other keeps its half; NaN where both are unknown."""
    if a == a:
        return 0.5 * (a + b) if b == b else 0.5 * a
    return 0.5 * b


class Scales(NamedTuple):
    """Past sizes of the sources that are not bounded by construction, and the last word from outside."""

    momentum: SortedWindow
    flow: SortedWindow
    external: SortedWindow
    stated: Unknown
    stated_age: Zero  # bars since it was stated


@kernel
def signal_values(
    closed_5: Ints,
    up: Floats,
    down: Floats,
    alignment: Floats,
    trend: Floats,
    momentum: Floats,
    reversion: Floats,
    book: Floats,
    pressure: Floats,
    order_flow: Floats,
    pattern: Floats,
    lead_side: Ints,
    lead_confidence: Floats,
    strength_side: Ints,
    strength_confidence: Floats,
    stated: Floats,
    stated_age: Floats,
    instability: Floats,
    floor: float,
    external_floor: float,
    external_max_age: float,
    state: Scales,
) -> Floats:
    """The sources of L66 side by side: (T, N, 10) in [-1, 1], NaN where a source is unknown. All panels (T, N).

    The rules are those of `l66_signal_matrix`. State is updated in place.
    """
    bars, symbols = up.shape
    y = np.empty((bars, symbols, 10))
    # taken out of the state once: inside the loop each mention would count references
    last, age = state.stated, state.stated_age
    ring_m, sizes_m, pos_m, held_m = state.momentum.ring, state.momentum.sorted, state.momentum.pos, state.momentum.held
    ring_f, sizes_f, pos_f, held_f = state.flow.ring, state.flow.sorted, state.flow.pos, state.flow.held
    ring_e, sizes_e, pos_e, held_e = state.external.ring, state.external.sorted, state.external.pos, state.external.held
    for t in range(bars):
        for n in range(symbols):
            age[n] += 1.0
            if math.isfinite(stated[t, n]):
                last[n] = stated[t, n]
                age[n] = known(stated_age[t, n], 0.0)
            if age[n] > external_max_age:
                last[n] = math.nan
            calm = 1.0 - known(instability[t, n], 0.0)
            flow = mean_of_two(pressure[t, n], squashed(order_flow[t, n], held_f[n], sizes_f[n], floor))
            y[t, n, 0] = calm * (up[t, n] - down[t, n])
            y[t, n, 1] = calm * mean_of_two(alignment[t, n], trend[t, n])
            y[t, n, 2] = calm * squashed(momentum[t, n], held_m[n], sizes_m[n], floor)
            y[t, n, 3] = calm * reversion[t, n]
            y[t, n, 4] = calm * book[t, n]
            y[t, n, 5] = calm * flow
            y[t, n, 6] = calm * pattern[t, n]
            y[t, n, 7] = calm * lead_side[t, n] * lead_confidence[t, n]
            y[t, n, 8] = calm * strength_side[t, n] * strength_confidence[t, n]
            y[t, n, 9] = calm * squashed(last[n], held_e[n], sizes_e[n], external_floor)
            if closed_5[t, n] != 0:
                if math.isfinite(order_flow[t, n]):
                    v = math.fabs(order_flow[t, n])
                    window_push(v, count_below(sizes_f[n], held_f[n], v), n, ring_f, sizes_f, pos_f, held_f)
                if math.isfinite(momentum[t, n]):
                    v = math.fabs(momentum[t, n])
                    window_push(v, count_below(sizes_m[n], held_m[n], v), n, ring_m, sizes_m, pos_m, held_m)
                if math.isfinite(last[n]):
                    v = math.fabs(last[n])
                    window_push(v, count_below(sizes_e[n], held_e[n], v), n, ring_e, sizes_e, pos_e, held_e)
    return y


@kernel
def tilted_weights(weights: Floats, tilt: Floats) -> Floats:
    """Weights (R, K) times tilt (K,), every row made to sum to 1 again. What is negative or unknown counts 0.

    A row that has nothing left is spread evenly: a broken tilt or weight must not silence the ensemble.
    """
    rows, width = weights.shape
    y = np.empty((rows, width))
    for r in range(rows):
        whole = 0.0
        for k in range(width):
            w = weights[r, k] * tilt[k]
            y[r, k] = w if w > 0.0 and math.isfinite(w) else 0.0
            whole += y[r, k]
        for k in range(width):
            y[r, k] = y[r, k] / whole if whole > 0.0 and math.isfinite(whole) else 1.0 / width
    return y


@kernel
def weighted_score(
    values: Floats, calm: Floats, up: Floats, down: Floats, high: Floats, chaotic: Floats, weights: Floats
) -> tuple[Floats, Floats]:
    """Score (T, N) in [-1, 1] and what each source gives to it (T, N, K).

    values (T, N, K); calm .. chaotic: regime probabilities (T, N); weights (5, K), rows summing to 1. An unknown source gives
    0 and the others keep their weights, so missing data only weakens. NaN where a probability or every source is unknown.
    """
    bars, symbols, width = values.shape
    score = np.empty((bars, symbols))
    given = np.empty((bars, symbols, width))
    for t in range(bars):
        for n in range(symbols):
            a, b, c, d, e = calm[t, n], up[t, n], down[t, n], high[t, n], chaotic[t, n]
            regimes_known = math.isfinite(a + b + c + d + e)
            known = 0
            whole = 0.0
            for k in range(width):
                v = values[t, n, k]
                if v == v and regimes_known:
                    w = a * weights[0, k] + b * weights[1, k] + c * weights[2, k] + d * weights[3, k] + e * weights[4, k]
                    given[t, n, k] = w * v
                    whole += w * v
                    known += 1
                else:
                    given[t, n, k] = 0.0
            if known == 0:
                score[t, n] = math.nan
                for k in range(width):
                    given[t, n, k] = math.nan
            else:
                score[t, n] = clip(whole, -1.0, 1.0)  # probabilities may sum to 1 + 1e-16
    return score, given


@kernel
def slippage_of(stack: Floats, sizes: tuple[float, ...], t: int, n: int, notional: float) -> float:
    """Slippage in bps of an order of `notional`, from what is known at some sizes (ascending): (T, N, S) at t and n.

    Linear in between, that of the least size below it, growing as the square root beyond the greatest.
    """
    last = stack.shape[2] - 1
    if notional <= sizes[0]:
        return float(stack[t, n, 0])
    if notional >= sizes[last]:
        return float(stack[t, n, last] * math.sqrt(notional / sizes[last]))
    y = math.nan
    for i in range(last):
        if sizes[i] <= notional < sizes[i + 1]:
            share = (notional - sizes[i]) / (sizes[i + 1] - sizes[i])
            y = stack[t, n, i] + share * (stack[t, n, i + 1] - stack[t, n, i])
    return y


@kernel
def trading_costs(
    spread_bps: Floats,
    sigma: Floats,
    volume: Floats,
    slippage_bps: Floats,
    measured: Floats,
    measured_r2: Floats,
    sizes: tuple[float, ...],
    taker_fee_bps: Floats,
    fee_default: float,
    notional: float,
    delta: float,
    day_bars: float,
) -> tuple[Floats, Floats, Floats, Floats]:
    """Round trip, spread, impact and fees in bps, each (T, N), none negative. NaN where a part is unknown.

    spread_bps: quoted spread (T, N). sigma: volatility a bar (T, N). volume: mean traded notional a bar (T, N). slippage_bps:
    (T, N, S) against mid, of one order of each of `sizes`. measured: log return per root of notional, and how much of the
    returns it explains, both (T, N). taker_fee_bps: (N,), NaN unknown: then `fee_default`. Impact of one trade:
    sigma_day * (notional / V_day)**delta, drawn to what was measured by the share that this explains, or what the book says
    beyond the touch where that is more.
    """
    bars, symbols = spread_bps.shape
    whole = np.empty((bars, symbols))
    spread = np.empty((bars, symbols))
    impact = np.empty((bars, symbols))
    fees = np.empty((bars, symbols))
    size = math.log(notional) - math.log(day_bars)
    root = math.sqrt(notional)
    day = 1e4 * math.sqrt(day_bars)
    for t in range(bars):
        for n in range(symbols):
            s = spread_bps[t, n]
            if s < 0.0:
                s = 0.0  # a crossed book is no rebate
            spread[t, n] = s
            one = math.nan
            v = volume[t, n]
            if v > 0.0 and math.isfinite(v):
                one = day * sigma[t, n] * math.exp(delta * (size - math.log(v)))
                share = measured_r2[t, n]
                if math.isfinite(measured[t, n] + share):
                    seen = 1e4 * measured[t, n] * root if measured[t, n] > 0.0 else 0.0
                    one += share * (seen - one)
                walked = slippage_of(slippage_bps, sizes, t, n, notional) - 0.5 * s
                if walked > one:
                    one = walked
            impact[t, n] = 2.0 * one
            fee = taker_fee_bps[n] if math.isfinite(taker_fee_bps[n]) else fee_default
            fees[t, n] = 2.0 * fee if fee > 0.0 else 0.0  # no taker rebate is counted on
            whole[t, n] = spread[t, n] + impact[t, n] + fees[t, n]
    return whole, spread, impact, fees


@kernel
def net_of_cost(edge_bps: float, round_trip_bps: float, carry_bps_per_bar: float, bars: float) -> float:
    """What is left, in bps, of a position on the side of the edge: |edge| less the round trip and the funding it pays.

    Funding that it would receive is not counted on. NaN where an argument is unknown.
    """
    paid = sign(edge_bps) * carry_bps_per_bar * bars
    if paid < 0.0:
        paid = 0.0
    return math.fabs(edge_bps) - round_trip_bps - paid


@kernel
def best_horizon(
    edge_bps: Floats,
    observations: Floats,
    round_trip_bps: Floats,
    carry_bps_per_bar: Floats,
    horizons: tuple[int, ...],
    enough: float,
) -> tuple[Floats, Floats, Ints]:
    """Bars, net edge (bps) and index of the horizon with the highest net edge per square root of time; each (T, N).

    edge_bps, observations (T, N, H). Horizons with an edge and `enough` observations come before those with an edge and too
    few, and these before those with none; ties go to the shorter. Where none has an edge, bars is NaN and net edge is what
    trading for nothing costs. Index -1 and all NaN where no horizon's net edge is known.
    """
    bars, symbols, width = edge_bps.shape
    chosen = np.empty((bars, symbols))
    net = np.empty((bars, symbols))
    index = np.empty((bars, symbols), np.int64)
    for t in range(bars):
        for n in range(symbols):
            best = -1
            best_rate = 0.0
            best_net = math.nan
            best_class = 0
            for j in range(width):
                h = float(horizons[j])
                edge = edge_bps[t, n, j]
                left = net_of_cost(edge, round_trip_bps[t, n], carry_bps_per_bar[t, n], h)
                if left != left:
                    continue
                rate = left / math.sqrt(h)
                kind = 0 if edge == 0.0 else (2 if observations[t, n, j] >= enough else 1)
                if best < 0 or kind > best_class or (kind == best_class and rate > best_rate):
                    best = j
                    best_rate = rate
                    best_net = left
                    best_class = kind
            index[t, n] = best
            net[t, n] = best_net
            chosen[t, n] = float(horizons[best]) if best_class > 0 else math.nan
    return chosen, net, index


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


@kernel
def kelly_fractions(
    edge_bps: Floats,
    edge_std_bps: Floats,
    index: Ints,
    sigma: Floats,
    round_trip_bps: Floats,
    carry_bps_per_bar: Floats,
    p_success: Floats,
    horizons: tuple[int, ...],
    fraction: float,
    cap: float,
    success_horizon: float,
    stop_sigma: float,
    stop_max: float,
    reward_risk: float,
) -> Floats:
    """Fraction of equity (T, N) in [0, cap]: fractional Kelly of the net edge, cut for its uncertainty, or of the bet itself.

    Kelly's bet is m / v for a mean m and a variance v over the horizon. An estimate of m with standard error e is worth the
    share m^2 / (m^2 + e^2) of it (Baker and McHale 2013, for small edges). The bet itself wins the target with chance p or
    loses the stop, both after cost: p / lost - (1 - p) / won; the smaller of the two counts. 0 where the edge does not cover
    its cost or the chance the odds, NaN where an input is unknown.
    """
    bars, symbols = sigma.shape
    y = np.empty((bars, symbols))
    for t in range(bars):
        for n in range(symbols):
            y[t, n] = math.nan
            j = index[t, n]
            if j < 0:
                continue
            h = float(horizons[j])
            net = 1e-4 * net_of_cost(edge_bps[t, n, j], round_trip_bps[t, n], carry_bps_per_bar[t, n], h)
            error = 1e-4 * edge_std_bps[t, n, j]
            variance = sigma[t, n] * sigma[t, n] * h
            p = p_success[t, n]
            if not math.isfinite(net + error + variance + p):
                continue
            if not (net > LEAST_EDGE and variance > 0.0):
                y[t, n] = 0.0
                continue
            doubt = error / net
            bet = (net / variance) / (1.0 + doubt * doubt)
            stop = stop_of(sigma[t, n], success_horizon, stop_sigma, stop_max)
            cost = 1e-4 * (math.fabs(edge_bps[t, n, j])) - net
            won = reward_risk * stop - cost
            odds = p / (stop + cost) - (1.0 - p) / won if won > LEAST_EDGE else 0.0
            if odds < bet:
                bet = odds if odds > 0.0 else 0.0
            bet *= fraction
            y[t, n] = bet if bet < cap else cap
    return y


class News(NamedTuple):
    """State of `freshness_of`."""

    side: Count  # of the signal when it was last renewed; 0: never yet
    least: Zero  # the weakest that the signal, on that side, has been since
    dominant: Count
    fresh: Zero


@kernel
def freshness_of(values: Floats, dominant: Ints, step: float, halflife: float, state: News) -> Floats:
    """Freshness (T, N) in [0, 1]: 1 on renewal, halved every `halflife` bars from then on. The rules are those of `l73`.

    values (T, N, K); dominant (T, N), 0 none. State is updated in place; it is held where every source is unknown, NaN there.
    """
    bars, symbols, width = values.shape
    y = np.empty((bars, symbols))
    fade = math.exp(-math.log(2.0) / halflife)
    for t in range(bars):
        for n in range(symbols):
            known = 0
            whole = 0.0
            for k in range(width):
                v = values[t, n, k]
                if v == v:
                    whole += v
                    known += 1
            if known == 0:
                y[t, n] = math.nan
                continue
            x = whole / width
            side = state.side[n]
            led = dominant[t, n]
            new = led != 0 and led != state.dominant[n]
            state.dominant[n] = led
            if side == 0 or side * x <= -step:
                if math.fabs(x) >= step:
                    state.side[n] = 1 if x > 0.0 else -1
                    new = True
            elif side * x >= state.least[n] + step:
                new = True
            if new:
                state.least[n] = state.side[n] * x
                state.fresh[n] = 1.0
            else:
                if state.side[n] * x < state.least[n]:
                    state.least[n] = state.side[n] * x
                state.fresh[n] *= fade
            y[t, n] = state.fresh[n]
    return y


@kernel
def latched_side(score: float, enter: float, leave: float, side: int) -> int:
    """Side with hysteresis: taken beyond +-enter, kept until the score for it falls below leave. NaN keeps it."""
    if score > enter:
        return 1
    if score < -enter:
        return -1
    if side * score < leave:
        return 0
    return side


@kernel
def propose(
    score: Floats,
    edge_bps: Floats,
    edge_std_bps: Floats,
    observations: Floats,
    index: Ints,
    horizon: Floats,
    round_trip_bps: Floats,
    carry_bps_per_bar: Floats,
    p_success: Floats,
    freshness: Floats,
    sigma: Floats,
    fraction: Floats,
    avoid: Ints,
    agreement: Floats,
    direction: Ints,
    strength: Floats,
    multiplier: float,
    enter: float,
    leave: float,
    min_t: float,
    min_observations: float,
    sides: Ints,
) -> tuple[Ints, Ints, Floats, Floats, Floats, Floats, Floats, Floats, Ints]:
    """The proposal's side, may_enter, edge, its std, risk, size, confidence, rank and refusal; each (T, N).

    edge_bps, edge_std_bps, observations: (T, N, H), read at `index`. sides: (N,), latched side, updated in place. The rules are
    those of `l3_action_proposal`.
    """
    bars, symbols = score.shape
    side = np.empty((bars, symbols), np.int64)
    may_enter = np.empty((bars, symbols), np.int64)
    edge = np.empty((bars, symbols))
    std = np.empty((bars, symbols))
    risk = np.empty((bars, symbols))
    size = np.empty((bars, symbols))
    confidence = np.empty((bars, symbols))
    rank = np.empty((bars, symbols))
    refusal = np.empty((bars, symbols), np.int64)
    merit = np.empty(symbols)
    for t in range(bars):
        for n in range(symbols):
            x = score[t, n]
            j = index[t, n]
            if x == x:
                sides[n] = latched_side(x, enter, leave, sides[n])
            s = sides[n]
            e = math.nan
            sd = math.nan
            seen = math.nan
            if j >= 0:
                e = edge_bps[t, n, j]
                sd = edge_std_bps[t, n, j]
                seen = observations[t, n, j]
            share = fraction[t, n] * multiplier
            r = 1e4 * sigma[t, n] * math.sqrt(horizon[t, n]) if horizon[t, n] > 0.0 else math.nan
            bits = AVOID if avoid[t, n] != 0 else 0
            bars_held = horizon[t, n] if horizon[t, n] > 0.0 else 0.0
            paid = s * carry_bps_per_bar[t, n] * bars_held
            net = s * e - round_trip_bps[t, n] - (0.0 if paid < 0.0 else paid)  # of a position on this side
            p = p_success[t, n]
            told = math.isfinite(x + net + sd + seen + sigma[t, n] + fraction[t, n] + p + freshness[t, n])
            chance = 0.0
            if not told:
                s = UNKNOWN
                bits |= UNKNOWN_INPUT
            elif s == 0:
                bits |= NO_SIGNAL
            else:
                if not seen >= min_observations:
                    bits |= NOT_LEARNED
                if not (net > 0.0 and s * e > 0.0):
                    bits |= EDGE_BELOW_COST
                elif not net > min_t * sd:
                    bits |= EDGE_UNCERTAIN
                if not share > 0.0:
                    bits |= NO_SIZE
                if sd > LEAST_STD:
                    chance = logistic(clip(1.702 * net / sd, -30.0, 30.0))
            taken = told and s != 0
            side[t, n] = s
            may_enter[t, n] = 1 if bits == 0 else 0
            edge[t, n] = s * e + 0.0 if told else math.nan  # + 0.0: no minus zero
            std[t, n] = sd
            risk[t, n] = r
            size[t, n] = share if taken and share > 0.0 else 0.0
            backing = 0.0
            if taken:
                backing = p
                if agreement[t, n] == agreement[t, n]:
                    backing += agreement[t, n]
                if strength[t, n] == strength[t, n]:
                    backing += 0.5 * (1.0 + s * direction[t, n] * strength[t, n])
            confidence[t, n] = clip(chance * backing / 3.0, 0.0, 1.0)
            refusal[t, n] = bits
            merit[n] = -(net / r) if taken and r > 0.0 else math.inf
        order = np.argsort(merit, kind="mergesort")  # stable: ties go by column, and columns are sorted by name
        for place in range(symbols):
            rank[t, order[place]] = float(place)
    return side, may_enter, edge, std, risk, size, confidence, rank, refusal
