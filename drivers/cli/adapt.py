"""`stratoquant adapt show`, `diff`, `freeze` and `revert`: what a run learned of its own record, held or taken back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drivers.cli import options
from drivers.cli.app import App
from drivers.cli.say import say, say_json

if TYPE_CHECKING:
    from rich.console import RenderableType

    from drivers.adapt.record import Record
    from drivers.project.machine_specs import MachineSpec

app = App(help="What a run learned of its own record: read it, hold it, take it back.")

Json = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]
Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="PART", help="sources, patterns or thresholds. Give it again for more. Without it: all."),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "-o", "--out", metavar="FILE", help="The machine spec to write, FILE.yaml. Without it: one named by the run, here."
    ),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the file.")]
WIDE = 1000


@app.command()
def show(
    run: options.Run,
    full: Annotated[bool, typer.Option("--full", help="Show every pattern, every paper account and every change.")] = False,
    json: Json = False,
) -> None:
    """Show what a run learned: weights, patterns, thresholds, what speaks for them, and what changed when and why.

    The wealth of a source is what a unit would be that bets on it alone, at the volatility of the mixture. It is evidence,
    however often one looks: if the source were worth nothing, the chance that its wealth ever reaches 20 would be at most 5 %.
    What is in force stands beside what is only advised. Paper accounts are gross; the account is what was really made.
    """
    from drivers.adapt.show import as_data, page

    record = _record(run)
    if json:
        say_json(as_data(record))
    else:
        _print(page(record, full=full))


@app.command()
def diff(
    run: options.Run,
    other: Annotated[
        str,
        typer.Argument(
            metavar="RUN|EPOCHS",
            help="Another run, or two epochs of this one, as 3..12: by number (0: the start, as configured) or time. An end "
            "that is left out is the start or the last epoch.",
        ),
    ],
    only: Only = None,
    json: Json = False,
) -> None:
    """Show what differs between what two runs learned, or between two epochs of one.

    Of two runs, what was in force at their ends, and the settings of what they learn with. Weights of sources that differ by
    less than 0.05 % are left out.
    """
    from drivers.adapt.show import difference, difference_page, settings_apart

    record, parts = _record(run), _parts(only)
    if ".." in other and not Path(other).is_dir():
        first, _, last = other.partition("..")
        ends = (record, record.epoch_of(first) if first else 0), (record, record.epoch_of(last) if last else len(record))
        title = f"{record.name}, from epoch {ends[0][1]} ({record.day(ends[0][1])}) to {ends[1][1]} ({record.day(ends[1][1])})"
        settings = []
    else:
        theirs = _record(options.results(other))
        ends = (record, len(record)), (theirs, len(theirs))
        title, settings = (
            f"{record.name} ({record.span()}), then {theirs.name} ({theirs.span()})",
            settings_apart(record, theirs),
        )
    found = difference(*ends, parts)
    if json:
        say_json({"differs": found, "settings": settings})
    else:
        _print(difference_page(found, settings, title))


@app.command()
def freeze(
    run: options.Run,
    epoch: Annotated[
        str | None,
        typer.Option(metavar="EPOCH", help="What held after this epoch: its number or a time. Without it: after the last."),
    ] = None,
    only: Only = None,
    advised: Annotated[bool, typer.Option("--advised", help="Take what was advised last, in force or not.")] = False,
    out: Out = None,
    overwrite: Overwrite = False,
) -> None:
    """Write what a run learned as a machine spec that holds it, so that it does not change by itself.

    The next run uses it from its first bar on: `stratoquant run --spec FILE`. `stratoquant domain apply FILE` puts it into a
    project, `domain undo` takes it out. A stream that goes on from a checkpoint uses it from its next epoch on.
    """
    if advised and epoch is not None:
        raise typer.BadParameter("give either --epoch or --advised: the last advice is what counts", param_hint="--advised")
    from drivers.adapt.spec import file_name, frozen

    record = _record(run)
    at = len(record) if epoch is None else record.epoch_of(epoch)
    path = out or Path(file_name(record, "frozen"))
    _write(frozen(record, at, _parts(only), path, advised=advised), path, overwrite=overwrite)


@app.command()
def revert(
    run: options.Run,
    epoch: Annotated[
        str | None,
        typer.Option(
            metavar="EPOCH", help="Go back to what held after this epoch: its number or a time. Without it: to the start."
        ),
    ] = None,
    only: Only = None,
    out: Out = None,
    overwrite: Overwrite = False,
) -> None:
    """Write a machine spec that takes back what a run changed by itself.

    What is taken back does not change by itself any more: the next epoch would only make the same changes again. Use it as
    `freeze` says. Without --epoch everything is as it was configured.
    """
    from drivers.adapt.spec import file_name, reverted

    record = _record(run)
    at = 0 if epoch is None else record.epoch_of(epoch)
    path = out or Path(file_name(record, "reverted"))
    _write(reverted(record, at, _parts(only), path), path, overwrite=overwrite)


def _record(run: Path) -> Record:
    from drivers.adapt.record import Record
    from drivers.store.reader import open_run

    return Record(open_run(run))


def _parts(only: list[str] | None) -> list[str]:
    from drivers.adapt.record import PARTS
    from drivers.text.suggestions import did_you_mean

    for part in only or ():
        if part not in PARTS:
            raise typer.BadParameter(f"nothing is called {part!r}; {did_you_mean(part, PARTS)}", param_hint="--only")
    return [part for part in PARTS if only is None or part in only]


def _write(spec: MachineSpec, path: Path, *, overwrite: bool) -> None:
    from drivers.adapt.spec import spec_text
    from drivers.files.atomic import write_atomic

    if path.suffix != ".yaml":
        raise typer.BadParameter(f"{path} does not end in .yaml, as machine specs do", param_hint="-o")
    if path.exists() and not overwrite:
        raise typer.BadParameter(f"{path} is there already; name another file, or give --overwrite", param_hint="-o")
    write_atomic(path, spec_text(spec))
    say(f"{path}: {spec.about}")
    say(f"Run with it: stratoquant run --spec {path}. For good, in a project: stratoquant domain apply {path}")


def _print(page: RenderableType) -> None:
    from drivers.text.terminal import Terminal

    console = Terminal(highlight=False)
    if not console.is_terminal:  # a file or a pipe has no edge to wrap at
        console = Terminal(highlight=False, width=WIDE)
    console.print(page)
