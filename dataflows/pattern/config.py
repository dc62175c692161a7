"""Settings of the pattern domain."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, NamedTuple

from dataflows.config import setting


class PatternConfig(NamedTuple):
    """What counts as each pattern, and how long an occurrence lives."""

    break_quiet_bars: Annotated[
        int, setting("bars", "L26, L27: a break is the first close beyond its side of the channel for so long", ge=1, least=10)
    ] = 30
    confirmed_volume_bars: Annotated[
        int, setting("bars", "L26: bars that the volume of a break is compared with", ge=2, least=20)
    ] = 240
    confirmed_volume_z: Annotated[float, setting("deviations", "L26: least volume of a break", gt=0)] = 1.0
    confirmed_flow_z: Annotated[float, setting("deviations", "L26: least order flow to the side of the break", gt=0)] = 1.0
    confirmed_life_bars: Annotated[int, setting("bars", "L26: longest life of an occurrence", ge=1, least=5)] = 30
    failed_within_bars: Annotated[int, setting("bars", "L27: a break that fails does so within", ge=1, least=3)] = 10
    failed_margin_atr: Annotated[float, setting("ATR", "L27: how far back inside the close must lie", ge=0)] = 0.25
    failed_life_bars: Annotated[int, setting("bars", "L27: longest life of an occurrence", ge=1, least=5)] = 30
    pullback_average_bars: Annotated[int, setting("bars", "L28: span of the average that a trend comes back to", ge=2)] = 21
    pullback_shallow_atr: Annotated[float, setting("ATR", "L28: least retrace", ge=0)] = 2.0
    pullback_deep_atr: Annotated[float, setting("ATR", "L28: retrace from which the trend counts as lost", gt=0)] = 8.0
    pullback_within_bars: Annotated[
        int, setting("bars", "L28: the trend resumes within so long of coming to the average", ge=1, least=5)
    ] = 30
    pullback_life_bars: Annotated[int, setting("bars", "L28: longest life of an occurrence", ge=1, least=10)] = 60
    flag_pole_bars: Annotated[int, setting("bars", "L29: an impulse is measured over so long", ge=2, least=5)] = 15
    flag_pole_atr: Annotated[float, setting("ATR", "L29: least impulse", gt=0)] = 5.0
    flag_least_bars: Annotated[int, setting("bars", "L29: shortest rest", ge=1, least=3)] = 5
    flag_most_bars: Annotated[int, setting("bars", "L29: longest rest", ge=1, least=10)] = 30
    flag_retrace: Annotated[float, setting("fraction", "L29: most of the impulse that a rest gives back", gt=0, lt=1)] = 0.5
    flag_life_bars: Annotated[int, setting("bars", "L29: longest life of an occurrence", ge=1, least=5)] = 30
    compression_share: Annotated[float, setting("share", "L30: rank of a bandwidth that is narrow", ge=0, lt=1)] = 0.2
    compression_window: Annotated[int, setting("60-bars", "L30: bandwidths that one is ranked among", ge=2, least=60)] = 240
    compression_enter: Annotated[float, setting("ratio", "L30: volatility over its long run that is compressed", gt=0)] = 0.8
    compression_leave: Annotated[float, setting("ratio", "L30: volatility over its long run that no longer is", gt=0)] = 1.0
    compression_life_bars: Annotated[int, setting("bars", "L30: longest life of an occurrence", ge=1, least=60)] = 720
    expansion_sigmas: Annotated[float, setting("deviations", "L31: least move of five bars that is a release", gt=0)] = 3.0
    expansion_within_bars: Annotated[
        int, setting("bars", "L31: a release comes so long after a compression", ge=0, least=10)
    ] = 60
    expansion_life_bars: Annotated[int, setting("bars", "L31: longest life of an occurrence", ge=1, least=10)] = 60
    range_edge: Annotated[float, setting("channel", "L32: how near to an edge counts as there", ge=0, lt=0.5)] = 0.1
    range_calm: Annotated[float, setting("probability", "L32: least P(calm)", ge=0, le=1)] = 0.5
    range_most_ratio: Annotated[float, setting("ratio", "L32: greatest variance ratio", gt=0)] = 1.0
    range_least_z: Annotated[float, setting("deviations", "L32: least distance from the mean that is to be reached", ge=0)] = (
        1.0
    )
    range_room: Annotated[float, setting("heights", "L32: room of a refuting close beyond the last 60-bar", ge=0)] = 0.5
    range_life_bars: Annotated[int, setting("bars", "L32: longest life of an occurrence", ge=1, least=20)] = 120
    swing_reversal_atr: Annotated[
        float, setting("ATR", "L33, L37, L38: move away from a high or low that confirms it as a swing point", gt=0)
    ] = 4.0
    sweep_volume_bars: Annotated[
        int, setting("bars", "L33: bars that the volume of a sweep is compared with", ge=2, least=20)
    ] = 240
    sweep_volume_z: Annotated[float, setting("deviations", "L33: least volume of a sweep", gt=0)] = 1.0
    sweep_pierce_atr: Annotated[float, setting("ATR", "L33: how far beyond the swing point the wick must reach", ge=0)] = 0.1
    sweep_life_bars: Annotated[int, setting("bars", "L33: longest life of an occurrence", ge=1, least=5)] = 30
    climax_bars: Annotated[int, setting("bars", "L35: bars that the volume of a climax is compared with", ge=2, least=20)] = 240
    climax_range_atr: Annotated[float, setting("ATR", "L35: least range of a climax", gt=0)] = 2.0
    climax_volume_z: Annotated[float, setting("deviations", "L35: least volume of a climax", gt=0)] = 3.0
    climax_velocity_atr: Annotated[float, setting("ATR a bar", "L35: least velocity of the move at its climax", gt=0)] = 0.5
    climax_within_bars: Annotated[
        int, setting("bars", "L35: the move decelerates at most so long after its climax", ge=0, least=3)
    ] = 10
    climax_life_bars: Annotated[int, setting("bars", "L35: longest life of an occurrence", ge=1, least=5)] = 30
    divergence_window_bars: Annotated[
        int, setting("bars", "L36: an extreme is that of so many bars, half of them later", ge=3)
    ] = 21
    divergence_most_bars: Annotated[int, setting("bars", "L36: most bars between the two extremes", ge=1, least=40)] = 120
    divergence_rsi_points: Annotated[float, setting("points", "L36: shortfall of L15 that diverges", gt=0)] = 5.0
    divergence_flow_halflife: Annotated[int, setting("bars", "L36: half-life of the mean of L62's flow", ge=1, least=3)] = 10
    divergence_flow_z: Annotated[float, setting("deviations", "L36: shortfall of the mean flow that diverges", gt=0)] = 0.5
    divergence_life_bars: Annotated[int, setting("bars", "L36: longest life of an occurrence", ge=1, least=5)] = 30
    double_tolerance_atr: Annotated[float, setting("ATR", "L37: most that two extremes alike differ", gt=0)] = 1.0
    double_within_bars: Annotated[
        int, setting("bars", "L37: the neckline breaks at most so long after the pair is confirmed", ge=1, least=10)
    ] = 60
    double_life_bars: Annotated[int, setting("bars", "L37: longest life of an occurrence", ge=1, least=10)] = 60
    structure_life_bars: Annotated[int, setting("bars", "L38: longest life of an occurrence", ge=1, least=10)] = 60
    gap_least_atr: Annotated[float, setting("ATR", "L39: least gap between open and the close before", gt=0)] = 1.0
    gap_turn: Annotated[float, setting("share", "L39: share of the way back that begins an occurrence", ge=0, lt=1)] = 0.25
    gap_within_bars: Annotated[int, setting("bars", "L39: a gap turns within", ge=0, least=5)] = 30
    gap_life_bars: Annotated[int, setting("bars", "L39: longest life of an occurrence", ge=1, least=20)] = 120
    opening_bars: Annotated[int, setting("bars", "L40: the session's first ones, whose range may be broken", ge=1, least=1)] = (
        30
    )
    opening_margin_atr: Annotated[float, setting("ATR", "L40: how far beyond the range the close must lie", ge=0)] = 0.5
    opening_within_bars: Annotated[
        int, setting("bars", "L40: a break comes so long after the range, at most", ge=1, least=2)
    ] = 240
    opening_give: Annotated[float, setting("heights", "L40: a close so far back from the broken edge ends it", ge=0)] = 0.5
    opening_life_bars: Annotated[int, setting("bars", "L40: longest life of an occurrence", ge=1, least=2)] = 120
    vwap_least_bars: Annotated[int, setting("bars", "L41, L42: of a session, before its VWAP counts", ge=2, least=3)] = 60
    vwap_far: Annotated[float, setting("deviations", "L41: distance from VWAP that is too far", gt=0)] = 2.0
    vwap_near: Annotated[float, setting("deviations", "L41: distance from VWAP that is near again", ge=0)] = 1.0
    vwap_turn_atr: Annotated[float, setting("ATR", "L41: how far back from the farthest price a close has turned", ge=0)] = 2.0
    vwap_most_ratio: Annotated[float, setting("ratio", "L41: greatest variance ratio", gt=0)] = 1.0
    vwap_life_bars: Annotated[int, setting("bars", "L41: longest life of an occurrence", ge=1, least=20)] = 120
    hold_touch_atr: Annotated[float, setting("ATR", "L42: how near to VWAP a bar tests it", ge=0)] = 0.25
    hold_away_atr: Annotated[float, setting("ATR", "L42: how far from VWAP a close is away", gt=0)] = 2.0
    hold_deepest_atr: Annotated[float, setting("ATR", "L42: a close so far beyond VWAP loses it", gt=0)] = 2.0
    hold_within_bars: Annotated[int, setting("bars", "L42: longest test", ge=1, least=5)] = 30
    hold_life_bars: Annotated[int, setting("bars", "L42: longest life of an occurrence", ge=1, least=10)] = 60
    narrow_of_bars: Annotated[int, setting("15-bars", "L43: the narrowest of so many", ge=2)] = 7
    narrow_margin_atr: Annotated[float, setting("ATR", "L43: how far beyond the narrow bar the close must lie", ge=0)] = 0.5
    narrow_within_bars: Annotated[
        int, setting("bars", "L43: a break comes so long after the narrow bar, at most", ge=1, least=5)
    ] = 15
    narrow_give: Annotated[float, setting("heights", "L43: a close so far back from the broken edge ends it", ge=0)] = 1.0
    narrow_life_bars: Annotated[int, setting("bars", "L43: longest life of an occurrence", ge=1, least=5)] = 30
    reversal_zone: Annotated[float, setting("of the channel", "L44: how near its edge the close before lies", ge=0, lt=0.5)] = (
        0.1
    )
    reversal_range_atr: Annotated[float, setting("ATR", "L44: least range of the bar", gt=0)] = 1.5
    reversal_close_share: Annotated[
        float, setting("of the range", "L44: least part of the range that the close leaves behind", ge=0, le=1)
    ] = 0.7
    reversal_life_bars: Annotated[int, setting("bars", "L44: longest life of an occurrence", ge=1, least=5)] = 30
    vacuum_usual_bars: Annotated[
        int, setting("bars", "L34: known books whose mean depth and spread are usual", ge=2, least=20)
    ] = 240
    vacuum_depth_share: Annotated[
        float, setting("fraction", "L34: most of the usual depth that is left on the side of the move", gt=0, lt=1)
    ] = 0.5
    vacuum_spread_times: Annotated[float, setting("factor", "L34: least spread, over the usual one", gt=0)] = 1.5
    vacuum_move_sigma: Annotated[float, setting("deviations", "L34: least move of 5 bars", gt=0)] = 1.0
    vacuum_life_bars: Annotated[int, setting("bars", "L34: longest life of an occurrence", ge=1, least=3)] = 10
    absorption_bars: Annotated[int, setting("bars", "L45: bars over which volume and progress are compared", ge=1, least=3)] = (
        10
    )
    absorption_usual_bars: Annotated[int, setting("bars", "L45: bars before, whose mean volume is usual", ge=2, least=20)] = 240
    absorption_volume_times: Annotated[float, setting("factor", "L45: least volume, over the usual one", gt=0)] = 1.5
    absorption_lean: Annotated[
        float, setting("fraction", "L45: least share of the volume that is net on one side", gt=0, le=1)
    ] = 0.15
    absorption_progress_sigma: Annotated[
        float, setting("deviations", "L45: most progress of the price to the aggressor's side", gt=0)
    ] = 0.5
    absorption_refuted_atr: Annotated[
        float, setting("ATR", "L45: a close so far on the aggressor's side ends an occurrence", gt=0)
    ] = 1.0
    absorption_life_bars: Annotated[int, setting("bars", "L45: longest life of an occurrence", ge=1, least=5)] = 15
    flow_bars: Annotated[int, setting("bars", "L46: bars whose flow is counted by its side", ge=1, least=5)] = 15
    flow_share: Annotated[
        float, setting("fraction", "L46: least excess of bars with flow on one side over the other", gt=0, le=1)
    ] = 0.4
    flow_pressure: Annotated[float, setting("score", "L46: least trade pressure to the side of the flow", gt=0, le=1)] = 0.15
    flow_slope_t: Annotated[float, setting("deviations", "L46: least t of the short slope to the side of the flow", gt=0)] = 2.0
    flow_life_bars: Annotated[int, setting("bars", "L46: longest life of an occurrence", ge=1, least=5)] = 15
    impact_halflife_bars: Annotated[float, setting("bars", "L47: half-life of the impact of a bar's flow", gt=0, least=2)] = (
        10.0
    )
    impact_peak_sigma: Annotated[float, setting("deviations", "L47: least peak of the impact that is left", gt=0)] = 2.0
    impact_left: Annotated[float, setting("fraction", "L47: share of the peak at which it counts as fading", gt=0, lt=1)] = 0.7
    impact_life_bars: Annotated[int, setting("bars", "L47: longest life of an occurrence", ge=1, least=5)] = 15
    lead_halflife_bars: Annotated[float, setting("bars", "L48: half-life of a bar's weight", gt=0, le=1e8, least=240)] = 1440.0
    lead_most_sigma: Annotated[float, setting("deviations", "L48: a larger move counts as one of this size", gt=0)] = 5.0
    lead_least_bars: Annotated[float, setting("bars", "L48: sum of weights before there is an answer", ge=3)] = 240.0
    lead_least_t: Annotated[float, setting("standard errors", "L48: least t of the leader's coefficient", gt=0)] = 2.0
    lead_move_sigma: Annotated[float, setting("deviations", "L48: least move of the leader", gt=0)] = 1.0
    strength_least_symbols: Annotated[int, setting("symbols", "L49: fewest known symbols that are ranked", ge=2)] = 3
    strength_momentum_share: Annotated[
        float, setting("fraction", "L49: weight of momentum's rank; the rest is reversal's", ge=0, le=1)
    ] = 0.5
    strength_enter: Annotated[float, setting("rank", "L49: joint rank at which a symbol stands out", gt=0, le=1)] = 0.75
    strength_leave: Annotated[float, setting("rank", "L49: joint rank below which it no longer does", gt=0, le=1)] = 0.5
    consensus_horizon_bars: Annotated[int, setting("bars", "L50: longest wait for a barrier", ge=1, least=10)] = 60
    consensus_barrier_sigma: Annotated[
        float, setting("deviations", "L50: distance of both barriers, of a move over the horizon", gt=0)
    ] = 1.0
    consensus_alpha: Annotated[float, setting("rate", "L50: learning rate of a pattern's weight", gt=0)] = 0.1
    consensus_beta: Annotated[float, setting("rate", "L50: keeps the first steps small", gt=0)] = 1.0
    consensus_l1: Annotated[float, setting("evidence", "L50: gradient that a weight needs to leave 0", ge=0)] = 0.1
    consensus_l2: Annotated[float, setting("penalty", "L50: pull of a weight to 0", ge=0)] = 1.0

    def problems(self) -> Iterator[str]:
        """Keys that contradict each other."""
        pairs = (
            ("pullback_shallow_atr", "pullback_deep_atr"),
            ("flag_least_bars", "flag_most_bars"),
            ("compression_enter", "compression_leave"),
            ("vwap_near", "vwap_far"),
        )
        for least, most in pairs:
            a, b = getattr(self, least), getattr(self, most)
            if not a < b:
                typical = f"{self._field_defaults[least]:g} and {self._field_defaults[most]:g}"
                yield f"{least} is {a:g}; it must be below {most} ({b:g}). Typical: {typical}."
        most = 1.0 / (1.0 - 0.5 ** (1.0 / self.lead_halflife_bars))
        if self.lead_least_bars >= most:
            yield (
                f"lead_least_bars is {self.lead_least_bars:g}; weights that halve in lead_halflife_bars "
                f"({self.lead_halflife_bars:g}) never add up to more than {most:.0f} bars. Typical: 240."
            )
        if self.strength_leave > self.strength_enter:
            enter = self.strength_enter
            yield f"strength_leave is {self.strength_leave:g}; it must not be above strength_enter ({enter:g})."
