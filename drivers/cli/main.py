"""`stratoquant [--project DIR] [--debug] COMMAND`: the commands together, and how they fail.

An error is one sentence on stderr. Exit code 2: misuse or bad input. 1: a check or a run failed. 130: ended by Ctrl-C, SIGTERM
or SIGHUP.
"""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.exceptions import TyperException

from drivers.cli import (
    adapt,
    config,
    data,
    data_fetch,
    data_partition,
    domain,
    domain_apply,
    evaluate,
    exchange,
    explain,
    features,
    graph,
    health,
    layers,
    logs,
    pine,
    replay,
    report,
    run,
    stream,
    validate,
    watch,
    watchdog,
    wiring,
)
from drivers.cli.app import App
from drivers.cli.common import Failed, Globals
from drivers.cli.say import say
from drivers.engine.interrupts import handled, ignore, interrupted
from drivers.text.inert import shown
from drivers.text.suggestions import did_you_mean

app = App(
    name="stratoquant",
    help="Market data through a checked graph of layers to risk-approved orders.",
    epilog="`stratoquant COMMAND --help` explains a command. Start with `stratoquant run`: it needs no data of your own.",
    add_completion=True,
)
app.command("run")(run.run)
app.command("features")(features.features)
app.command("stream")(stream.stream)
app.command("watch")(watch.watch)
app.command("watchdog")(watchdog.watchdog)
app.command("replay")(replay.replay)
app.command("evaluate")(evaluate.evaluate)
app.command("report")(report.report)
app.command("validate")(validate.validate)
app.command("logs")(logs.logs)
app.command("explain")(explain.explain)
for command in (domain_apply.apply, domain_apply.undo, domain_apply.history, domain_apply.specs):
    domain.app.command(command.__name__)(command)
app.add_typer(domain.app, name="domain")
app.add_typer(adapt.app, name="adapt")
app.add_typer(config.app, name="config")
app.add_typer(wiring.app, name="wiring")
app.command("health")(health.health)
app.command("graph")(graph.graph)
app.command("layers")(layers.layers)
data.app.command("fetch")(data_fetch.fetch)
data.app.command("partition")(data_partition.partition)
app.add_typer(data.app, name="data")
app.add_typer(exchange.app, name="exchange")
app.add_typer(pine.app, name="pine")


def _version(asked: bool) -> None:
    if asked:
        say(version("stratoquant"))
        raise typer.Exit


@app.callback()
def _globals(
    context: typer.Context,
    project: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder with config/, specs/ and wiring_master.yaml of your own. Without it: the current folder when it has "
            "them, else the package's own.",
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    _: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    context.obj = Globals(project, debug)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command line and ends the process with its exit code."""
    gc.set_threshold(50_000, 20, 20)  # what is imported stays: to look through it ever again costs an eighth of a start
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = run_command(given)
    except KeyboardInterrupt:  # as the handlers were given back
        code = _fail("Stopped.", 130)
    ignore()
    gc.freeze()  # or the interpreter's end looks through all that is left several times: 0.8 s after a run
    sys.exit(code)


def run_command(given: Sequence[str]) -> int:
    """Runs a command line; returns its exit code. Prints an error as one sentence on stderr."""
    with handled():
        return _run(given)


def _run(given: Sequence[str]) -> int:
    debug = "--debug" in given[: _command_at(given)]
    try:
        code: Any = app(list(given), prog_name="stratoquant", standalone_mode=False)
        return _fail("Stopped.", 130) if code == 130 else int(code or 0)
    except (KeyboardInterrupt, typer.Abort):
        return _fail("Stopped.", 130)
    except TyperException as error:
        if interrupted(error):
            return _fail("Stopped.", 130)
        if type(error).__name__ == "NoArgsIsHelpError":
            say(error.format_message())
            return 2
        return _fail(_usage(error), 2)
    except Failed as error:
        return _fail(str(error), 1)
    except Exception as error:  # the last resort: a sentence, and where to find more
        if interrupted(error):
            return _fail("Stopped.", 130)
        if debug:
            raise
        return _fail(*_sentence(error))


def _command_at(given: Sequence[str]) -> int:
    """Where the global options end: --debug after the command is the command's own."""
    skip = False
    for i, word in enumerate(given):
        if skip:
            skip = False
        elif word == "--project":
            skip = True
        elif not word.startswith("-"):
            return i
    return len(given)


def _fail(message: str, code: int) -> int:
    say(message, err=True)
    return code


def _usage(error: TyperException) -> str:
    """What was typed wrong, with the nearest command where a command is unknown, and where the help is."""
    message = error.format_message().strip().rstrip(".")
    context: Any = getattr(error, "ctx", None)
    where = context.command_path if context is not None else "stratoquant"
    unknown = re.match(r"No such command '([^']*)'", message)
    if unknown and context is not None:
        known = list(getattr(context.command, "commands", ()))
        return f"{where}: there is no command '{unknown[1]}'; {did_you_mean(unknown[1], known)}"
    option = getattr(error, "option_name", None)
    if option is not None and message.startswith("No such option"):
        options = [name for param in getattr(context, "command", context).params for name in param.opts if name[:2] == "--"]
        return f"{where}: there is no option {option}; {did_you_mean(option, options, f'see {where} --help')}"
    message = message.replace("Value error, ", "").replace("Input should be", "it must be")
    return f"{where}: {message[:1].lower()}{message[1:]}; see {where} --help"


_FAILED: Final = frozenset(
    {"BoundaryError", "EngineError", "ExchangeOutage", "LayerCompileError", "ReplayError", "ScaleError", "StoreError"}
)
"""The errors of the drivers that say that a run failed, by name: to import them would cost every --help a second."""


def _sentence(error: Exception) -> tuple[str, int]:
    """One sentence and the exit code. A ValueError or a missing file is bad input; anything else is a failed run."""
    kinds = {kind.__name__ for kind in type(error).__mro__ if kind.__module__.startswith("drivers.")}
    lines = str(error).strip().splitlines() or [""]
    text = lines[0] if "BoundaryError" in kinds else " ".join(str(error).split())
    if isinstance(error, OSError):
        named = f"{shown(str(error.filename), lines=False)}: " if error.filename is not None else ""
        reason = error.strerror.lower() if error.strerror else text
        return f"{named}{reason}.", 2 if isinstance(error, (FileNotFoundError, NotADirectoryError, FileExistsError)) else 1
    if kinds & _FAILED and "TakenError" not in kinds:
        return text, 1
    if isinstance(error, (ValueError, TypeError)) and type(error).__module__.partition(".")[0] in ("drivers", "dataflows"):
        return text, 2
    if type(error) is ValueError:
        return text, 2
    return f"{type(error).__name__}: {text or 'no reason given'} (stratoquant --debug shows where)", 1
