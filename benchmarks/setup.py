"""What every case starts from: a simulated market on disk, read as a run reads it, and an engine over the whole graph."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dataflows.data.types import unknown_instruments
from dataflows.runtime.code_folder import cache_root, make_cache_root
from drivers.engine.building import make_plan
from drivers.engine.chunk import Chunk
from drivers.engine.engine import Engine
from drivers.feeds.dataset import Dataset, open_dataset
from drivers.feeds.simulate import default_symbols, simulate
from drivers.graph.wiring import load
from drivers.project.configs import load_configs
from drivers.project.locate import defaults

YEAR_BARS = 525_600
DAY_BARS = 1440
MINUTE_NS = 60_000_000_000
START = "2024-01-01"
LONG_AGO = "2000-01-01"
"""Start of markets of other bars, which last for years and must be past."""


def market(symbols: int, bars: int) -> Dataset:
    """A bars-only market of at least `bars` minutes; made once and kept in the cache folder."""
    return open_dataset(market_folder(symbols, bars))


def market_folder(symbols: int, bars: int, clock_seconds: int = 60) -> Path:
    """The folder of such a market, of bars of a minute or of `clock_seconds`, which divide a day."""
    days = -(-bars * clock_seconds // 86_400)
    of_length = "" if clock_seconds == 60 else f"-of-{clock_seconds}-s"
    folder = cache_root() / "benchmarks" / f"{symbols}-symbols-{days}-days{of_length}"
    if not (folder / "dataset.yml").is_file():
        make_cache_root()
        folder.parent.mkdir(parents=True, exist_ok=True)
        simulate(
            folder,
            seed=1,
            symbols=default_symbols(symbols),
            days=days,
            clock_seconds=clock_seconds,
            start=START if clock_seconds == 60 else LONG_AGO,
            book=False,
            trades=False,
        )
    return folder


def engine_for(data: Dataset) -> Engine:
    """An engine of the whole graph, warm, with the belief that makes the account side work."""
    project = defaults()
    plan = make_plan(load(project.wiring), load_configs(project, ("fusion.prior_slope_bps=120",)))
    engine = Engine(plan, data.symbols, {"instruments": data.instruments}, depth=data.depth)
    engine.warm_up()
    return engine


def compile_steps() -> None:
    """Compiles, or loads, the step stage of the whole graph and nothing else."""
    project = defaults()
    plan = make_plan(load(project.wiring), load_configs(project))
    engine = Engine(plan, ["A"], {"instruments": unknown_instruments(1)})
    engine.warm_up_steps()


def chunks(
    data: Dataset, bars: int = DAY_BARS, *, most: int | None = None, epoch_ns: int = DAY_BARS * MINUTE_NS
) -> Iterator[Chunk]:
    """The data, `bars` at a time and cut where an epoch ends; the first `most` bars of it."""
    for a, b in data.cuts(bars, 0, epoch_ns):
        if most is not None and a >= most:
            return
        observations = data.rows(a, b)
        yield Chunk(observations.time, data.inputs(observations))
