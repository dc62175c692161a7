"""A stream that ended without finishing its results, completed: from the last segment of its journal, with whole results."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from drivers.engine.checkpoint import CheckpointError, is_checkpoint, restore
from drivers.engine.interrupts import Requests
from drivers.files.atomic import sync, write_atomic, write_atomic_bytes
from drivers.run.assembly import PreparedRun
from drivers.run.bar_by_bar import Stream
from drivers.run.between_bars import Between
from drivers.run.journaled import Journaled
from drivers.run.recorder import Recorder
from drivers.run.request import RunRequest
from drivers.run.venue_link import VenueLink
from drivers.store.folder import CHECKPOINT, JOURNAL, REQUEST, clear_finished
from drivers.store.journal import JournalReader
from drivers.store.segments import has_segments, last_beginning, segments_of
from drivers.text.times import stamp

_PATHS = ("data", "out", "project", "checkpoint", "operator_file", "warm_from", "frames")
_TUPLES = ("symbols", "overrides")


def write_request(request: RunRequest, session: PreparedRun, folder: Path) -> None:
    """Notes what a stream was asked for, with absolute paths, and the digest of its data."""
    about: dict[str, Any] = dict(vars(request))
    about.pop("record")  # a stream that is completed is another session
    for name in _PATHS:
        if about[name] is not None and str(about[name]) != "-":
            about[name] = str(Path(about[name]).absolute())
        elif about[name] is not None:
            about[name] = str(about[name])
    about["data_hash"] = session.data.digest
    write_atomic(folder / REQUEST, json.dumps(about, indent=2) + "\n")
    sync(folder)


def recorded_request(out: Path, named: Path | None) -> RunRequest:
    """What the unfinished stream of `out` was asked for.

    The folder may come from anybody. So layers of a project run only when the user names it (`named`), as everywhere, and a
    checkpoint takes the place of no file that is none. Raises ValueError for these, and where there is no unfinished stream.
    """
    path = out.with_name(out.name + ".partial") / REQUEST
    clear_finished(out)
    if not path.is_file():
        if (out / "run.json").is_file():
            raise ValueError(
                f"{out} is finished: there is nothing to resume. `stratoquant stream --checkpoint {out / CHECKPOINT}` goes "
                "on after its last bar"
            )
        raise ValueError(f"{path.parent} holds no unfinished stream, so there is nothing to resume")
    about = json.loads(path.read_text(encoding="utf-8"))
    about.pop("data_hash")
    for name in _PATHS:
        about[name] = None if about[name] is None else Path(about[name])
    for name in _TUPLES:
        about[name] = None if about[name] is None else tuple(about[name])
    _refuse_foreign(about["project"], about["checkpoint"], out, named)
    if not has_segments(path.parent / JOURNAL):
        raise ValueError(f"the stream of {out} was killed before its first bar, so nothing is lost; start it again as before")
    return RunRequest(**{**about, "out": out, "resume": True})


def _refuse_foreign(project: Path | None, checkpoint: Path | None, out: Path, named: Path | None) -> None:
    if project is not None and (project / "layers").is_dir() and (named is None or not named.samefile(project)):
        raise ValueError(
            f"the stream of {out} runs layers of {project}, and their code runs only when you name the project; if you trust "
            f"that code, write: stratoquant --project {project} stream --resume {out}"
        )
    if checkpoint is not None and checkpoint.exists() and not is_checkpoint(checkpoint):
        raise ValueError(
            f"the stream of {out} leaves its state in {checkpoint}, which is no checkpoint and would be lost; move it away"
        )


def resumed(
    session: PreparedRun,
    out: Path,
    stack: ExitStack,
    notify: Callable[[str], None],
    stop: Requests,
    venue: VenueLink | None = None,
) -> Stream:
    """The stream as it was when it ended, to go on from there. Raises what `restore` and the journal raise."""
    folder = out.with_name(out.name + ".partial")
    if json.loads((folder / REQUEST).read_text(encoding="utf-8"))["data_hash"] != session.data.digest:
        raise CheckpointError(f"{session.data.about()['data']} is not the data that this stream began with; put them back")
    engine = Journaled(session, folder / JOURNAL)
    stack.callback(engine.close)
    cut = engine.go_on()
    if cut:
        notify(cut)
    segments, begin = last_beginning(segments_of(folder), "results")
    if "checkpoint" in begin.arrays:
        restore(session.engine, begin.arrays["checkpoint"].tobytes())
    learned = {key.partition("/")[2]: array for key, array in begin.arrays.items() if key.startswith("learned/")}
    results = {**begin.about["results"], "learned": learned}
    recorder = stack.enter_context(Recorder(session, out, parts=True, go_on=results, notify=notify))
    between = Between(session, notify, begin.about["operator"])
    stream = Stream(session, recorder, engine, between, stop)
    stack.callback(stream.close)
    stream.connect(venue)
    kept = None if venue is None else venue.kept
    if kept is not None:
        kept.recover(begin.about["venue"])
    told = 0 if kept is None else kept.sent
    stream.run_again(itertools.islice(itertools.chain.from_iterable(map(JournalReader, segments)), 1, None))
    if venue is not None:
        venue.catch_up(told)
    between.open()
    last = session.engine.last_time
    notify(f"Resumed after {stamp(last)}." if last else "Resumed before the first bar.")
    return stream


def user_of(checkpoint: Path) -> Path:
    """The file that names the results of the stream that goes on from a checkpoint, while it does."""
    return checkpoint.with_name(f"{checkpoint.name}.stream")


def catch_up(checkpoint: Path) -> None:
    """Brings a checkpoint to where the stream that went on from it ended, if that was killed just before it did so itself.

    Raises CheckpointError where that stream is unfinished: its journal has passed the checkpoint.
    """
    note = user_of(checkpoint)
    if note.is_file():
        out = Path(note.read_text(encoding="utf-8").strip())
        clear_finished(out)
        unfinished = (out.with_name(out.name + ".partial") / REQUEST).is_file()
        if unfinished and checkpoint.is_file():
            raise CheckpointError(
                f"the stream of {out} went on from {checkpoint} and did not finish, so the checkpoint is older than its "
                f"journal; `stratoquant stream --resume {out}` goes on from there"
            )
        last = out / CHECKPOINT
        if not unfinished and last.is_file() and last.stat().st_mtime_ns > note.stat().st_mtime_ns:
            write_atomic_bytes(checkpoint, last.read_bytes())  # an earlier one is of results that were there before
        note.unlink()
