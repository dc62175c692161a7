"""`python -m benchmarks.gallery DATA`: a picture of one real occurrence of every pattern of the graph, and the page of them.

Of the ten occurrences of a pattern with the highest confidence, of all symbols and bars, the one is drawn whose picture a
single bar overshadows least; what came after it plays no part. A pattern that does not occur in the data is drawn from a
simulated market, and says so.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from benchmarks.candles import Picture, draw, together
from benchmarks.scenes import SCENES, Scene
from dataflows.panel import Floats, Ints
from dataflows.pattern.types import PatternSignal
from drivers.domain.inputs import upstream
from drivers.engine.chunk import Chunk, Outputs
from drivers.engine.engine import Engine
from drivers.engine.plan import Plan
from drivers.feeds.dataset import Dataset, open_dataset
from drivers.feeds.simulate import default_symbols, simulate
from drivers.graph.inventory import layer_nodes
from drivers.graph.layers import LayerNode
from drivers.graph.modules import layer_modules
from drivers.graph.wiring import load
from drivers.project.configs import load_configs
from drivers.project.locate import defaults
from drivers.run.assembly import CHUNK_BYTES

MINUTE: Final = 60_000_000_000
WARM: Final = 1440
"""Bars of the run of which nothing is drawn: averages are young."""
SUREST: Final = 10
"""Occurrences among which the one that is drawn is chosen."""
KEPT: Final = ("open", "high", "low", "close", "volume", "vwap")
MARKET: Final = "l0_market_feed"


class Found(NamedTuple):
    """The occurrence of a pattern that is drawn."""

    row: int
    symbol: int
    side: int
    confidence: float
    ends: int  # first row on which it no longer lives


class Setting(NamedTuple):
    """The pattern domain with all it depends on, and the patterns in order of their ids."""

    plan: Plan
    data: Dataset
    patterns: dict[str, LayerNode]  # by id
    simulated: bool

    def engine(self) -> Engine:
        """A fresh one."""
        data = self.data
        epoch = load(defaults().wiring).epoch_ns
        return Engine(self.plan, data.symbols, {"instruments": data.instruments}, depth=data.depth, epoch_ns=epoch)


def setting(folder: Path, *, simulated: bool = False) -> Setting:
    """Finds the patterns in the graph: the pattern domain's layers that return a `PatternSignal`."""
    project, data = defaults(), open_dataset(folder)
    wiring = load(project.wiring)
    configs = load_configs(project, clock=data.clock)
    modules = layer_modules(without=[name for name, entry in wiring.layers.items() if not entry.enabled])
    nodes = {n.name: n for n in layer_nodes(modules, wiring.variants)}
    needed = upstream("pattern", nodes, wiring.delayed_edges())
    plan = Plan(modules, configs, wiring.delayed_edges(), variant=wiring.variants, only=needed)
    found = {n.layer_id: n for n in nodes.values() if n.returns is PatternSignal}
    return Setting(plan, data, {k: found[k] for k in sorted(found, key=lambda layer: int(layer[1:]))}, simulated)


def scene_of(layer: str) -> Scene:
    """The pattern's scene, or the plain one."""
    return SCENES.get(layer, Scene())


