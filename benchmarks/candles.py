"""One picture of the gallery: candles, what the pattern saw, where it began and how long it lived; as a small SVG."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from typing import Final

import numpy as np

from dataflows.panel import Floats, Ints

WIDTH, HEIGHT = 760, 400
LEFT, RIGHT = 10, 678
TOP, BOTTOM = 40, 286
LOWER_TOP, LOWER_BOTTOM = 306, 366
UP, DOWN, INK, PALE = "#1a8f84", "#c2452d", "#333", "#777"
COLOURS: Final = ("#4f46c8", "#b07a00", "#8a4f9e", "#5d7f2b")
SHADE, BESIDE = "#f3cf63", "#9db7d5"
MINUTE: Final = 60_000_000_000


@dataclass
class Picture:
    """What is drawn. Arrays have one entry a candle, NaN where unknown; x counts candles and may be fractional."""

    title: str
    said: str  # for who cannot see it
    time: Ints  # close of each candle, UTC ns
    open: Floats
    high: Floats
    low: Floats
    close: Floats
    begins: float  # x of the bar on which the occurrence begins
    ends: float
    side: int
    void: float = float("nan")  # price beyond which a close refutes it
    lines: list[tuple[str, Floats]] = field(default_factory=list)
    levels: list[tuple[str, float]] = field(default_factory=list)
    levels_from: float = 0.0  # x
    points: list[tuple[float, float]] = field(default_factory=list)  # (x, price) of swing points, in order of time
    beside: list[tuple[float, float]] = field(default_factory=list)  # stretches (x, x) of another pattern that it looks back on
    marks: list[tuple[str, float]] = field(default_factory=list)  # (label, x)
    lower: Floats | None = None
    lower_label: str = ""
    bars: bool = False  # the lower panel as bars from 0


def price_text(price: float, span: float) -> str:
    """As many digits as tell prices apart that lie `span` from each other."""
    digits = int(np.clip(np.ceil(-np.log10(span / 40.0)), 0, 8)) if span > 0.0 else 2
    return f"{price:,.{digits}f}"


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Round numbers within [low, high]."""
    rough = (high - low) / most
    unit = 10.0 ** np.floor(np.log10(rough))
    step = float(unit * next(m for m in (1, 2, 2.5, 5, 10) if m * unit >= rough))
    return [float(x) for x in np.arange(np.ceil(low / step), np.floor(high / step) + 1.0) * step]


