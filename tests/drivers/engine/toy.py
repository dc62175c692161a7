"""A graph with one layer of every kind, small enough to reason about: what the engine's own tests run."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import Axes, Bind, Count, Zero
from dataflows.data.types import Clock, Observations
from dataflows.execution.types import PLACE, OrderIntents
from dataflows.kernels.smooth import SeededEwm, seeded_ewm
from dataflows.kernels.window import Lag, lagged
from dataflows.layer import layer
from dataflows.panel import Floats, Panel, Series, Within


class ToyConfig(NamedTuple):
    """Keys of the toy graph."""

    span: int = 5
    lag: int = 3
    every: int = 4


class Weights(NamedTuple):
    """Delayed from the epoch layer."""

    gain: Annotated[Floats, Axes("N", start=1.0), Within(1.0, 1.5)]
    seen: Annotated[Floats, Axes(1, start=0.0), Within(0.0)]


class ToyFeed(NamedTuple):
    """What the market side sees."""

    close: Panel
    mean: Panel
    before: Panel


class FeedCarry(NamedTuple):
    """State of the feed."""

    mean: SeededEwm
    before: Annotated[Lag, Bind(W="lag")]


class Account(NamedTuple):
    """What the step layer hands on."""

    held: Panel
    equity: float
    bars: int


class AccountCarry(NamedTuple):
    """State of the account."""

    held: Zero
    bars: Annotated[Count, "bars seen"]
    equity: Annotated[Floats, Axes(1, start=100.0)]


class Learned(NamedTuple):
    """What the epoch layer hands on."""

    weights: Weights
    total: Annotated[Floats, Axes("N"), Within(0.0)]


@layer("L1")
def l1_feed(observations: Observations, toy: ToyConfig, carry: FeedCarry) -> ToyFeed:
    """Close, its average and its value `lag` bars ago."""
    on = (observations.close == observations.close).astype(np.int64)
    mean = seeded_ewm(observations.close, on, 2.0 / (toy.span + 1.0), toy.span, carry.mean)
    return ToyFeed(observations.close, mean, lagged(observations.close, on, carry.before))


@layer("L2")
def l2_score(l1_feed: ToyFeed, weights: Weights) -> Panel:
    """Distance from the average, times the weight that the last epoch learned."""
    return (l1_feed.close - l1_feed.mean) * weights.gain


@layer("L3", schedule="step")
def l3_account(l1_feed: ToyFeed, l2_score: Panel, clock: Clock, orders: OrderIntents, carry: AccountCarry) -> Account:
    """Holds what was ordered an instant ago and marks it; between bars only the orders count."""
    n = l2_score.shape[0]
    for i in range(orders.n):
        carry.held[orders.symbol[i]] += orders.quantity[i]
    if clock.operator == 2:
        for s in range(n):
            carry.held[s] = 0.0
    if clock.is_bar == 1:
        for s in range(n):
            carry.bars[s] += 1
            if l1_feed.close[s] == l1_feed.close[s] and l1_feed.before[s] == l1_feed.before[s]:
                carry.equity[0] += carry.held[s] * (l1_feed.close[s] - l1_feed.before[s])
    return Account(carry.held.copy(), float(carry.equity[0]), int(carry.bars[0]))


@layer("L5", schedule="step")
def l5_orders(l2_score: Panel, l3_account: Account, clock: Clock, toy: ToyConfig) -> OrderIntents:
    """Every `every` bars an order against the score, one for each symbol where it is known."""
    n = l2_score.shape[0]
    codes = np.zeros((9, n), np.int64)
    values = np.full((10, n), np.nan)
    k = 0
    if l3_account.bars % toy.every == 0:
        for s in range(n):
            if l2_score[s] == l2_score[s]:
                codes[0, k], codes[1, k], codes[6, k] = PLACE, s, clock.ts
                values[0, k] = -0.01 * l2_score[s]
                k += 1
    return OrderIntents(
        k, codes[0], codes[1], codes[2], codes[3], values[0], codes[4], codes[8], values[1], values[2], codes[5],
        values[3], values[4], values[9], values[5], values[6], values[7], codes[6], values[8], codes[7],
    )  # fmt: skip


@layer("L9", schedule="post")
def l9_audit(l3_account: Account, l2_score: Panel) -> Series:
    """Equity beside the known scores."""
    return np.asarray(l3_account.equity) + np.nan_to_num(l2_score)[:, 0]


@layer("L6", schedule="epoch")
def l6_learn(l2_score: Panel, l3_account: Account, weights: Weights) -> Learned:
    """Moves each weight by what the epoch's scores added up to."""
    total = np.nansum(np.abs(l2_score), axis=0)
    gain = 1.0 + 0.5 * total / (1.0 + total)
    return Learned(Weights(gain, weights.seen + 1.0), total)
