"""`stratoquant watchdog`: a process beside a stream with orders, which can cancel and flatten without it."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from drivers.cli.common import needing_live, project_of, started_beside
from drivers.cli.say import say
from drivers.run.request import RunRequest

PATIENCE = 15.0
"""Seconds for which a stream that has ended waits for its watchdog."""


def watchdog(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(metavar="OUT", help="The results of a stream that is going on, or about to begin.")],
    rules: Annotated[
        Path,
        typer.Option(metavar="FILE", help="A YAML file: what it looks for and what it does then. An empty file is enough."),
    ],
    operator: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The stream's own --operator file, where it was given another way.")
    ] = None,
    notify: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A YAML file of notices, as `watch` takes it: all it says goes there.")
    ] = None,
    live_from: Annotated[int | None, typer.Option("--live-from", hidden=True)] = None,
) -> None:
    """Guard the account of a stream of --mode testnet or live, without its engine.

    It reads the stream's heartbeat and journal, and the account at the exchange. When the heartbeat stops (stale_after), when
    the account loses more than `loss` within one bar, or when it differs from the journal (mismatch_after), it does what the
    file says: `alert`; `cancel` entries; or `flatten`: cancel the stream's orders and close its positions. The last two write
    HALT to the operator file, so that the stream opens nothing until you send RELEASE. Stops stay while a position is
    open, unless it flattens. Orders and coins of others are never touched. Keys come from the environment, as for the stream.
    It ends with the stream, or by Ctrl-C; it outlives a stream that was killed.
    """
    with needing_live():
        from drivers.monitor.notices import apprise_of, read_notices
        from drivers.watchdog.process import run_watchdog, stamped
        from drivers.watchdog.rules import read_rules
    from drivers.engine.interrupts import graceful

    run = run.with_suffix("") if run.suffix == ".partial" else run
    found = read_rules(rules)
    tell: Callable[[str], None] = partial(say, err=True)
    if notify is not None:
        send = apprise_of(read_notices(notify))
        tell = _also(tell, lambda text: send(f"{run.name}: watchdog", text))
    with graceful() as stop:
        run_watchdog(
            run.with_name(f"{run.name}.partial"),
            found,
            stamped(tell),
            lambda: stop.asked,
            operator,
            project_of(context),
            live_from,
        )


def _also(say: Callable[[str], None], send: Callable[[str], object]) -> Callable[[str], None]:
    """Says and sends. A notice that cannot be sent stops nothing."""

    def both(text: str) -> None:
        say(text)
        try:
            send(text)
        except Exception as error:  # a service of somebody else, reached by a library of somebody else
            say(f"that notice could not be sent ({type(error).__name__})")

    return both


@contextmanager
def guarded(request: RunRequest, rules: Path) -> Iterator[None]:
    """`watchdog` of the stream of a request, in a process of its own. A stream that ends normally ends it; one that fails or is
    killed leaves it at work. Where the watchdog ends before its stream, that is said on stderr, and the stream goes on."""
    from drivers.store.folder import JOURNAL
    from drivers.store.segments import has_segments
    from drivers.watchdog.rules import read_rules

    with needing_live():
        import_module("drivers.watchdog.process")  # what the child process cannot import is told before anything trades
    read_rules(rules)
    assert request.out is not None
    out, folder = request.out, request.out.with_name(f"{request.out.name}.partial")
    # what an earlier stream has left there is none of its business
    since = ["--live-from", str(request.live_from)] if request.live_from is not None else []
    child = started_beside(request, "watchdog", "--rules", str(rules), *since)
    unguarded = f"nobody guards the account. Start it again with: stratoquant watchdog {out} --rules {rules}"
    over = threading.Event()

    def attend() -> None:
        code = child.wait()
        ended = code == 0 and out.is_dir() and not folder.is_dir()  # the stream has, which it sees before we do
        if not over.is_set() and not ended:
            say(f"The watchdog has ended (exit code {code}): {unguarded}", err=True)

    threading.Thread(target=attend, name="watchdog", daemon=True).start()
    try:
        yield
    except BaseException:
        over.set()
        if not has_segments(folder / JOURNAL):
            child.terminate()
        elif child.poll() is None:
            say(
                f"The watchdog goes on (process {child.pid}); it ends by SIGTERM, or when the stream is resumed and ends.",
                err=True,
            )
        else:
            say(f"The watchdog had ended before the stream: {unguarded}", err=True)
        raise
    over.set()
    try:
        child.wait(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        child.terminate()
