"""A small market through the whole engine, in memory: every domain has to say something, and to keep its promises."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from drivers.health.context import Context
from drivers.health.registry import Found, check, fail, ok, warn
from drivers.health.runner import sentence
from drivers.text.counts import plural

if TYPE_CHECKING:
    from dataflows.panel import Ints
    from drivers.engine.engine import Engine
    from drivers.feeds.dataset import Dataset

SYMBOLS: Final = ("AAA", "BBB")
DAYS: Final = 3  # of one-minute bars: epochs close between them, and windows of two days fill
SEED: Final = 7


class _Saying:
    """Names the layers that are compiled and loaded."""

    def __init__(self, on_layer: Callable[[str], None]) -> None:
        self.compiling = self.loading = on_layer

    def kernel(self, name: str) -> None:
        """Of no interest."""

    layer = kernel


@check("smoke", slow=True)
def smoke(context: Context) -> Iterator[Found]:
    """A small simulated market through every domain, each held against its boundary model."""
    from drivers.engine.building import make_engine
    from drivers.run.precompile import compile_all

    data = _market(context)
    engine = make_engine(context.plan, data.symbols, data.instruments, depth=data.depth, epoch_ns=context.wiring.epoch_ns)
    last, doing = "", "Compiling"

    def on_layer(name: str) -> None:
        nonlocal last
        last = name
        context.say(f"{doing} {name}")

    engine.on_layer = on_layer
    try:
        compile_all(engine, context.folder, _Saying(on_layer))
        doing = "Running"
        values = _run(engine, data)
    except Exception as error:  # a layer may raise anything; here it is named
        node = context.plan.nodes.get(last)
        who = f"{node.layer_id} {node.name}" if node is not None else "the step loop"
        yield fail(
            f"The run stopped in or after {who}: {sentence(error)}",
            f"`stratoquant layers{'' if node is None else f' {node.layer_id}'}` shows where its code is.",
        )
        return
    for domain in dict.fromkeys(node.domain for node in context.plan.nodes.values()):
        context.say(f"Holding {domain} against its boundary model")
        yield _domain(context, domain, values, data)


def _market(context: Context) -> Dataset:
    """The small market, written and read as any other."""
    from drivers.feeds.dataset import open_dataset
    from drivers.feeds.simulate import simulate

    context.say("Simulating a small market")
    with tempfile.TemporaryDirectory(prefix="stratoquant-health-") as folder:
        path = Path(folder) / "market"
        simulate(path, symbols=SYMBOLS, days=DAYS, seed=SEED)
        return open_dataset(path)


def _run(engine: Engine, data: Dataset) -> dict[str, Any]:
    """What every layer said, over all bars."""
    from drivers.engine.chunk import Chunk, joined

    parts = [engine.advance(Chunk(seen.time, data.inputs(seen))) for seen in data.chunks(len(data))]
    hints = engine.plan.annotations
    said = {name: joined([p.values[name] for p in parts], hints[name]) for name in parts[0].values}
    closed = [p.epoch for p in parts if p.epoch]
    return said | (closed[-1] if closed else {})


def _domain(context: Context, domain: str, values: Mapping[str, Any], data: Dataset) -> Found:
    """One domain: all layers there, nothing outside the boundary model; market layers that never knew anything are named."""
    import numpy as np

    from drivers.engine.guards import columns_of, leaf_of, widths_of

    layers = [node for node in context.plan.nodes.values() if node.domain == domain and node.schedule != "epoch"]
    absent = [node.name for node in layers if node.name not in values]
    if absent:
        return fail(f"{domain}: {', '.join(absent)} said nothing.", "See that its stage is run; `stratoquant layers` lists it.")
    columns = columns_of(context.plan, domain, widths_of(context.plan, values))
    numbers = {c.name: leaf_of(values, c) for c in columns if c.kind.dtype == "f8"}
    broken = _broken(context, domain, values, data.time) if columns else ""
    if broken:
        return fail(broken, f"Correct the layer, or the range in the boundary model of {domain}.")
    known = {name: not np.isnan(x).all() for name, x in numbers.items()}
    silent = [  # what the account has not come to is for the step layers to be silent about
        node.name
        for node in layers
        if node.schedule == "columnar"
        and (own := [k for name, k in known.items() if name.partition(".")[0] == node.name])
        and not any(own)
    ]
    size = (
        f"{plural(len(layers), 'layer')} and {plural(len(columns), 'column')} over {len(data)} bars of {len(SYMBOLS)} symbols"
    )
    if silent:
        return warn(
            f"{domain}: {size}; {', '.join(silent)} never knew anything.",
            "Its windows may be longer than three days of minutes; if they are not, see what it takes.",
        )
    unknown = len(known) - sum(known.values())
    rest = f"; {plural(unknown, 'column')} had nothing to say, as where nothing was traded" if unknown else ""
    return ok(f"{domain}: {size}, all inside the boundary model{rest}.")


def _broken(context: Context, domain: str, values: Mapping[str, Any], time: Ints) -> str:
    """The first value outside the boundary model, as pandera finds it; empty where all are inside."""
    import pandera.errors

    from drivers.engine.building import boundaries
    from drivers.engine.guards import report, validate_run

    model = boundaries(context.wiring).get(domain)
    if model is None:
        return ""
    try:
        validate_run(context.plan, domain, model, values)
    except pandera.errors.SchemaErrors as error:
        return f"{report(error, domain, time, SYMBOLS).partition(chr(10))[0]}."
    return ""
