"""The pictures of docs/layers/: what each layer said of a few hours of a real market.

`python -m benchmarks.layer_plots DATA [--symbols A,B,C] [--days 8] [-o docs/layers/plots]` runs the whole graph over the first
days of a folder of market data, under the specification `prior_belief` so that the account side has something to do, and draws
for every layer with recorded outputs the first symbol's price over two of the layer's fields. Use data that may be shown.
"""

from __future__ import annotations

import argparse
import io
import re
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from drivers.diagrams.picture import COLOURS, OTHER
from drivers.feeds.dataset import open_dataset
from drivers.run.batch import run_batch
from drivers.run.request import RunRequest
from drivers.store.reader import RecordedRun, open_run

SHOWN: Final = 480
"""Bars in a picture."""
PRICE: Final = "l0_market_feed.bars.close"
CHOSEN: Final[Mapping[str, tuple[str, ...]]] = {
    "l0_market_feed": ("bars_60.close", "session.vwap"),
    "l1_regime": ("label", "confidence"),
    "l2_returns_volatility": ("sigma", "z"),
    "l3_action_proposal": ("side", "edge_bps"),
    "l97_ledger": ("position", "equity"),
    "pattern": ("side", "confidence"),
}
"""Layers and domains whose first fields are not what a reader wants to see."""
MASKS: Final = ("reasons", "refusal", "time")
"""Fields that are no quantity."""
DAY_NS: Final = 86_400_000_000_000
STYLE: Final = {
    "svg.fonttype": "none",
    "svg.hashsalt": "layers",
    "path.simplify_threshold": 0.5,
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#c3cad3",
    "xtick.color": "#55606e",
    "ytick.color": "#55606e",
}


def main() -> None:
    """Runs, draws, and says what was drawn."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.layer_plots", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--symbols", default="BTCUSDT,ETHUSDT,SOLUSDT", help="the first is drawn")
    parser.add_argument("--days", type=int, default=8)
    parser.add_argument("-o", "--out", type=Path, default=Path("docs/layers/plots"))
    asked = parser.parse_args()
    symbols = tuple(asked.symbols.split(","))
    first = int(open_dataset(asked.data, symbols=symbols).time[0])
    with tempfile.TemporaryDirectory() as folder:
        end = first + asked.days * DAY_NS
        request = RunRequest(
            data=asked.data, out=Path(folder) / "run", symbols=symbols, end=end, spec="prior_belief", report=False
        )
        run_batch(request)
        made = draw_all(open_run(Path(folder) / "run"), symbols[0], asked.out)
    print(f"{len(made)} pictures in {asked.out}, {sum(p.stat().st_size for p in made) / 1024:.0f} KiB")


def draw_all(run: RecordedRun, symbol: str, out: Path) -> list[Path]:
    """One SVG a layer."""
    out.mkdir(parents=True, exist_ok=True)
    price = run.frame("features/data", ["timestamp", PRICE], symbols=[symbol]).set_index("timestamp")[PRICE]
    made = []
    for domain in run.domains():
        columns = run.columns(f"features/{domain}")
        for layer in dict.fromkeys(c.partition(".")[0] for c in columns if c.startswith("l")):
            own = [c for c in columns if c == layer or c.startswith(f"{layer}.")]
            frame = run.frame(f"features/{domain}", ["timestamp", *own], symbols=[symbol]).set_index("timestamp")
            fields = fields_to_draw(layer, domain, frame)
            if fields:
                path = out / f"{layer}.svg"
                draw(symbol, price, frame, fields, COLOURS.get(domain, OTHER), path)
                made.append(path)
    return made


def groups(columns: Sequence[str], layer: str) -> dict[str, list[str]]:
    """Columns by field: those of a stack belong together."""
    found: dict[str, list[str]] = {}
    for column in columns:
        name = re.sub(r"\.\d+$", "", column)
        found.setdefault(name.removeprefix(f"{layer}.") if name != layer else name, []).append(column)
    return found


def fields_to_draw(layer: str, domain: str, frame: pd.DataFrame) -> dict[str, list[str]]:
    """The first two fields that vary in the second half of the run, or those chosen by hand."""
    every = groups(list(frame.columns), layer)
    late = frame.iloc[len(frame) // 2 :]
    drawable = [f for f in every if f.rpartition(".")[2] not in MASKS]
    varying = [f for f in drawable if any(late[c].nunique() > 1 for c in every[f])]
    wanted = [f for f in CHOSEN.get(layer, CHOSEN.get(domain, ())) if f in varying] or varying[:2]
    return {f: every[f] for f in wanted}


def window_of(frame: pd.DataFrame, fields: Mapping[str, list[str]]) -> slice:
    """The stretch to show: the last one, or that in which a field of codes changes most often."""
    columns = [c for f in fields.values() for c in f if frame[c].dtype.kind == "i"]
    last = len(frame) - SHOWN
    if not columns:
        return slice(last, len(frame))
    changes = frame[columns[0]].diff().ne(0).to_numpy().astype(float)
    starts = np.arange(len(frame) // 2, last + 1, SHOWN // 4)
    best = max(starts, key=lambda a: min(changes[a : a + SHOWN].sum(), 20.0) + 1e-6 * a)
    return slice(int(best), int(best) + SHOWN)


def draw(
    symbol: str, price: pd.Series[Any], frame: pd.DataFrame, fields: Mapping[str, list[str]], colour: str, path: Path
) -> None:
    """Price on top, a panel a field below."""
    shown = window_of(frame, fields)
    part = frame.iloc[shown]
    hours = np.arange(len(part)) / 60.0
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.0, 1.0 + 0.95 * len(fields)), layout="constrained")
        axes = figure.subplots(1 + len(fields), 1, sharex=True, squeeze=False)[:, 0]
        axes[0].plot(hours, price.iloc[shown].to_numpy(), color="#7b8794", linewidth=0.8)
        axes[0].set_title(f"{symbol} from {part.index[0]:%Y-%m-%d %H:%M} UTC", loc="left", fontsize=8, color="#55606e")
        axes[0].set_ylabel("close", color="#55606e")
        for axis, (name, columns) in zip(axes[1:], fields.items(), strict=True):
            for i, column in enumerate(columns[:10]):
                codes = part[column].dtype.kind == "i"
                axis.plot(
                    hours,
                    part[column].to_numpy(dtype=float),
                    color=colour,
                    alpha=1.0 - 0.08 * i if len(columns) > 1 else 1.0,
                    linewidth=0.9 if i == 0 else 0.6,
                    drawstyle="steps-post" if codes else "default",
                )
            axis.set_ylabel(name.rpartition(".")[2] if len(name) > 14 else name, color=colour)
        axes[-1].set_xlim(0.0, SHOWN / 60.0)
        axes[-1].set_xlabel("hours", color="#55606e")
        figure.align_ylabels(axes)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    path.write_text(re.sub(r"(?<=[ \"])-?\d+\.\d{2,}", lambda m: f"{float(m[0]):.1f}", text.getvalue()), encoding="utf-8")


if __name__ == "__main__":
    main()
