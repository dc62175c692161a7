"""Settings of the microstructure domain."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Annotated, NamedTuple

from dataflows.config import setting


class MicrostructureConfig(NamedTuple):
    """How spread and depth are measured, and what counts as tradeable."""

    depth_levels: Annotated[int, setting("levels", "L8: book levels a side whose depth is counted", ge=1)] = 5
    depth_band_bps: Annotated[
        float, setting("bps", "L8, L63: how far from mid a level counts; what lies beyond is not seen as liquidity", gt=0)
    ] = 10.0
    proxy_window_bars: Annotated[int, setting("bars", "L8: average of the spread and depth proxies", ge=2, least=60)] = 240
    proxy_floor_bps: Annotated[
        float, setting("bps", "L8: least proxied spread of a symbol whose tick is unknown (else: one tick)", gt=0)
    ] = 0.5
    proxy_errors: Annotated[
        float, setting("standard errors", "L8: of the spread's proxy that are put down to the price's own moves", ge=0)
    ] = 2.0
    proxy_depth_share: Annotated[
        float, setting("fraction", "L8: proxied depth of a side within the band, as a share of a minute's mean notional", gt=0)
    ] = 0.5

    imbalance_decay: Annotated[float, setting("ratio", "L9: weight of a level, over that of the one before", ge=0, le=1)] = 0.5
    imbalance_halflife_bars: Annotated[
        float, setting("bars", "L9: half-life of the smoothed imbalance; a book speaks of seconds", gt=0, least=0.1)
    ] = 10.0 / 60.0
    pressure_halflife_bars: Annotated[
        float, setting("bars", "L10: half-life of volume in pressure and intensity", gt=0, least=2)
    ] = 10.0
    pressure_window_bars: Annotated[
        int, setting("bars", "L10: window of the z-score, and of the usual volume", ge=2, least=20)
    ] = 240
    impact_halflife_bars: Annotated[float, setting("bars", "L59: half-life of a bar's weight", gt=0, le=1e8, least=60)] = 360.0
    impact_least_bars: Annotated[float, setting("bars", "L59: weight from which the slope counts as known", ge=2)] = 60.0
    toxicity_buckets: Annotated[int, setting("buckets", "L61: volume buckets that are averaged", ge=2)] = 50
    toxicity_buckets_per_day: Annotated[float, setting("buckets", "L61: buckets that a usual day's volume fills", gt=0)] = 50.0
    toxicity_window_bars: Annotated[int, setting("bars", "L61: bars that vpin is ranked among", ge=30, least=100)] = 480

    flow_levels: Annotated[int, setting("levels", "L62: book levels whose order flow is joined", ge=1)] = 5
    flow_window_bars: Annotated[
        int, setting("bars", "L62: window of the z-score, at any clock: so many tell what is usual", ge=2)
    ] = 240
    flow_halflife_bars: Annotated[
        float, setting("bars", "L62: half-life of a bar's weight in the forecast", gt=0, le=1e8, least=240)
    ] = 360.0
    flow_least_bars: Annotated[float, setting("bars", "L62: weight from which the forecast counts as known", ge=2)] = 60.0

    order_notionals: Annotated[
        tuple[float, float, float],
        setting("quote currency", "L63: the order sizes whose slippage is stated, ascending", of_account=True),
    ] = (1_000.0, 10_000.0, 100_000.0)
    safe_slippage_bps: Annotated[float, setting("bps", "L63: slippage up to which an order is safe", gt=0)] = 10.0
    stale_bars: Annotated[float, setting("bars", "L63: book or bar older than this: avoid", gt=0, least=3)] = 5.0
    usual_move_bps: Annotated[
        float, setting("bps", "L63: usual move of a bar up to which the scales in bps hold; they grow with a larger one", gt=0)
    ] = 10.0
    score_base: Annotated[float, setting("logit", "L63: score of a perfect market", gt=0)] = 4.5
    spread_scale_bps: Annotated[float, setting("bps", "L63: a spread that costs one logit", gt=0)] = 10.0
    depth_scale: Annotated[
        float, setting("quote currency", "L63: a depth of the thinner side that costs one logit", gt=0, of_account=True)
    ] = 10_000.0
    slippage_scale_bps: Annotated[
        float, setting("bps", "L63: slippage of the middle order size that costs one logit", gt=0)
    ] = 10.0
    stale_weight: Annotated[float, setting("logit", "L63: cost of data that are stale_bars old", ge=0)] = 3.0
    chaotic_weight: Annotated[float, setting("logit", "L63: cost of a regime that is certainly chaotic", ge=0)] = 3.0
    toxic_weight: Annotated[float, setting("logit", "L63: cost of flow as toxic as it ever was", ge=0)] = 1.0
    lean_weight: Annotated[float, setting("logit", "L63: cost of a market that leans wholly to one side", ge=0)] = 0.5
    lean_full_z: Annotated[float, setting("deviations", "L63: order flow that is wholly one-sided", gt=0)] = 4.0
    avoid_below: Annotated[float, setting("score", "L63: avoid starts below", gt=0, lt=1)] = 0.2
    resume_above: Annotated[float, setting("score", "L63: avoid ends above", gt=0, lt=1)] = 0.35
    thin_below: Annotated[float, setting("score", "L63: THIN starts below", gt=0, lt=1)] = 0.6
    thin_until: Annotated[float, setting("score", "L63: THIN ends above", gt=0, lt=1)] = 0.7
    deep_above: Annotated[float, setting("score", "L63: DEEP starts above", gt=0, lt=1)] = 0.95
    deep_until: Annotated[float, setting("score", "L63: DEEP ends below", gt=0, lt=1)] = 0.9

    def problems(self) -> Iterator[str]:
        """Keys that contradict each other."""
        small, middle, large = self.order_notionals
        if not 0.0 < small < middle < large:
            yield f"order_notionals is {self.order_notionals}; three positive sizes are needed, each above the one before."
        for name in ("impact", "flow"):
            least, halflife = getattr(self, f"{name}_least_bars"), getattr(self, f"{name}_halflife_bars")
            most = 1.0 / (1.0 - 0.5 ** (1.0 / halflife))
            if least >= most:
                yield (
                    f"{name}_least_bars is {least}; weights that halve in {name}_halflife_bars ({halflife:g}) never add up to "
                    f"more than {most:.0f} bars. Typical: 60."
                )
        marks = ("avoid_below", "resume_above", "thin_below", "thin_until", "deep_until", "deep_above")
        for low, high in itertools.pairwise(marks):
            if not getattr(self, low) < getattr(self, high):
                yield f"{low} is {getattr(self, low)} and {high} is {getattr(self, high)}; {low} must be the lower."