class Drawing:
    """Collects the elements of one picture."""

    def __init__(self, picture: Picture) -> None:
        self.p = picture
        self.parts: list[str] = []
        self.gap = (RIGHT - LEFT) / len(picture.time)
        seen = [picture.high, picture.low]
        low, high = float(np.nanmin(picture.low)), float(np.nanmax(picture.high))
        reach = 0.7 * (high - low)
        for _, line in picture.lines:
            seen.append(np.where((line > low - reach) & (line < high + reach), line, np.nan))
        near = [x for x in [picture.void, *(v for _, v in picture.levels)] if low - reach < x < high + reach]
        every = np.concatenate([*seen, near]) if near else np.concatenate(seen)
        low, high = float(np.nanmin(every)), float(np.nanmax(every))
        room = 0.08 * (high - low)
        self.low, self.high = low - room, high + room

    def x(self, at: float) -> float:
        return LEFT + (at + 0.5) * self.gap

    def y(self, price: float) -> float:
        return BOTTOM - (price - self.low) / (self.high - self.low) * (BOTTOM - TOP)

    def put(self, tag: str, text: str = "", **given: object) -> None:
        attributes = "".join(f' {k.rstrip("_").replace("_", "-")}="{_number(v)}"' for k, v in given.items())
        self.parts.append(f"<{tag}{attributes}>{escape(text)}</{tag}>" if text else f"<{tag}{attributes}/>")

    def text(self, words: str, x: float, y: float, fill: str = INK, **given: object) -> None:
        self.put("text", words, x=x, y=y, fill=fill, **given)

    def render(self) -> str:
        """The whole file."""
        self._stretches()
        self._axes()
        self._candles()
        self._lines()
        self._levels()
        self._points()
        self._start()
        self._lower()
        self.text(self.p.title, LEFT, 20, font_size=13, font_weight=600)
        body = "\n".join(self.parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" font-family="sans-serif" '
            f'font-size="11"><title>{escape(self.p.title)}</title><desc>{escape(self.p.said)}</desc>\n'
            f'<rect width="{WIDTH}" height="{HEIGHT}" rx="6" fill="#fff"/>\n{body}\n</svg>\n'
        )

    def _stretches(self) -> None:
        for a, b in self.p.beside:
            self._band(a, b, BESIDE, 0.3)
        self._band(self.p.begins, self.p.ends, SHADE, 0.35)

    def _band(self, a: float, b: float, fill: str, opacity: float) -> None:
        left, right = max(LEFT, self.x(a - 0.5)), min(RIGHT, self.x(b - 0.5))
        self.put("rect", x=left, y=TOP, width=max(1.5, right - left), height=LOWER_BOTTOM - TOP, fill=fill, opacity=opacity)

    def _axes(self) -> None:
        span = self.high - self.low
        for price in ticks(self.low, self.high):
            self.put("path", d=f"M{LEFT} {self.y(price):.1f}H{RIGHT}", stroke="#e4e4e4")
            self.text(price_text(price, span), RIGHT + 6, self.y(price) + 4, PALE)
        minutes = int(self.p.time[1] - self.p.time[0]) // MINUTE
        step = next(s for s in (10, 15, 30, 60, 120, 240, 360, 720, 1440) if s >= len(self.p.time) * minutes / 7) * MINUTE
        for i, t in enumerate(self.p.time):
            if t % step == 0:
                clock = str(np.datetime64(int(t), "ns"))[5:16].replace("T", " ")
                self.text(clock if clock.endswith("00:00") else clock[6:], self.x(i), 384, PALE, text_anchor="middle")
                self.put("path", d=f"M{self.x(i):.1f} {LOWER_BOTTOM}v4", stroke=PALE)
        for label, at in self.p.marks:
            self.put("path", d=f"M{self.x(at):.1f} {TOP}V{LOWER_BOTTOM}", stroke=PALE, stroke_dasharray="1 3")
            self.text(label, self.x(at) + 3, TOP + 10, PALE)

    def _candles(self) -> None:
        p, half = self.p, 0.36 * self.gap
        for rises, colour in ((True, UP), (False, DOWN)):
            wicks, bodies = [], []
            for i in np.flatnonzero(np.isfinite(p.close) & ((p.close >= p.open) == rises)):
                x, top, bottom = self.x(float(i)), self.y(max(p.open[i], p.close[i])), self.y(min(p.open[i], p.close[i]))
                wicks.append(f"M{x:.1f} {self.y(p.high[i]):.1f}V{self.y(p.low[i]):.1f}")
                bodies.append(f"M{x - half:.1f} {top:.1f}h{2 * half:.1f}v{max(bottom - top, 0.8):.1f}h{-2 * half:.1f}z")
            self.put("path", d="".join(wicks), stroke=colour)
            self.put("path", d="".join(bodies), fill=colour)

    def _path(self, values: Floats, y: Floats) -> str:
        made, pen = [], "M"
        for i, v in enumerate(values):
            if np.isfinite(v):
                made.append(f"{pen}{self.x(i):.1f} {y[i]:.1f}")
                pen = "L"
            else:
                pen = "M"
        return "".join(made)

    def _lines(self) -> None:
        names: list[str] = []
        for label, values in self.p.lines:
            if label not in names:
                names.append(label)
            inside = np.where((values > self.low) & (values < self.high), values, np.nan)
            y = np.array([self.y(v) for v in inside])
            colour = COLOURS[names.index(label) % len(COLOURS)]
            self.put("path", d=self._path(inside, y), stroke=colour, fill="none", stroke_width=1.4)
        for i, label in enumerate(names):
            self.text(label, LEFT + sum(6.2 * len(n) + 14 for n in names[:i]), 34, COLOURS[i % len(COLOURS)])

    def _levels(self) -> None:
        span = self.high - self.low
        taken: list[float] = []
        lines = [(label, price, self.x(max(0.0, self.p.levels_from)), "4 3") for label, price in self.p.levels]
        if np.isfinite(self.p.void):
            lines.append(("void beyond", self.p.void, self.x(self.p.begins), "2 2"))
        for label, price, start, dashes in lines:
            words = f"{label} {price_text(price, span)}"
            if not self.low < price < self.high:
                if label == "void beyond":
                    y = TOP + 12.0 if price > self.high else BOTTOM - 6
                    self.text(words + (" ↑" if price > self.high else " ↓"), RIGHT - 4, y, INK, text_anchor="end")
                continue
            y = self.y(price)
            colour = INK if label == "void beyond" else COLOURS[2]
            self.put("path", d=f"M{start:.1f} {y:.1f}H{RIGHT}", stroke=colour, stroke_dasharray=dashes)
            high_up = price > 0.5 * (self.low + self.high)
            places = (y - 4, y + 12, y - 16, y + 24) if high_up else (y + 12, y - 4, y + 24, y - 16)
            at = next((a for a in places if all(abs(a - o) > 11 for o in taken)), y - 4.0)
            taken.append(at)
            if label == "void beyond":
                self.text(words, RIGHT - 4, at, colour, text_anchor="end", **HALO)
            elif self.p.levels_from > 0.0:
                self.text(words, start - 4, at, colour, text_anchor="end", **HALO)
            else:
                self.text(words, start + 2, at, colour, **HALO)

    def _points(self) -> None:
        if self.p.points:
            path = "M" + "L".join(f"{self.x(x):.1f} {self.y(v):.1f}" for x, v in self.p.points)
            self.put("path", d=path, stroke=COLOURS[0], fill="none", stroke_width=1.2, stroke_dasharray="5 2")
        for x, v in self.p.points:
            self.put("circle", cx=self.x(x), cy=self.y(v), r=3.4, fill=COLOURS[0])

    def _start(self) -> None:
        i, side = int(self.p.begins), self.p.side
        x = self.x(self.p.begins)
        self.put("path", d=f"M{x:.1f} {TOP}V{BOTTOM}", stroke=INK, stroke_width=0.7, opacity=0.5)
        if side > 0:
            y = min(self.y(self.p.low[i]) + 5, BOTTOM - 12)
            self.put("path", d=f"M{x:.1f} {y:.1f}l-6 11h12z", fill=INK)
        elif side < 0:
            y = max(self.y(self.p.high[i]) - 5, TOP + 12)
            self.put("path", d=f"M{x:.1f} {y:.1f}l-6 -11h12z", fill=INK)
        else:
            y = max(self.y(self.p.high[i]) - 12, TOP + 8)
            self.put("path", d=f"M{x:.1f} {y:.1f}m-5 0l5 -5 5 5 -5 5z", fill=INK)

    def _lower(self) -> None:
        values = self.p.lower
        if values is None or not np.isfinite(values).any():
            return
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        if self.p.bars:
            low, high = min(low, 0.0), max(high, 0.0)
        if high == low:
            high = low + 1.0
        y = LOWER_BOTTOM - (values - low) / (high - low) * (LOWER_BOTTOM - LOWER_TOP - 12)
        zero = LOWER_BOTTOM - (0.0 - low) / (high - low) * (LOWER_BOTTOM - LOWER_TOP - 12)
        if self.p.bars:
            width = 0.72 * self.gap
            bars = [
                f"M{self.x(float(i)) - width / 2:.1f} {zero:.1f}h{width:.1f}V{y[i]:.1f}h{-width:.1f}z"
                for i in np.flatnonzero(np.isfinite(values))
            ]
            self.put("path", d="".join(bars), fill="#9a9a9a")
        else:
            if low < 0.0 < high:
                self.put("path", d=f"M{LEFT} {zero:.1f}H{RIGHT}", stroke="#ccc")
            self.put("path", d=self._path(values, y), stroke="#555", fill="none", stroke_width=1.2)
        self.put("path", d=f"M{LEFT} {LOWER_BOTTOM}H{RIGHT}", stroke=PALE, stroke_width=0.6)
        self.text(self.p.lower_label, LEFT + 2, LOWER_TOP + 6, PALE, **HALO)


HALO: Final[dict[str, object]] = {"stroke": "#fff", "stroke_width": 3, "paint_order": "stroke"}


def _number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.1f}" if abs(value) >= 10.0 else f"{value:.2f}".rstrip("0").rstrip(".")
    return escape(str(value), quote=True)


def draw(picture: Picture) -> str:
    """The picture as the text of an SVG file."""
    return Drawing(picture).render()


def together(values: Floats, groups: Ints, how: str) -> Floats:
    """One value a group (rising numbers, one an entry): `first`, `last`, `max`, `min` or `sum` of what is known; else NaN."""
    found: list[float] = []
    for g in np.unique(groups):
        known = values[groups == g]
        known = known[np.isfinite(known)]
        if not len(known):
            found.append(np.nan)
        else:
            of = {"first": known[0], "last": known[-1], "max": known.max(), "min": known.min(), "sum": known.sum()}
            found.append(float(of[how]))
    return np.array(found, np.float64)
