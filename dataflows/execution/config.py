"""Keys of the execution domain."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, NamedTuple

from dataflows.config import setting


class ExecutionConfig(NamedTuple):
    """What the account starts with, how the simulated venue fills, and how orders are made."""

    # the account (L97)
    start_cash: Annotated[float, setting("quote currency", "cash of the account before the first bar", ge=1e-4)] = 100_000.0

    # the order table (L96, L90, L5)
    slots: Annotated[int, setting("orders", "rows of the order table for each symbol; a bracket takes two", ge=8, le=256)] = 16
    fill_window: Annotated[
        int, setting("fills", "last fills of each symbol among which one that is reported twice is recognised", ge=16)
    ] = 256

    # reconciliation (L98)
    reconcile_grace: Annotated[
        int, setting("bars", "L98: closes in a row at which our books may differ from the venue's before it counts", ge=0)
    ] = 2
    reconcile_max_age: Annotated[
        float, setting("bars", "L98: age from which a snapshot of the venue says nothing", gt=0, least=2)
    ] = 5.0
    reconcile_tolerance: Annotated[
        float, setting("fraction", "L98: difference that is rounding, of a position and of the turnover so far", gt=0, lt=1)
    ] = 1e-6
    reconcile_cash_tolerance: Annotated[
        float,
        setting("fraction", "L98: difference of a live account's cash that is rounding, of start cash and equity", gt=0, lt=1),
    ] = 1e-6

    # the simulated venue (L90)
    participation: Annotated[
        float, setting("fraction", "most of a bar's volume that entries take, at the venue and in slices", gt=0, le=1)
    ] = 0.1
    queue_share: Annotated[
        float, setting("fraction", "most of a bar's volume that a resting limit order takes", gt=0, le=1)
    ] = 0.05
    extra_latency_bars: Annotated[
        int, setting("bars", "bars by which orders, changes and cancels are late at the venue", ge=0)
    ] = 0
    slippage_law: Annotated[
        int, setting("code", "1: walk the book of the previous close where there is one; 0: never", ge=0, le=1)
    ] = 1
    slippage_impact: Annotated[
        float, setting("factor", "factor of the square-root impact law: sigma * sqrt(quantity / volume of a bar)", ge=0)
    ] = 1.0
    slippage_default_bps: Annotated[float, setting("bps", "slippage where neither book nor volatility is known", ge=0)] = 10.0
    slippage_volume_bars: Annotated[
        float, setting("bars", "half-life of the average volume of a bar in that law", ge=1, least=10)
    ] = 240.0

    stop_gap_share: Annotated[
        float, setting("fraction", "least slippage of a stop, of the way from it to the worst price of the bar", ge=0, le=1)
    ] = 0.25
    fee_tier_volumes: Annotated[
        tuple[float, ...], setting("quote currency", "traded in the last 30 days from which each fee tier holds; 0 first", ge=0)
    ] = (0.0,)
    fee_tier_taker: Annotated[tuple[float, ...], setting("factor", "on a taker's fee in each of these tiers", ge=0, le=10)] = (
        1.0,
    )
    fee_tier_maker: Annotated[
        tuple[float, ...], setting("factor", "on a maker's fee in each of these tiers; below 0: a rebate", ge=-10, le=10)
    ] = (1.0,)
    sweep_dust: Annotated[
        int, setting("flag", "1: the venue turns dust into cash at the close, for the taker's fee", ge=0, le=1)
    ] = 1

    # order style (L69)
    style_urgent: Annotated[float, setting("fraction", "urgency from which orders go to the market", ge=0, le=1)] = 0.9
    style_limit_ratio: Annotated[
        float, setting("ratio", "spread saved over edge lost while waiting, above which to place a limit order", gt=0)
    ] = 2.0
    style_post_ratio: Annotated[float, setting("ratio", "the same, above which to place a post-only order", gt=0)] = 4.0
    style_offset_bps: Annotated[float, setting("bps", "distance of a post-only order behind the touch", ge=0)] = 0.0
    style_wait_bars: Annotated[int, setting("bars", "life of a limit order; it is then decided anew", ge=1, least=1)] = 3

    # slicing (L88)
    band: Annotated[
        float,
        setting("fraction", "least change of a position that is traded, of the larger of target and position", ge=0, lt=1),
    ] = 0.1
    least_entry: Annotated[
        float,
        setting("fraction of equity", "least increase of a position that is begun; crumbs under a cap cost more", ge=0, lt=1),
    ] = 0.005
    headroom: Annotated[
        float,
        setting("fraction", "part of the approved size that entries leave free, so that drift cancels nothing", ge=0, lt=1),
    ] = 0.02
    entry_closes: Annotated[
        int, setting("closes", "closes in a row that must approve an increase before its first order", ge=1, le=1_000)
    ] = 1
    slice_bars: Annotated[
        int, setting("bars", "bars over which an entry at the market is spread where that pays", ge=1, least=1)
    ] = 3
    slice_kappa: Annotated[
        float,
        setting("kappa * T", "risk aversion of Almgren and Chriss times the bars of the trade; 0: even slices", ge=0, le=20),
    ] = 1.0
    slice_volume_bars: Annotated[
        float, setting("bars", "half-life of the average volume that slices are capped by", ge=1, least=5)
    ] = 60.0

    # the bridge (L5)
    entry_time_in_force: Annotated[
        int,
        setting(
            "code",
            "of entries at the market. 0: the rest works on; 1: it is canceled (IOC); 2: all at once or none (FOK)",
            ge=0,
            le=2,
        ),
    ] = 0
    stop_limit_bps: Annotated[
        float,
        setting(
            "bps",
            "how far beyond its trigger a stop may still fill (STOP_LIMIT); 0: at the market, whatever the price",
            ge=0,
            le=5_000,
        ),
    ] = 0.0
    stop_limit_bars: Annotated[
        int,
        setting(
            "bars",
            "closes after which L94 sends to the market what such a stop, once reached, has left",
            ge=1,
            least=1,
            le=100_000,
        ),
    ] = 3
    stop_step_bps: Annotated[float, setting("bps", "least change of a resting stop that is worth a message", ge=0, le=100)] = (
        1.0
    )
    retry_most_bars: Annotated[
        int, setting("bars", "longest wait between two exits where the venue keeps refusing them", ge=1, le=1440)
    ] = 32

    # venue constraints (L89)
    collar_bps: Annotated[float, setting("bps", "most that a limit price may lie from the mark", gt=0)] = 100.0
    rate_orders: Annotated[int, setting("orders per bar", "order messages that the venue takes in one bar", ge=1)] = 200
    reserve: Annotated[float, setting("fraction", "part of that budget kept for exits, stops and cancels", ge=0, lt=1)] = 0.3

    # the chart's mirror (L99)
    mirror_usual_bars: Annotated[
        int, setting("bars", "L99: over which the chart's regime takes its usual volatility", ge=2, le=100_000, least=60)
    ] = 1440
    mirror_enter_atr: Annotated[float, setting("ATR", "L99: trend beyond which the chart takes a side", gt=0)] = 0.6
    mirror_leave_atr: Annotated[float, setting("ATR", "L99: trend below which the chart leaves it", ge=0)] = 0.3

    def problems(self) -> Iterator[str]:
        """Keys that contradict each other."""
        if self.mirror_leave_atr > self.mirror_enter_atr:
            yield (
                f"mirror_leave_atr is {self.mirror_leave_atr}; it must not be above mirror_enter_atr "
                f"({self.mirror_enter_atr}). Typical: 0.3."
            )
        if self.style_post_ratio < self.style_limit_ratio:
            yield (
                f"style_post_ratio is {self.style_post_ratio} and below style_limit_ratio, {self.style_limit_ratio}; "
                "a post-only order waits longer than a limit order, so it must save more"
            )
        volumes = self.fee_tier_volumes
        if not volumes or volumes[0] != 0.0 or any(a >= b for a, b in pairwise(volumes)):
            yield f"fee_tier_volumes is {list(volumes)}; write ascending numbers that begin with 0"
        for name in ("fee_tier_taker", "fee_tier_maker"):
            if len(getattr(self, name)) != len(volumes):
                found = len(getattr(self, name))
                yield f"{name} has {found} numbers and fee_tier_volumes {len(volumes)}; write one for each tier"
        if self.queue_share > self.participation:
            yield (
                f"queue_share is {self.queue_share} and above participation, {self.participation}; "
                "a queue gets no more than all entries"
            )
