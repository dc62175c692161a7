"""`stratoquant features`: what every market layer says of a wide universe."""

from __future__ import annotations

from typing import Annotated

import typer

from drivers.cli import options
from drivers.cli.common import names, project_of, utc_ns
from drivers.cli.executors import ClusterAddress, Workers, executor_of
from drivers.cli.say import say
from drivers.text.counts import plural


def features(
    context: typer.Context,
    data: Annotated[str, typer.Option("--data", metavar="PLACE", help="A partitioned data set: a folder, or a URL.")],
    out: Annotated[str, typer.Option("--out", metavar="PLACE", help="Where the features go: a folder, or a URL.")],
    symbols: options.Symbols = None,
    start: options.Start = None,
    end: options.End = None,
    overrides: options.Set = None,
    spec: options.Spec = None,
    shard: Annotated[int, typer.Option(min=1, help="Symbols that a task takes.")] = 20,
    workers: Workers = None,
    cluster: ClusterAddress = None,
) -> None:
    """Compute what every market layer says of a wide universe, without an account, in parallel.

    The market layers run in shards of symbols, on as many processes as there are cores, or on a cluster; those that compare
    symbols run over all of them. Every value has the bits of one process. Memory does not grow with the history: tasks take
    some days at a time.
    What a run learns from its account (weights of sources and patterns, thresholds) is not learned here: it stays as a run
    begins. The results are Parquet, a table for each domain and step of the computation, and features.json, which says in which
    table a layer is, and is written last.
    """
    from drivers.feeds.source import source_of

    place, goes_to = source_of(data), source_of(out)
    with executor_of(cluster, workers, "drivers.scale.shard") as pool:  # its processes start beside this one
        from drivers.run.progress import progress_bar
        from drivers.scale.features import FeaturesRequest
        from drivers.scale.features import features as sweep
        from drivers.text.terminal import Terminal

        request = FeaturesRequest(
            place,
            goes_to,
            names(symbols),
            utc_ns(start),
            utc_ns(end),
            tuple(overrides or ()),
            spec,
            project_of(context),
            shard,
        )
        with progress_bar(Terminal(stderr=True)) as progress:
            task = progress.add_task("Computing", total=1.0)
            made = sweep(request, pool, lambda share: progress.update(task, completed=share))
    over = f"{plural(made.bars, 'bar')} of {plural(len(made.symbols), 'symbol')}"
    say(f"{len(made.layers)} layers over {over}: {made.bytes / 1e6:.1f} MB in {out}")
    say(f"Read them with: import stratoquant as sq; sq.load_features({str(out)!r}, 'l12_regression_slope_short')")