class Tape:
    """What a run over the whole data leaves for the pictures: panels (T, N) by (layer, field)."""

    def __init__(self, made: Setting) -> None:
        self.setting = made
        wanted = {(MARKET, f"bars.{name}") for name in KEPT} | {(MARKET, "session.vwap"), (MARKET, "quality.valid")}
        wanted |= {(MARKET, f"bars_60.{name}") for name in ("high", "low", "close", "closed")}
        for layer, node in made.patterns.items():
            wanted |= {(node.name, name) for name in PatternSignal._fields}
            lower = scene_of(layer).lower
            wanted |= {lower[:2]} if lower and lower[0] in made.plan.nodes else set()
        parts: dict[tuple[str, str], list[Any]] = defaultdict(list)
        times = []
        for outputs in advance(made.engine(), made.data, ()):
            times.append(outputs.time)
            for name, path in wanted:
                parts[name, path].append(at_path(outputs.values[name], path).copy())
        self.time: Ints = np.concatenate(times)
        self.panels = {key: np.concatenate(p) for key, p in parts.items()}

    def bars(self, name: str, n: int) -> Floats:
        """A column of the base bars."""
        column: Floats = self.panels[MARKET, f"bars.{name}"][:, n]
        return column

    def signal(self, layer: str) -> PatternSignal:
        """A pattern's panels."""
        name = self.setting.patterns[layer].name
        return PatternSignal(*[self.panels[name, field] for field in PatternSignal._fields])

    def begins(self, layer: str) -> Any:
        """(T, N): True on the bars on which an occurrence of the pattern begins."""
        return (self.signal(layer).age == 0.0) & (self.panels[MARKET, "quality.valid"] == 1)

    def best(self, layer: str) -> Found | None:
        """The most legible of the surest occurrences whose pictures lie within the data; None without one."""
        signal, scene = self.signal(layer), scene_of(layer)
        rows = np.arange(len(self.time))[:, None]
        first, last = max(WARM, scene.before * scene.minutes), len(self.time) - scene.after * scene.minutes
        able = self.begins(layer) & (rows >= first) & (rows < last)
        if not able.any():
            return None
        order = np.argsort(np.where(able, -signal.confidence, np.inf), axis=None, kind="stable")[: min(SUREST, int(able.sum()))]
        places = [(int(row), int(n)) for row, n in zip(*np.unravel_index(order, able.shape), strict=True)]
        row, n = min(places, key=lambda place: self.shadow(place[0], place[1], scene.before * scene.minutes))
        side = int(signal.side[row, n])
        over = (
            (signal.active[row:, n] == 0)
            | (signal.side[row:, n] != side)
            | ((signal.age[row:, n] == 0.0) & (rows[row:, 0] > row))
        )
        ends = row + (int(np.argmax(over)) if over.any() else len(over))
        return Found(row, n, side, float(signal.confidence[row, n]), ends)

    def shadow(self, row: int, n: int, before: int) -> float:
        """How much of the price range of `before` bars and this one a single bar takes."""
        high, low = (self.bars(name, n)[row - before : row + 1] for name in ("high", "low"))
        return float(np.nanmax(high - low) / (np.nanmax(high) - np.nanmin(low)))


def advance(engine: Engine, data: Dataset, stops: Sequence[int]) -> Iterator[Outputs]:
    """Runs the data through the engine; a chunk ends before each of the rows `stops`."""
    size = engine.bars_within(CHUNK_BYTES)
    for a, b in data.cuts(size):
        edges = [a, *sorted(s for s in set(stops) if a < s < b), b]
        for first, end in zip(edges, edges[1:], strict=False):
            observations = data.rows(first, end)
            yield engine.advance(Chunk(observations.time, {"observations": observations}))


def at_path(value: Any, path: str) -> Any:
    """The field of a record at a dotted path; None where there is no such field."""
    for name in path.split("."):
        value = getattr(value, name, None)
    return value


def remembered(made: Setting, found: dict[str, Found]) -> dict[str, list[Any]]:
    """Of each pattern that was found, its carry for that symbol after the bar before and after the bar of its beginning."""
    engine = made.engine()
    kept: dict[str, list[Any]] = {layer: [] for layer in found}
    stops = [row for f in found.values() for row in (f.row, f.row + 1)]
    done = 0
    for outputs in advance(engine, made.data, stops):
        done += len(outputs.time)
        for layer, f in found.items():
            if done in (f.row, f.row + 1):
                kept[layer].append(_column(engine.arena.values.get(f"{made.patterns[layer].name}__carry"), f.symbol))
    return kept


def _column(value: Any, n: int) -> Any:
    """One symbol of a carry, copied; what is not kept by symbol becomes None."""
    if isinstance(value, tuple):
        return type(value)(*[_column(v, n) for v in value])
    if value is None or not value.ndim:
        return None
    return value[..., n].copy() if value.shape[-1] > n else None


def level(kept: Sequence[Any], path: str) -> float:
    """A price that a pattern held in mind: as of its beginning, or of the bar before where it has let go of it since."""
    for carry in reversed(kept):
        value = at_path(carry, path)
        if value is not None and np.ndim(value) == 0 and np.isfinite(value):
            return float(value)
    return float("nan")


# ---- lines


def _channel(tape: Tape, n: int) -> Iterator[tuple[str, Floats]]:
    width = tape.setting.plan.configs["kinematics"].breakout_short_bars
    yield "channel of the hour before", pd.Series(tape.bars("high", n)).rolling(width).max().shift().to_numpy()
    yield "channel of the hour before", pd.Series(tape.bars("low", n)).rolling(width).min().shift().to_numpy()


