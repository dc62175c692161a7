"""The options that commands share, with the texts that explain them, and what they ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from drivers.cli import complete

Data = Annotated[
    str | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Folder of market data: bars.parquet (or .csv, .csv.gz, .feather), optionally book.parquet and trades.parquet; or "
        "a partitioned data set, a folder or a URL such as s3://bucket/market; or the journal of a stream, or its results. "
        "Without it: the built-in sample market.",
    ),
]


def _folder(text: str) -> Path:
    """A folder of this machine; a URL would become a folder of an odd name."""
    if "://" in text:
        raise typer.BadParameter(
            f"{text} is a URL, and this command writes to a folder; only `run` and `features` write to a URL"
        )
    return Path(text)


def results(text: str) -> Path:
    """The folder of a run's results, of which those behind a URL are copied first: the parser of what names a run."""
    if "://" not in text:
        return Path(text)
    from drivers.feeds.errors import DataError
    from drivers.store.published import results_folder
    from drivers.store.reader import RecordedError

    try:
        return results_folder(text)
    except (DataError, RecordedError) as error:
        raise typer.BadParameter(str(error)) from None


Out = Annotated[
    Path | None,
    typer.Option("--out", parser=_folder, metavar="DIR", help="Folder of the results. Without it: runs/<time of the start>."),
]
OutPlace = Annotated[
    str | None,
    typer.Option(
        "--out",
        metavar="PLACE",
        help="Where the results go: a folder, or a URL such as s3://bucket/run. Without it: runs/<time of the start>.",
    ),
]
Run = Annotated[
    Path, typer.Argument(metavar="RUN", parser=results, help="The results of a run: a folder, or the URL that it was given.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the results that are in --out.")]
Symbols = Annotated[str | None, typer.Option("--symbols", metavar="A,B", help="Take these symbols only.")]
Start = Annotated[
    str | None, typer.Option("--start", metavar="TIME", help="Take bars that close after this, e.g. 2026-03-01T12:00 (UTC).")
]
End = Annotated[str | None, typer.Option("--end", metavar="TIME", help="Take bars that close at or before this.")]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="DOMAIN.KEY=VALUE", help="Override one key of config/, e.g. --set risk.gross=0.5. May be given again."
    ),
]
Spec = Annotated[
    str | None,
    typer.Option(
        "--spec",
        autocompletion=complete.specs,
        metavar="NAME",
        help="Run with a machine spec (a name in specs/, or a file) without applying it. prior_belief assumes an edge, so that "
        "there are trades to look at; it does not claim one.",
    ),
]
Report = Annotated[bool, typer.Option("--report/--no-report", help="Write report.html with the results.")]
Features = Annotated[
    Literal["all", "decisions", "none"] | None,
    typer.Option(
        "--features",
        help="Which of the layers' values to keep. all: every value at every bar, as `domain run` and `features` from Python "
        "need them; some 800 MB for a year of minutes of one symbol. decisions: those of the bars that log.jsonl has a line "
        "about, which `explain` shows, and at every bar what the report draws; less than half of that. none: neither. "
        "Without it: all in a stream and up to 250,000 bars times symbols, decisions beyond.",
    ),
]
Trial = Annotated[
    bool,
    typer.Option(
        "--trial/--no-trial",
        help="Note the run in the project's ledger, trials.jsonl. Reports say how much of a good result may be the luck of "
        "many trials.",
    ),
]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of the built-in sample market.")]
