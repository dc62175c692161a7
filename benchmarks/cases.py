"""One function a figure."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from benchmarks.peers.talib import talib_seconds
from benchmarks.setup import YEAR_BARS, chunks, engine_for, market, market_folder
from drivers.engine import parallel
from drivers.engine.engine import Engine
from drivers.engine.guards import Guards
from drivers.engine.pipeline import pipeline
from drivers.feeds.dataset import Dataset
from drivers.run import assembly
from drivers.run.assembly import CHUNK_BYTES
from drivers.run.batch import ANY_EPOCH, advance_all
from drivers.run.progress import progress_bar
from drivers.run.recorder import Recorder
from drivers.run.request import RunRequest
from drivers.runlog.events import Events
from drivers.store.kept import usual
from drivers.store.parquet import ParquetFile
from drivers.store.summary import Summary
from drivers.store.writer import ResultWriter


@contextmanager
def threads(number: int) -> Iterator[None]:
    """While this holds, so many threads run columnar layers."""
    before = os.environ.get("STRATOQUANT_THREADS")
    os.environ["STRATOQUANT_THREADS"] = str(number)
    for cached in (parallel.cores, parallel._pool):
        cached.cache_clear()
    try:
        yield
    finally:
        os.environ.pop("STRATOQUANT_THREADS")
        if before is not None:
            os.environ["STRATOQUANT_THREADS"] = before
        for cached in (parallel.cores, parallel._pool):
            cached.cache_clear()


def batch(symbols: int, bars: int, repeats: int = 3) -> dict[str, float]:
    """Seconds of the whole graph over `bars` minutes, scaled to a year of them, beside TA-Lib's 22 functions: the median of
    `repeats` runs. The bars go through the engine as a run's do. On one core, where nothing runs beside the steps, what is not
    theirs is told apart."""
    data = market(symbols, bars)
    peer = talib_seconds(data, bars)
    total, steps = sorted(_through_the_engine(data, bars) for _ in range(repeats))[repeats // 2]
    scale = YEAR_BARS / bars
    alone = {
        "columnar_and_rest_seconds_per_year": (total - steps) * scale,
        "columnar_and_rest_times_talib_per_symbol": (total - steps) / symbols / peer,
        "step_bars_per_second": bars / steps,
    }
    return {
        "seconds_per_year": total * scale,
        "us_a_symbol_bar": total / bars / symbols * 1e6,
        **(alone if parallel.cores() == 1 else {}),
        "talib_seconds_per_year": peer * scale,
        "times_talib_per_symbol": total / symbols / peer,
    }


def _through_the_engine(data: Dataset, bars: int) -> tuple[float, float]:
    """Seconds of `bars` bars in a new engine, all and in the step stage."""
    engine = engine_for(data)
    inner, steps = engine._run_steps, [0.0]

    def timed_steps(values: Any, n: int) -> Any:
        begun = time.perf_counter()
        made = inner(values, n)
        steps[0] += time.perf_counter() - begun
        return made

    engine._run_steps = timed_steps  # type: ignore[method-assign]
    begun = time.perf_counter()
    with pipeline(engine) as line:
        for chunk in chunks(data, max(1, engine.bars_within(CHUNK_BYTES) // 2), most=bars, epoch_ns=ANY_EPOCH):
            for _ in line.put(chunk):
                pass
        for _ in line.drain():
            pass
    return time.perf_counter() - begun, steps[0]


def layer_times(symbols: int, bars: int) -> dict[str, float]:
    """Nanoseconds of each columnar and post layer a bar and symbol, over chunks of a day."""
    data = market(symbols, bars)
    engine = engine_for(data)
    spent: dict[str, float] = {}

    def timed(node: Any) -> Any:
        def call(*inputs: Any) -> Any:
            begun = time.thread_time_ns()  # what others do on the machine does not count
            made = node.fn(*inputs)
            spent[node.name] = spent.get(node.name, 0.0) + time.thread_time_ns() - begun
            return made

        return node._replace(fn=call)

    for stage in ("columnar", "post"):
        engine.plan.stage[stage][:] = [timed(node) for node in engine.plan.stage[stage]]
    for chunk in chunks(data, most=bars):
        engine.advance(chunk)
    return {name: ns / (bars * symbols) for name, ns in sorted(spent.items(), key=lambda item: -item[1])}


def step_stage(symbols: int, bars: int, *, repeats: int = 30) -> dict[str, float]:
    """Bars a second of the step stage alone, over a day's chunk in which it trades: compiled and as plain Python; the share of
    a compiled day that goes into what is around the loop. The best of `repeats`, since other work on the machine only slows."""
    data = market(symbols, bars)
    engine = engine_for(data)
    inner = engine._run_steps
    day: dict[str, Any] = {}

    def remember(values: Any, n: int) -> Any:
        day.update(values=dict(values), bars=n, f8=engine.arena.f8.copy(), i8=engine.arena.i8.copy())
        return inner(values, n)

    engine._run_steps = remember  # type: ignore[method-assign]
    for chunk in chunks(data, most=bars):
        engine.advance(chunk)
    compiled, spent = engine._loop, [0.0]

    def timed(*arguments: Any) -> int:
        begun = time.perf_counter()
        done = compiled(*arguments)
        spent[0] += time.perf_counter() - begun
        return done

    def once() -> tuple[float, float]:
        engine.arena.f8[:], engine.arena.i8[:] = day["f8"], day["i8"]
        spent[0] = 0.0
        begun = time.perf_counter()
        inner(dict(day["values"]), day["bars"])
        return time.perf_counter() - begun, spent[0]

    engine._loop = timed
    stage, loop = min(once() for _ in range(repeats))
    engine._loop, engine._addresses = engine.plan.steps.interpreted()
    plain, _ = min(once() for _ in range(2))
    return {
        "bars_per_second": day["bars"] / stage,
        "share_around_the_loop": 1.0 - loop / stage,
        "plain_bars_per_second": day["bars"] / plain,
    }


COMPILE = """
import time
from benchmarks.setup import compile_steps
begun = time.process_time(); compile_steps(); print(time.process_time() - begun)
"""


def step_compilation() -> dict[str, float]:
    """Processor seconds until the step stage is compiled, with an empty cache, and loaded, with a full one."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "STRATOQUANT_CACHE": folder}
        taken = [float(subprocess.check_output([sys.executable, "-c", COMPILE], env=environment, text=True)) for _ in range(2)]
    return {"cold_cpu_seconds": taken[0], "warm_cpu_seconds": taken[1]}


