"""`stratoquant data partition`: market data in parts, a file for each symbol and month."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from drivers.cli import options
from drivers.cli.common import names, project_of, utc_ns
from drivers.cli.say import say
from drivers.text.counts import plural


def partition(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder of market data.")],
    out: Annotated[
        str,
        typer.Option("--out", metavar="PLACE", help="The data set to make or to add to: a folder or a URL, s3://bucket/x."),
    ],
    symbols: options.Symbols = None,
    start: options.Start = None,
    end: options.End = None,
) -> None:
    """Put market data into a partitioned data set: Parquet, a file for each symbol and month, and a manifest with hashes.

    A run reads such a set a stretch of time at a time, so that its memory does not grow with the history, and finds books and
    trades already reduced to bars. The results are those of the folder, to the bit. The same command adds to a set what it
    lacks: other symbols, or later bars. A reader sees all of an addition or nothing of it; one process writes at a time.

    S3 needs no package; addresses of other storages need theirs, as gcsfs for gs://. Keys are taken from the environment, as
    the storage asks for them.
    """
    from drivers.feeds.partitioned.folder import partition_folder
    from drivers.feeds.source import source_of
    from drivers.project.locate import locate
    from drivers.run.progress import progress_bar
    from drivers.text.terminal import Terminal

    with progress_bar(Terminal(stderr=True)) as progress:
        task = progress.add_task(f"Reading {folder.name}", total=None)

        def total(bars: int) -> None:
            progress.update(task, description="Writing", total=bars)

        added = partition_folder(
            folder,
            source_of(out),
            symbols=names(symbols),
            start=utc_ns(start),
            end=utc_ns(end),
            venues=locate(project_of(context)).config / "venues",
            total=total,
            progress=lambda bars: progress.update(task, advance=bars),
        )
    what = f"{plural(added.rows, 'bar')} of {plural(added.symbols, 'symbol')}"
    say(f"Added to {out}: {what} in {plural(added.parts, 'file')}, {added.bytes / 1e6:.1f} MB")
    say(f"Run it with: stratoquant run --data {out}")
