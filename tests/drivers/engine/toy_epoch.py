"""An epoch layer that takes one of everything that an epoch layer may take, beside the toy graph."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import Axes
from dataflows.data.types import Clock, ExternalAlpha, Observations
from dataflows.execution.types import OrderIntents
from dataflows.layer import layer
from dataflows.panel import Floats, Ints, Panel, Series, Within
from tests.drivers.engine.toy import Account, Learned, ToyConfig


class Seen(NamedTuple):
    """One value of every shape that an epoch layer may return."""

    bars: Annotated[int, Within(0)]
    instants: Annotated[Ints, Axes(1), Within(0)]
    quantity: Annotated[float, Within()]  # of all orders of the epoch
    audit: Annotated[float, Within()]
    gap: Annotated[Floats, Axes("N"), Within(0.0)]  # bars without a close
    stated: Annotated[Floats, Axes("N"), Within(0.0)]  # bars with an external alpha
    extremes: Annotated[Floats, Axes(2, "N"), Within()]  # least and greatest score
    held: Annotated[Floats, Axes("N", 3), Within()]  # at the last three instants
    every: Annotated[Floats, Axes("every"), Within(0.0)]  # of one length for all symbols: a key of the configuration
    gain: Annotated[Floats, Axes("N"), Within(1.0, 1.5)]  # as the layer before it has just learned


class SeenCarry(NamedTuple):
    """How often it ran."""

    epochs: Annotated[Ints, Axes(1)]


@layer("L82", schedule="epoch")
def l82_seen(
    observations: Observations,
    external_alpha: ExternalAlpha,
    clock: Clock,
    l2_score: Panel,
    l3_account: Account,
    l5_orders: OrderIntents,
    l9_audit: Series,
    l6_learn: Learned,
    toy: ToyConfig,
    carry: SeenCarry,
) -> Seen:
    """What the epoch was."""
    carry.epochs[0] += 1
    bar = clock.is_bar == 1
    return Seen(
        bars=int(bar.sum()),
        instants=np.array([(~bar).sum()]),
        quantity=float(l5_orders.quantity.sum()),
        audit=float(l9_audit.sum()),
        gap=(~np.isfinite(observations.close[bar])).sum(axis=0).astype(float),
        stated=np.isfinite(external_alpha.value[bar]).sum(axis=0).astype(float),
        extremes=np.stack([np.nanmin(l2_score[bar], axis=0), np.nanmax(l2_score[bar], axis=0)]),
        held=l3_account.held[-3:].T.copy(),
        every=np.full(toy.every, float(carry.epochs[0])),
        gain=l6_learn.weights.gain,
    )