def latency(symbols: int, bars: int) -> dict[str, float]:
    """Microseconds of one streamed bar in the engine: median, of it before the step stage, 99th percentile; and, where Python
    calls the layers, what a layer costs beside its own work."""
    data = market(symbols, bars + 400)
    engine = engine_for(data)
    engine.warm_up_single_bars()
    single = list(chunks(data, 1, most=bars + 400))
    for chunk in single[:400]:
        engine.advance(chunk)
    taken, columnar, inner = np.empty(bars), np.empty(bars), engine.run_loop
    at = [0]

    def told(*given: Any) -> int:
        at[0] = time.perf_counter_ns()
        return inner(*given)

    engine.run_loop = told  # type: ignore[method-assign]
    for i, chunk in enumerate(single[400:]):
        begun = time.perf_counter_ns()
        engine.advance(chunk)
        taken[i] = time.perf_counter_ns() - begun
        columnar[i] = at[0] - begun
    engine.run_loop = inner  # type: ignore[method-assign]
    engine.one_bar = None
    return {
        "median_us": float(np.median(taken)) / 1e3,
        "columnar_median_us": float(np.median(columnar)) / 1e3,
        "p99_us": float(np.percentile(taken, 99)) / 1e3,
        "engine_us_per_node": _overhead(engine) if symbols == 1 else float("nan"),
    }


