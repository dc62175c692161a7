"""Layers of the toy graph with a fault each: what the properties must find."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from dataflows.carry import Axes
from dataflows.data.types import Clock
from dataflows.layer import layer
from dataflows.panel import Floats, Panel
from tests.drivers.engine.toy import ToyFeed


class Last(NamedTuple):
    """The last close."""

    close: Annotated[Floats, Axes("N", start=100.0)]


@layer("L20")
def l20_honest(l1_feed: ToyFeed, carry: Last) -> Panel:
    """The change since the last bar, as it should be."""
    before = np.vstack([carry.close[None, :], l1_feed.close[:-1]])
    carry.close[:] = l1_feed.close[-1]
    return l1_feed.close - before


@layer("L21")
def l21_peeks(l1_feed: ToyFeed) -> Panel:
    """The change to the next bar, where the chunk holds it."""
    return np.vstack([l1_feed.close[1:], l1_feed.close[-1:]]) - l1_feed.close


@layer("L22")
def l22_after_the_peek(l21_peeks: Panel) -> Panel:
    """Takes what peeks; the fault is not its own."""
    return l21_peeks * 2.0


@layer("L23")
def l23_by_chunk(l1_feed: ToyFeed) -> Panel:
    """The change since the chunk began: the past, but another one for every chunking."""
    return l1_feed.close - l1_feed.close[:1]


@layer("L24")
def l24_of_all(l1_feed: ToyFeed) -> Panel:
    """Depends on the other symbols, and does not say so."""
    return l1_feed.close - np.nansum(l1_feed.close, axis=1, keepdims=True)


@layer("L25", schedule="step")
def l25_overflows(clock: Clock, l1_feed: ToyFeed) -> float:
    """A product that is too large for machine code and not for Python."""
    return float((int(clock.ts) * 1_000_003) % 1009)
