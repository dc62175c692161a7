"""Several files of a folder change together: all of them or none, also when the process is killed in between.

What a change is lies in `<folder>/.stratoquant/`, and its place there says how far it has come:

1. Under the lock, `staging/` gets the files as they were, the files as they shall be, and `change.json`.
2. `staging/` is renamed to `pending/`: from here on the change takes place. Each file is put in its place, whole.
3. `pending/` is renamed to `history/<number>/`: the change is done, and this entry is its record.

A process that is killed in step 1 has changed nothing; one that is killed in step 2 has left `pending/`, and `repair`, which
every command calls when it opens a project, goes on from there. An error in step 2 (a full disk) puts back what was there.

A folder may come from anybody. So `repair` carries out only what `change` began here: at the end of step 1 the digest of the
change goes to the user's own state folder (`begun.py`), and a `pending/` of another digest is refused. Every file stays inside
the folder: no `..`, no hidden name, no link that leads out of it.
"""

from __future__ import annotations

import fcntl
import getpass
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from drivers.files import begun
from drivers.files.atomic import sync, write_atomic_bytes

Files = dict[str, bytes | None]
"""Path below the folder to content; None where there is no such file."""

HOME: Final = ".stratoquant"
_RECORD: Final = "change.json"
_SIDES: Final = ("before", "after")
_IGNORED: Final = "lock\nstaging/\npending/\n"  # the history is worth committing, what is under way is not


class ChangeError(ValueError):
    """A folder cannot be changed now. The message names the file and says what to do."""


@dataclass(frozen=True)
class Entry:
    """A change that took place."""

    folder: Path
    about: dict[str, Any]  # `number`, `kind`, `time`, `who`, `version`, `files`, and what the caller gave

    @property
    def number(self) -> int:
        """Its place in the history, from 1."""
        return int(self.about["number"])

    def files(self, side: str) -> Files:
        """The changed files as they were `before` or `after` it. Raises ChangeError when a name leads out of its folder."""
        return {name: read(inside(self.folder / side, name)) for name in self.about["files"]}


