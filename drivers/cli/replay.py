"""`stratoquant replay`: a stream again, out of its journal."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from drivers.cli.common import project_of
from drivers.cli.say import say


def replay(
    context: typer.Context,
    journal: Annotated[
        Path, typer.Argument(metavar="OUT", help="Results of `stratoquant stream`, its journal/ folder, or one segment of it.")
    ],
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Leave the state after the last instant here, for `stratoquant stream --checkpoint`."
        ),
    ] = None,
) -> None:
    """Replay a stream from its journal alone, with the same results to the bit.

    At intervals the journal records the engine's state. The replay stops at the first state that differs. After a crash,
    `stratoquant stream --resume OUT` completes the results; --checkpoint FILE leaves the state alone.
    """
    from drivers.engine.checkpoint import save
    from drivers.files.atomic import write_atomic_bytes
    from drivers.run.replay import replay as run
    from drivers.text.times import stamp

    done = run(journal, project_of(context))
    if done.torn:
        say(done.torn, err=True)
    if checkpoint is not None:
        write_atomic_bytes(checkpoint, save(done.engine, {"operator": {"acted": dict(done.acted)}}))
    commands = f"{done.commands} operator command{'' if done.commands == 1 else 's'}"
    say(
        f"{done.bars:,} bars and {commands}, to {stamp(done.engine.last_time)}; the state is that of the stream, at "
        f"{done.checks} of {done.checks} checks."
    )