def _overhead(engine: Engine, rounds: int = 2000) -> float:
    """Microseconds a node that the engine adds: one bar with every layer replaced by a value that is already there."""
    stage, step = engine.plan.stage, engine._run_steps
    last: dict[str, Any] = {}

    def remember(values: Any, n: int) -> Any:
        last.update(values)
        return step(values, n)

    blank = engine.blank(1)
    engine._run_steps = remember  # type: ignore[method-assign]
    engine.advance(blank._replace(time=np.array([engine.last_time + 1], np.int64)))
    offsets = step(dict(last), 1)
    kept = {s: list(stage[s]) for s in ("columnar", "post")}
    boxed = {n.name: last.get(n.name) for n in engine.plan.nodes.values()}

    def no_steps(values: Any, n: int) -> Any:
        for node in stage["step"]:
            values[node.name] = boxed[node.name]
        return offsets

    def constant(value: Any) -> Callable[..., Any]:
        return lambda *inputs: value

    try:
        for s in kept:
            stage[s][:] = [n._replace(fn=constant(boxed.get(n.name))) for n in kept[s]]
        engine._run_steps = no_steps  # type: ignore[method-assign]
        begun = time.perf_counter()
        for _ in range(rounds):
            engine.advance(blank._replace(time=np.array([engine.last_time + 1], np.int64)))
        return (time.perf_counter() - begun) / rounds * 1e6 / len(engine.plan.nodes)
    finally:
        for s in kept:
            stage[s][:] = kept[s]
        engine._run_steps = step  # type: ignore[method-assign]


def stream_memory(bars: int) -> dict[str, float]:
    """Resident memory of a stream of single bars: after a tenth of them, and at the end."""
    data = market(1, 20_000)
    engine = engine_for(data)
    single = list(chunks(data, 1))
    step = int(data.time[1] - data.time[0])
    marks: list[float] = []
    page = resource.getpagesize() / 2**20
    time_now = int(data.time[0])
    for i in range(bars):
        chunk = single[i % len(single)]
        time_now += step
        at = np.array([time_now], np.int64)
        observed = chunk.inputs["observations"]._replace(time=at)
        engine.advance(chunk._replace(time=at, inputs={"observations": observed}))
        if i + 1 in (bars // 10, bars):
            with open("/proc/self/statm") as file:  # noqa: PTH123
                marks.append(int(file.read().split()[1]) * page)
    return {"mib_after_a_tenth": marks[0], "mib_at_the_end": marks[1]}


def stages(bars: int) -> dict[str, float]:
    """Processor seconds of a batch run with what it keeps by default, by what they are spent on. Market layers and Parquet have
    threads of their own, and a helper takes columnar layers (all is the process); in a run, so have the results."""
    spent: dict[str, float] = {}

    def clocked(owner: Any, name: str, label: str) -> Callable[[], None]:
        inner = getattr(owner, name)

        def call(*given: Any, **named: Any) -> Any:
            begun = time.thread_time()
            try:
                return inner(*given, **named)
            finally:
                spent[label] = spent.get(label, 0.0) + time.thread_time() - begun

        setattr(owner, name, call)
        return lambda: setattr(owner, name, inner)

    undo = [
        clocked(assembly, "prepare_run", "prepare"),
        clocked(Engine, "run_market", "market layers, their thread"),
        clocked(Engine, "complete", "engine"),
        clocked(Engine, "_columnar", "columnar layers, both threads"),
        clocked(Engine, "_run_steps", "step stage"),
        clocked(Engine, "close_before", "ends of epochs"),
        clocked(Guards, "check", "guards"),
        clocked(Events, "write", "log lines"),
        clocked(ResultWriter, "write", "results"),
        clocked(Summary, "add", "summary"),
        clocked(ParquetFile, "_write", "Parquet, its thread"),
        clocked(Recorder, "_report", "report"),
    ]
    try:
        with tempfile.TemporaryDirectory() as scratch:
            request = RunRequest(data=market_folder(1, bars), out=Path(scratch, "run"), features=usual(bars))
            with progress_bar(Console(quiet=True)) as progress:
                session = assembly.prepare_run(request, progress)
                spent = {"prepare": spent["prepare"]}  # what warms the engine up is no bar of the run
                begun = time.process_time()
                with Recorder(session, Path(scratch, "run")) as recorder:
                    advance_all(session, recorder, [recorder.take])
                    recorder.finish({})
    finally:
        for each in undo:
            each()
    whole = time.process_time() - begun
    spent["learning layers"] = spent.pop("columnar layers, both threads") - spent["market layers, their thread"]
    spent["engine, rest"] = spent.pop("engine") - sum(
        spent[part] for part in ("learning layers", "step stage", "guards", "ends of epochs")
    )
    spent["all but prepare, all threads"] = whole
    return dict(sorted(spent.items(), key=lambda item: -item[1]))
