"""`stratoquant watch`: a stream as it goes on, on a page, as metrics, as notices."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from drivers.cli.common import Failed, needing_live, project_of, started_beside
from drivers.cli.say import say
from drivers.project.own_process import without_keys
from drivers.run.request import RunRequest
from drivers.text.addresses import address_of

ADDRESS = "127.0.0.1:8765"


def watch(
    context: typer.Context,
    run: Annotated[Path, typer.Argument(metavar="OUT", help="The results of a stream that is going on, or about to begin.")],
    serve: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where the page is served.")] = ADDRESS,
    operator: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The stream's own --operator file: the page's buttons append to it.")
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="Serve where other machines can reach it; needs the token.")] = False,
    notify: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A YAML file of notices: fills, halts, feeds that end, through Apprise.")
    ] = None,
) -> None:
    """Serve a live page of a stream, /metrics for Prometheus and /health, and send notices.

    It follows the stream's journal in this process: whatever happens to it changes no bit of the trading. The buttons HALT,
    FLATTEN and RELEASE need a token of 16 characters or more in the environment, STRATOQUANT_PAGE_TOKEN. It ends with the
    stream, or by Ctrl-C.
    """
    with needing_live():
        from drivers.monitor.notices import Notices, apprise_of, read_notices
        from drivers.monitor.server import TOKEN, Page
        from drivers.run.watch import Earlier, Follower, said_by
        from drivers.run.watch import serve as served
    from drivers.engine.interrupts import graceful

    place = address_of(serve, public=public)
    run = run.with_suffix("") if run.suffix == ".partial" else run
    notices = None
    if notify is not None:
        rules = read_notices(notify)
        notices = Notices(run.name, rules, apprise_of(rules))
    folder = run.with_name(f"{run.name}.partial")
    follower = Follower(folder, project_of(context), notices)
    earlier = Earlier(folder, project_of(context))
    page = Page(
        run.name, folder, lambda: follower.state, said_by, os.environ.get(TOKEN) or None, operator, public,
        days=earlier.days, day=earlier.read,
    )  # fmt: skip
    try:
        with graceful() as stop:
            served(page, place, follower, say, lambda: stop.asked)
    except OSError as error:
        raise Failed(f"{serve} cannot be used ({(error.strerror or 'unknown reason').lower()}); choose another") from None
    finally:
        if notices is not None:
            notices.close()


@contextmanager
def watched(request: RunRequest, serve: str, notify: Path | None, public: bool) -> Iterator[None]:
    """`watch` of the stream of a request, in a process of its own, while the context lasts."""
    address_of(serve, public=public)
    if notify is not None and not notify.is_file():
        raise typer.BadParameter(f"there is no file {notify}", param_hint="--notify")
    assert request.out is not None
    operator = request.operator_file if str(request.operator_file) != "-" else None
    words = ["--serve", serve, *(["--public"] if public else [])]
    words += ["--operator", str(operator)] if operator is not None else []
    words += ["--notify", str(notify)] if notify is not None else []
    child = started_beside(request, "watch", *words, environment=without_keys())
    try:
        yield
    finally:
        child.terminate()
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()