def read(path: Path) -> bytes | None:
    """A file's content; None when there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def inside(folder: Path, name: str) -> Path:
    """The place of a file below a folder, behind the links on the way.

    Raises ChangeError when it is not below the folder or one of its parts is hidden (`.git`, `.stratoquant`).
    """
    parts = Path(name).parts
    place = Path(os.path.realpath(folder / name))
    if not parts or any(part.startswith((".", "/")) for part in parts) or not place.is_relative_to(os.path.realpath(folder)):
        raise ChangeError(f"{name!r} is no file inside {folder}, also through a link; a change writes nothing outside.")
    return place


def change(folder: Path, before: Files, after: Files, about: Mapping[str, Any]) -> Entry:
    """Puts the files of `after` in place of those of `before`, together; returns the record.

    about: JSON values that the record keeps; `kind` says what sort of change it is.
    Raises ChangeError when a file is no longer as `before` says or another command is changing the folder, OSError when
    something cannot be written; the files are then as they were.
    """
    with _locked(folder) as home:
        _go_on(folder, home)
        for name in after:
            inside(folder, name)
        for name, content in before.items():
            if read(inside(folder, name)) != content:
                raise ChangeError(
                    f"{folder / name} was changed just now by another; nothing is written: look at it and try again."
                )
        entries = history(folder)
        record = {
            "number": entries[-1].number + 1 if entries else 1,
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "who": _who(),
            "version": version("stratoquant"),
            "files": list(after),
            **about,
        }
        _stage(home, dict(zip(_SIDES, (before, after), strict=True)), record)
        begun.note(folder, home / "staging")
        (home / "staging").rename(home / "pending")
        sync(home)
        try:
            return _complete(folder, home)
        except BaseException:
            if (home / "pending").is_dir():
                _put_all(folder, before)
                shutil.rmtree(home / "pending")
                begun.forget(folder)
            raise


def history(folder: Path) -> list[Entry]:
    """The changes that took place, oldest first. Raises ChangeError when a record cannot be read."""
    entries = []
    for path in (folder / HOME / "history").glob("[0-9]*"):
        try:
            about = json.loads((path / _RECORD).read_text(encoding="utf-8"))
            entries.append(Entry(path, {**about, "number": int(about["number"]), "files": list(about["files"])}))
        except (OSError, ValueError, KeyError, TypeError):
            raise ChangeError(f"{path} is no whole record of a change; restore it, or move it out of the history.") from None
    return sorted(entries, key=lambda entry: entry.number)


def repair(folder: Path) -> None:
    """Completes a change whose process was killed. Costs one look at the folder when there is none.

    Raises ChangeError while another process is at it, when a file is neither as it was nor as it should be, or when the change
    was not begun on this folder by this user: then nothing is written.
    """
    if (folder / HOME / "pending").is_dir():
        with _locked(folder) as home:
            _go_on(folder, home)


def _go_on(folder: Path, home: Path) -> None:
    pending = home / "pending"
    if not pending.is_dir():
        return
    if not begun.here(folder, pending):
        raise ChangeError(
            f"{pending} holds a change that was not begun here, or not as it is now; none of it is carried out. Look at it and "
            f"remove {pending}; if it is yours, of another machine or place, put the files right from {pending}/after first."
        )
    entry = Entry(pending, json.loads((pending / _RECORD).read_text(encoding="utf-8")))
    before, after = entry.files("before"), entry.files("after")
    for name in after:
        if read(folder / name) not in (before[name], after[name]):
            raise ChangeError(
                f"{folder / name} was edited while a change of {entry.about['time']} was half done; put the files right from "
                f"{pending}/before or {pending}/after, then remove {pending}."
            )
    _complete(folder, home)


def _stage(home: Path, sides: Mapping[str, Files], record: Mapping[str, Any]) -> None:
    staging = home / "staging"
    if staging.exists():  # of a process that was killed before it had changed anything
        shutil.rmtree(staging)
    try:
        for side, files in sides.items():
            for name, content in files.items():
                if content is not None:
                    _write(staging / side / name, content)
        _write(staging / _RECORD, (json.dumps(record, indent=2) + "\n").encode())
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise


def _complete(folder: Path, home: Path) -> Entry:
    """Steps 2 and 3. Whatever part of it was done before may be done again."""
    pending = home / "pending"
    entry = Entry(pending, json.loads((pending / _RECORD).read_text(encoding="utf-8")))
    _put_all(folder, entry.files("after"))
    done = home / "history" / f"{entry.number:04d}"
    done.parent.mkdir(exist_ok=True)
    pending.rename(done)
    with suppress(OSError):  # it is done, whenever the disk learns of it
        begun.forget(folder)
        sync(done.parent)
    return Entry(done, entry.about)


def _put_all(folder: Path, files: Files) -> None:
    places = {name: inside(folder, name) for name in files}  # a link stays a link
    for name, content in files.items():
        place = places[name]
        if content is None:
            place.unlink(missing_ok=True)
        elif read(place) != content:
            place.parent.mkdir(parents=True, exist_ok=True)
            write_atomic_bytes(place, content)
            sync(place)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    sync(path)


@contextmanager
def _locked(folder: Path) -> Iterator[Path]:
    """Only one command changes a folder at a time. The lock goes with its process, however that ends."""
    home = folder / HOME
    for path in (home, home / "lock", home / "pending", home / "staging", home / "history"):
        if path.is_symlink():
            raise ChangeError(f"{path} is a link, which a change would write through; remove it.")
    if not home.is_dir():
        home.mkdir()
        write_atomic_bytes(home / ".gitignore", _IGNORED.encode())
    with (home / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ChangeError(f"another command is changing {folder} at this moment; try again when it is done.") from None
        yield home


def _who() -> str:
    with suppress(OSError, KeyError, ImportError):  # a user without a name, as in a container
        return getpass.getuser()
    return str(os.getuid())
