"""The folder of a run's results: what is in it, and who may write it.

While a run goes on it is `<out>.partial`, with a file that names the process which writes it.
"""

from __future__ import annotations

import fnmatch
import math
import os
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from drivers.store.errors import TakenError
from drivers.store.segments import has_segments

JOURNAL: Final = "journal"
"""The folder with a stream's journal, below its results."""
REQUEST: Final = "stream.json"
"""What a stream was asked for, below its partial folder."""
CHECKPOINT: Final = "checkpoint.npz"
"""The state after a stream's last bar, below its results."""
FINAL: Final = "final"  # the results of a writer in parts, as they get their name
WRITER: Final = "writing"  # holds the process id of who writes a partial folder
NOBODY: Final = 0
PATIENCE: Final = 10.0
"""Seconds without a stream after which whoever waits for it is told."""
_OWN: Final = (
    "run.json", "report.html", "log.jsonl", "wiring_master.yaml", "delayed.npz", CHECKPOINT, "config/*.yml",
    *(f"{name}.parquet{part}" for name in ("orders", "fills", "ledger", "decisions") for part in ("", "/[0-9]*.parquet")),
    "features/*.parquet", "decided/*.parquet", "epochs/*.parquet", "logs/*.parquet", "journal/lock",
    "journal/*.journal", "journal/*.journal.zst",
)  # fmt: skip
"""What a run writes, below its results."""


def foreign(folder: Path) -> list[str]:
    """The files below a folder of results that no run writes."""
    return foreign_names(str(p.relative_to(folder)) for p in sorted(folder.rglob("*")) if not p.is_dir() or p.is_symlink())


def foreign_names(names: Iterable[str]) -> list[str]:
    """Those among the names of files below results that no run writes."""
    return [name for name in names if not any(fnmatch.fnmatch(name, own) for own in _OWN) or ".." in name.split("/")]


def clear_finished(out: Path) -> bool:
    """Clears up behind a stream that was killed when its results had their name already. Returns whether it was so."""
    partial = out.with_name(out.name + ".partial")
    ours, theirs = out / "log.jsonl", partial / "log.jsonl"
    if not (ours.is_file() and theirs.is_file() and ours.samefile(theirs)):
        return False
    clear_up(partial, out)
    return True


def clear_up(partial: Path, out: Path) -> None:
    """Moves the journal of a finished stream to its results, and removes the rest."""
    if (partial / JOURNAL).is_dir():
        (partial / JOURNAL).rename(out / JOURNAL)
    (partial / REQUEST).unlink(missing_ok=True)  # from here on there is nothing to resume
    shutil.rmtree(partial, ignore_errors=True)


def refuse_taken(out: Path, *, overwrite: bool) -> None:
    """Raises TakenError where results cannot be put under this name. overwrite: those of a run may be replaced."""
    if not out.exists():
        return
    if not out.is_dir():
        raise TakenError(f"{out} is a file; name a folder for the results")
    if not any(out.iterdir()):
        return
    if not (out / "run.json").is_file():
        raise TakenError(f"{out} holds something else than a run's results; name another folder")
    if not overwrite:
        raise TakenError(f"{out} holds the results of a run already; name another folder, or give --overwrite")
    strange = foreign(out)
    if strange:
        raise TakenError(
            f"{out} holds {strange[0]}, which no run writes, so --overwrite does not remove it; move it, or name another folder"
        )


def clear_stale(partial: Path, out: Path) -> None:
    """Removes what a run left that was killed; raises TakenError when one is still at it, or when the folder is not a run's."""
    refuse_owned(partial)
    if has_segments(partial / JOURNAL):
        raise TakenError(
            f"{partial} holds an unfinished stream; go on with `stratoquant stream --resume {out}`, or remove the folder"
        )
    strange = [name for name in foreign(partial) if name not in (WRITER, REQUEST)]
    if strange:
        raise TakenError(f"{partial} is in the way and holds {strange[0]}, which no run writes; move it")
    shutil.rmtree(partial)


def refuse_owned(partial: Path) -> None:
    """Raises TakenError where another process writes a partial folder, or it is no run's."""
    owner = _owner_of(partial)
    if owner is None:
        raise TakenError(f"{partial} is in the way and is no unfinished run; move it, or name another folder")
    if owner != os.getpid() and _lives(owner):
        raise TakenError(f"{partial} is being written by process {owner}; wait for it, or name another folder")


def not_begun(partial: Path) -> str:
    """What to tell a user who follows a stream that is not there; empty: it is there."""
    if partial.is_dir():
        return ""
    out = partial.with_suffix("")
    finished = (
        f"; the run {out} is finished: stratoquant report {out}" if out.is_dir() else "; check the name if none will begin"
    )
    return f"There is no stream {out} yet{finished}"


class Awaited:
    """Tells once that the stream of a partial folder is not there, when it is `PATIENCE` seconds late. tell: who is told."""

    def __init__(self, partial: Path, tell: Callable[[str], None]) -> None:
        self._partial, self._tell = partial, tell
        self._late = time.monotonic() + PATIENCE

    def look(self) -> None:
        """Looks whether it is there; called now and then."""
        if time.monotonic() > self._late:
            self._late = math.inf
            if missing := not_begun(self._partial):
                self._tell(missing)


def owner_lives(partial: Path) -> bool:
    """Whether the process that writes a partial folder is there; False where none writes it, or it is no run's."""
    owner = _owner_of(partial)
    return owner is not None and _lives(owner)


def _owner_of(partial: Path) -> int | None:
    """The process id of who writes a partial folder, or NOBODY; None: it is no run's."""
    try:
        return int((partial / WRITER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _lives(process: int) -> bool:
    if process == NOBODY:
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is another user's
        return True
    return True
