"""Which changes of folders this user has begun: a digest of each, in a folder of the user's own.

`$XDG_STATE_HOME/stratoquant/changes`, else `~/.local/state/stratoquant/changes`, holds one small file for each folder with a
change under way. It is named by the folder's real path and bears the digest of the change: a change that comes with a folder
from elsewhere, or that was altered since, has none.
"""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from drivers.files.atomic import write_atomic_bytes


def note(folder: Path, change: Path) -> None:
    """Keeps the digest of the change that is about to begin. Raises OSError when the state folder cannot be used."""
    record = _record(folder)
    record.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _own(record.parent):
        raise PermissionError(
            1, "others may write it; run chmod go-w, or name a folder of your own in XDG_STATE_HOME", str(record.parent)
        )
    write_atomic_bytes(record, _digest(change).encode())


def here(folder: Path, change: Path) -> bool:
    """Whether this user has begun exactly this change on exactly this folder."""
    record = _record(folder)
    try:
        return _own(record.parent) and record.read_text(encoding="ascii") == _digest(change)
    except (OSError, ValueError):
        return False


def forget(folder: Path) -> None:
    """The change is done, or taken back."""
    _record(folder).unlink(missing_ok=True)


def _record(folder: Path) -> Path:
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return state / "stratoquant" / "changes" / hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()


def _own(folder: Path) -> bool:
    state = folder.lstat()
    return stat.S_ISDIR(state.st_mode) and state.st_uid == os.geteuid() and not state.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _digest(change: Path) -> str:
    """Of the names and contents of all files. Raises OSError for anything that is neither file nor folder, such as a link."""
    digest = hashlib.sha256()
    for path in sorted(change.rglob("*")):
        kind = path.lstat().st_mode
        if stat.S_ISDIR(kind):
            continue
        if not stat.S_ISREG(kind):
            raise OSError(f"{path} is no file")
        for part in (os.fsencode(path.relative_to(change)), path.read_bytes()):
            digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()
