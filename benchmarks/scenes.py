"""What each pattern's picture shows beside the candles, and the sentence that says what to see.

A pattern without an entry gets candles, volume, its beginning, its life and the price that refutes it.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Scene(NamedTuple):
    """How one pattern is drawn."""

    see: str = ""
    minutes: int = 1  # base bars a candle
    before: int = 70  # candles
    after: int = 35
    lines: tuple[str, ...] = ()  # names in `gallery.LINES`
    levels: tuple[tuple[str, str], ...] = ()  # (path in the carry, label)
    points: str = ""  # path in the carry: prices of swing points, the latest first
    lower: tuple[str, str, str] | None = None  # (layer, field, label); None: volume
    pair: str = ""  # path in the carry: `high.price` and `low.price` of the extreme before and this one
    levels_back: int = 0  # candles before the beginning from which levels are drawn; 0: all
    day: bool = False  # a mark where the UTC day begins
    log_path: str = ""  # path in the carry: log price, where the pattern refutes itself in logarithms
    beside: str = ""  # another pattern whose life is shaded


SCENES: Final = {
    "L26": Scene(
        "The close leaves the hour's channel for the first time in half an hour, on volume and order flow of the same side.",
        lines=("channel",),
        lower=("l62_order_flow_imbalance", "ofi_z", "order flow, z"),
    ),
    "L27": Scene(
        "A close leaves the channel; within ten bars another lies well back inside. The break has failed, and points back.",
        lines=("channel",),
    ),
    "L28": Scene(
        "A trend gives back a few bars' range, touches its average, and closes beyond it and the bar before.",
        minutes=2,
        lines=("average",),
    ),
    "L29": Scene(
        "A steep pole, a tight rest that keeps most of it, and a close beyond its end.",
        levels=(("flag.end", "end of the pole"), ("flag.base", "its base")),
    ),
    "L30": Scene(
        "The hourly bands draw in until Bollinger's lie within Keltner's, and the candles shrink. It has no side.",
        minutes=30,
        before=90,
        after=40,
        lines=("bollinger", "keltner"),
        lower=("l58_volatility_term_structure", "ratio", "volatility, short over long"),
    ),
    "L31": Scene(
        "After a compression (shaded blue) five bars move three times what was usual in it: the release, and its side.",
        minutes=2,
        before=85,
        log_path="release.path",
        beside="L30",
        lower=("l2_returns_volatility", "sigma", "volatility of a bar"),
    ),
    "L32": Scene(
        "The price stands at an edge of its hourly channel in a calm market, and is expected back at the middle.",
        minutes=10,
        before=90,
        after=30,
        lines=("bollinger",),
    ),
    "L33": Scene(
        "One bar's wick runs the stops beyond the last swing point on high volume and closes back.",
        points="sweep.swings.price",
    ),
    "L34": Scene(
        "Depth vanishes and the spread widens while the price goes one way.",
        before=30,
        after=20,
        lower=("l8_spread_depth", "spread_bps", "spread, bps"),
    ),
    "L35": Scene(
        "The widest and busiest bar of a fast move, after which the move slows down: it is spent.",
    ),
    "L36": Scene(
        "The price makes a new extreme, the oscillator (below) or the order flow a weaker one.",
        pair="divergence",
        lower=("l15_rsi_short", "value", "RSI"),
    ),
    "L37": Scene(
        "Two extremes of the same height, and a close beyond the swing point between them, the neckline.",
        minutes=2,
        points="double.swings.price",
        levels=(("double.neck", "neckline"),),
    ),
    "L38": Scene(
        "A staircase of swing points, and the first close beyond the last step.",
        minutes=3,
        before=100,
        points="structure.swings.price",
        levels=(("structure.guard", "last step"),),
    ),
    "L39": Scene(
        "A bar opens far from the close before it, and the price has begun to come back to that close.",
        before=20,
        after=20,
        levels=(("gaps.goal", "close before the gap"),),
    ),
    "L40": Scene(
        "The first half hour of the day makes a range (dashed); the first close clearly beyond it begins the occurrence.",
        minutes=2,
        before=50,
        after=60,
        levels=(("breaks.top", "top of the opening range"), ("breaks.bottom", "bottom")),
        day=True,
    ),
    "L41": Scene(
        "The price has strayed more than two of its bands from the day's VWAP and turns back from its farthest point.",
        minutes=3,
        lines=("vwap", "bands"),
        day=True,
    ),
    "L42": Scene(
        "A trend comes back to the day's VWAP, is held by it or wins it back, and goes on.",
        minutes=2,
        lines=("vwap",),
        day=True,
    ),
    "L43": Scene(
        "A quarter of an hour narrower than the six before it, or inside the last (dashed), and a close clearly beyond it.",
        levels=(("breaks.top", "its top"), ("breaks.bottom", "its bottom")),
        levels_back=22,
    ),
    "L44": Scene(
        "At an edge of the hour's channel one bar swallows the bar before it and closes the other way.", lines=("channel",)
    ),
    "L45": Scene(
        "Aggressors of one side trade far more than usual and the price does not follow: somebody takes it all.",
        lower=("l10_trade_pressure", "signed_volume", "signed volume"),
    ),
    "L46": Scene(
        "Bar after bar the flow comes from one side, and the price goes with it.",
        lower=("l62_order_flow_imbalance", "ofi_z", "order flow, z"),
    ),
    "L47": Scene(
        "A burst of flow has pushed the price; the push has peaked and its impact fades.",
        lower=("l10_trade_pressure", "signed_volume", "signed volume"),
    ),
    "L48": Scene(
        "The leader has just moved (line, on the scale of these prices); this symbol should follow in the next bar.",
        before=40,
        after=20,
        lines=("leader",),
    ),
    "L49": Scene(
        "Among the symbols this one has the strongest, or the weakest, mix of momentum and short reversal.",
        minutes=15,
        before=100,
        after=20,
        lower=("l21_momentum_medium", "score", "momentum score"),
    ),
}