def _average(tape: Tape, n: int) -> Iterator[tuple[str, Floats]]:
    span = tape.setting.plan.configs["pattern"].pullback_average_bars
    yield f"average of {span} closes", pd.Series(tape.bars("close", n)).ewm(span=span, adjust=False).mean().to_numpy()


def _vwap(tape: Tape, n: int) -> Iterator[tuple[str, Floats]]:
    yield "VWAP of the day", tape.panels[MARKET, "session.vwap"][:, n]


def _bands(tape: Tape, n: int) -> Iterator[tuple[str, Floats]]:
    far = tape.setting.plan.configs["pattern"].vwap_far
    frame = pd.DataFrame({"p": tape.bars("vwap", n), "v": tape.bars("volume", n), "day": (tape.time - 1) // (1440 * MINUTE)})
    centre = frame.p.mean()  # so that squares keep their digits
    d = frame.p - centre
    sums = pd.DataFrame({"v": frame.v, "d": frame.v * d, "s": frame.v * d * d}).groupby(frame.day).cumsum()
    mean = sums.d / sums.v
    spread = np.sqrt((sums.s / sums.v - mean * mean).clip(lower=0.0))
    yield f"{far:g} bands from it", (centre + mean + far * spread).to_numpy()
    yield f"{far:g} bands from it", (centre + mean - far * spread).to_numpy()


def _hourly(tape: Tape, n: int) -> pd.DataFrame:
    """High, low and close of closed 60-bars, by row on which they close."""
    closed = np.flatnonzero(tape.panels[MARKET, "bars_60.closed"][:, n] == 1)
    return pd.DataFrame({k: tape.panels[MARKET, f"bars_60.{k}"][closed, n] for k in ("high", "low", "close")}, index=closed)


def _held(values: pd.Series, tape: Tape) -> Floats:
    found: Floats = values.reindex(np.arange(len(tape.time))).ffill().to_numpy()
    return found


def _bollinger(tape: Tape, n: int) -> Iterator[tuple[str, Floats]]:
    k = tape.setting.plan.configs["kinematics"]
    window = _hourly(tape, n).close.rolling(k.channel_bars)
    for sign in (1.0, -1.0):
        yield "Bollinger's bands, hourly", _held(window.mean() + sign * k.channel_bollinger * window.std(ddof=0), tape)


def _keltner(tape: Tape, n: int) -> Iterator[tuple[str, Floats]]:
    k, hours = tape.setting.plan.configs["kinematics"], _hourly(tape, n)
    before = hours.close.shift()
    reach = hours.high.combine(before, np.fmax) - hours.low.combine(before, np.fmin)
    middle = hours.close.ewm(span=k.channel_bars, adjust=False).mean()
    room = k.channel_keltner * reach.ewm(alpha=1.0 / k.channel_bars, adjust=False).mean()
    for sign in (1.0, -1.0):
        yield "Keltner's", _held(middle + sign * room, tape)


def _leader(tape: Tape, n: int) -> Iterator[tuple[str, Floats]]:
    leader = int(np.argmax(getattr(tape.setting.data.instruments, "leader", np.zeros(1))))
    yield f"{tape.setting.data.symbols[leader]}, on this scale", tape.bars("close", leader)


LINES: Final = {
    "channel": _channel,
    "average": _average,
    "vwap": _vwap,
    "bands": _bands,
    "bollinger": _bollinger,
    "keltner": _keltner,
    "leader": _leader,
}


# ---- a picture


def picture(tape: Tape, layer: str, found: Found, kept: Sequence[Any]) -> Picture:
    """What is drawn of an occurrence."""
    scene, n, made = scene_of(layer), found.symbol, tape.setting
    size = scene.minutes * made.data.step
    groups = (tape.time - 1) // size
    here = groups[found.row]
    rows = np.flatnonzero((groups >= here - scene.before) & (groups <= here + scene.after))
    cut, bars = groups[rows], {name: tape.bars(name, n)[rows] for name in KEPT}
    first = int(cut[0])

    def at(row: int) -> float:
        """Candles from the left edge of the picture to the row, and its part of the last."""
        ns = tape.time[min(row, len(tape.time) - 1)]
        return float((ns - made.data.step) / size - first) + (0.5 / scene.minutes - 0.5 if scene.minutes > 1 else 0.0)

    begins = float(here - first) if scene.minutes > 1 else at(found.row)
    ends = at(found.ends)
    what = "no side" if found.side == 0 else "up" if found.side > 0 else "down"
    when = str(np.datetime64(int(tape.time[found.row]), "ns"))[:16].replace("T", " ")
    bars_said = f"{scene.minutes}-minute candles" if scene.minutes > 1 else "1-minute candles"
    where = f"{made.data.symbols[n]}, simulated" if made.simulated else made.data.symbols[n]
    title = f"{layer} · {where} · {when} UTC · {what} · confidence {found.confidence:.2f} · {bars_said}"
    drawn = Picture(
        title=title,
        said=f"{scene.see} The occurrence begins at the mark and lives for {found.ends - found.row} minutes.",
        time=(np.unique(cut) + 1) * size,
        open=together(bars["open"], cut, "first"),
        high=together(bars["high"], cut, "max"),
        low=together(bars["low"], cut, "min"),
        close=together(bars["close"], cut, "last"),
        begins=begins,
        ends=max(ends, begins + 0.5),
        side=found.side,
        void=_void(kept, scene, float(tape.bars("close", n)[found.row])) if found.side else float("nan"),
    )
    for name in scene.lines:
        for label, values in LINES[name](tape, n):
            shown = values
            if name == "leader":
                other = values[rows]
                shown = values * (bars["close"][0] / other[0])
            drawn.lines.append((label, together(shown[rows], cut, "last")))
    drawn.levels = [(label, level(kept, path)) for path, label in scene.levels if np.isfinite(level(kept, path))]
    if scene.levels_back:
        drawn.levels_from = begins - scene.levels_back
    if scene.day:
        opens = np.flatnonzero(np.diff((tape.time[rows] - 1) // (1440 * MINUTE)))
        drawn.marks = [("a day begins", float(cut[i + 1] - first) - 0.5) for i in opens]
    if scene.points:
        drawn.points = _points(at_path(kept[-1], scene.points), bars, cut, first, found.row - int(rows[0]))
    if scene.pair:
        peak = f"{scene.pair}.{'high' if found.side < 0 else 'low'}.price"
        prices = [at_path(carry, peak) for carry in reversed(kept)]
        drawn.points = _points(prices, bars, cut, first, found.row - int(rows[0]))
    if scene.beside in made.patterns:
        drawn.beside = [(at(a), at(b)) for a, b in _stretches(tape, scene.beside, n, rows)]
    if scene.lower and scene.lower[:2] in tape.panels:
        drawn.lower, drawn.lower_label = together(tape.panels[scene.lower[:2]][rows, n], cut, "last"), scene.lower[2]
        if scene.lower[1] == "signed_volume":
            drawn.lower, drawn.bars = together(tape.panels[scene.lower[:2]][rows, n], cut, "sum"), True
    else:
        drawn.lower, drawn.lower_label, drawn.bars = together(bars["volume"], cut, "sum"), "volume", True
    return drawn


def _void(kept: Sequence[Any], scene: Scene, close: float) -> float:
    """The price beyond which a close refutes the occurrence."""
    at = level(kept, "clock.refuted_at")
    return close * float(np.exp(at - level(kept, scene.log_path))) if scene.log_path else at


def _points(prices: Any, bars: dict[str, Floats], cut: Ints, first: int, until: int) -> list[tuple[float, float]]:
    """Swing points, found again by their price: the latest bar before the point after it with that extreme."""
    made: list[tuple[float, float]] = []
    for price in np.atleast_1d(prices):
        hits = np.flatnonzero((bars["high"][: until + 1] == price) | (bars["low"][: until + 1] == price))
        if not len(hits):
            break
        until = int(hits[-1])
        made.append((float(cut[until] - first), float(price)))
    return made[::-1]


def _stretches(tape: Tape, layer: str, n: int, rows: Ints) -> Iterator[tuple[int, int]]:
    """First row and row after the last of each stretch of the picture in which a pattern lives."""
    lives = np.concatenate([[0], tape.signal(layer).active[rows, n], [0]])
    turns = np.flatnonzero(np.diff(lives))
    for a, b in zip(turns[::2], turns[1::2], strict=True):
        yield int(rows[a]), int(rows[b - 1]) + 1


# ---- the page


def headline(node: LayerNode) -> str:
    """The layer's first sentence."""
    return (importlib.import_module(node.fn.__module__).__doc__ or "").partition(": ")[2].strip()


INTRO: Final = """# The patterns, seen

One real occurrence of each pattern of the graph: of the ten that the pattern was surest of, among all symbols and bars of the
data, the one whose picture is least overshadowed by a single bar. What came after played no part in the choice, so some of
these came to nothing.

The **mark** stands on the bar on which the occurrence begins and points its way: ▲ up, ▼ down, ◆ no side. The yellow ground is
its life. A close beyond **void** ends it early. Under the candles: volume, or what the pattern read instead. How often each
occurs elsewhere, and how much hangs on its parameters: [how often the patterns occur](patterns.md).

Data: 1-minute bars of five perpetuals of Binance USD-M futures, {start} to {end} UTC, from the repository
[typhonun/DcaTpStrategy](https://github.com/typhonun/DcaTpStrategy), MIT licence. The counts are of these {days} days and
{symbols} symbols, with the configuration as it comes. The data set has neither an order book nor the aggressor's side: order
flow and spread are the proxies that the layers use without them.

Drawn by `python -m benchmarks.gallery DATA_DIR`.
"""


def page(tape: Tape, drawn: Collection[str], folder: str) -> str:
    """The page: a section a pattern. drawn: those with a picture; folder: of the pictures."""
    data = tape.setting.data
    days = len(tape.time) * data.step / (1440 * MINUTE)
    start, end = (str(np.datetime64(int(t), "ns"))[:10] for t in (tape.time[0], tape.time[-1]))
    parts = [INTRO.format(start=start, end=end, days=round(days), symbols=len(data.symbols))]
    for layer, node in tape.setting.patterns.items():
        words = node.name.partition("_")[2].replace("_", " ")
        see = scene_of(layer).see or headline(node)
        link = f"[How it is computed](../layers/pattern.md#{layer.lower()})"
        parts.append(f"## {layer} {words} {{#{layer.lower()}}}\n\n{see}\n{link}\n")
        if layer in drawn:
            parts.append(f"![{layer}: {words}]({folder}/{node.name}.svg)\n")
        signal, begins = tape.signal(layer), tape.begins(layer)
        up, down = (int((begins & (signal.side == s)).sum()) for s in (1, -1))
        if not begins.any():
            parts.append("*It does not occur in this data; the picture is of a simulated market.*\n")
        elif up + down == 0:
            parts.append(f"*{int(begins.sum())} occurrences, active on {signal.active.mean():.1%} of the bars.*\n")
        else:
            parts.append(f"*{up} up and {down} down, active on {signal.active.mean():.1%} of the bars.*\n")
    return "\n".join(parts)


def draw_all(tape: Tape, layers: Sequence[str], out: Path) -> set[str]:
    """Draws those of the patterns that occur; returns them."""
    found = {layer: best for layer in layers if (best := tape.best(layer)) is not None}
    kept = remembered(tape.setting, found)
    for layer, best in found.items():
        text = draw(picture(tape, layer, best, kept[layer]))
        path = out / f"{tape.setting.patterns[layer].name}.svg"
        path.write_text(text, encoding="utf-8")
        print(f"{path}  {len(text.encode()) / 1000:.1f} kB", file=sys.stderr)
    return set(found)


def main() -> None:
    """Runs the pattern domain over the data, draws, and writes the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gallery", description=__doc__)
    parser.add_argument("data", type=Path, help="a folder of market data that may be redistributed")
    parser.add_argument("-o", "--out", type=Path, default=Path("docs/pictures/patterns"), help="folder of the pictures")
    parser.add_argument("--page", type=Path, default=Path("docs/explanation/pattern-gallery.md"), help="the page to write")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    for old in asked.out.glob("*.svg"):
        old.unlink()
    tape = Tape(setting(asked.data))
    drawn = draw_all(tape, tuple(tape.setting.patterns), asked.out)
    lacking = [layer for layer in tape.setting.patterns if layer not in drawn]
    if lacking:
        with tempfile.TemporaryDirectory() as folder:
            market = Path(folder) / "market"
            simulate(market, seed=1, symbols=default_symbols(3), days=6, start="2024-01-01", trades=False)
            drawn |= draw_all(Tape(setting(market, simulated=True)), lacking, asked.out)
    pictures = Path(os.path.relpath(asked.out, asked.page.parent)).as_posix()
    asked.page.write_text(page(tape, drawn, pictures), encoding="utf-8")


if __name__ == "__main__":
    main()
