"""The folder of the machine-code cache: its owner alone may write it, and every file in it is signed.

A cached file is executed: it is a pickle around machine code. So nothing is unpickled before its signature is verified, and a
file that was damaged or that somebody else wrote is never run.

    <root>/                     mode 0700 when it is made here; refused when others may write it or own it
      machine-code/             mode 0700, the same rule; no link
        key                     mode 0600, 32 random bytes that never leave this folder
        claims                  mode 0600, empty: its bytes are locked by who compiles (claims.py)
        <content key>/*.nbi, *.nbc   HMAC-SHA256 of the file's place and content, then the content

The root is `$STRATOQUANT_CACHE`, else `$XDG_CACHE_HOME/stratoquant`, else `~/.cache/stratoquant`.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = hashlib.sha256().digest_size
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class UntrustedFolderError(OSError):
    """The cache folder belongs to another user, or others may write it. The message names the folder and the cure."""


class UnsignedFileError(ValueError):
    """A cached file does not bear the signature of this cache folder: it is damaged or somebody else's."""


def cache_root() -> Path:
    """The folder of the cache; it need not exist."""
    named = os.environ.get("STRATOQUANT_CACHE")
    if named:
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "stratoquant"


def code_folder() -> Path:
    """The folder of machine code in the cache; it need not exist."""
    return cache_root() / "machine-code"


def make_cache_root() -> Path:
    """Makes the folder of the cache where there is none, for its owner alone; returns it. Raises OSError when it cannot."""
    root = cache_root()
    root.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        root.mkdir(mode=0o700)
    return root


def make_code_folder() -> Path:
    """Makes the folder of machine code; returns it.

    Raises UntrustedFolderError when the cache folder is refused, OSError when it cannot be made.
    """
    _trust(make_cache_root())
    return _own(code_folder())


def make_entry_folder(key: str) -> Path:
    """Makes the folder of the entry with this content key; returns it. Raises what `make_code_folder` raises."""
    return _own(make_code_folder() / key)


def _own(folder: Path) -> Path:
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    _trust(folder)
    return folder


def refusal() -> str | None:
    """Why the cache folder as it is now may not be used, in a sentence; None when it may, or when there is none."""
    for folder in (cache_root(), code_folder()):
        try:
            _trust(folder)
        except FileNotFoundError:
            return None
        except UntrustedFolderError as error:
            return str(error)
    return None


def sign(path: Path, content: bytes) -> bytes:
    """What to write to `path`: `content` behind its signature. Makes the key when there is none that serves.

    path: a file in the folder that `make_entry_folder` made. Raises OSError when the key cannot be written.
    """
    key = _key() or _new_key()
    return _signature(key, path, content) + content


def verify(path: Path, signed: bytes) -> bytes:
    """The content of `path`, whose bytes are `signed`.

    Raises UnsignedFileError when the signature is not that of this folder's key, this place and this content, and
    UntrustedFolderError when others may write the folder.
    """
    for folder in (cache_root(), code_folder()):
        _trust(folder)
    signature, content = signed[:SIGNATURE_BYTES], signed[SIGNATURE_BYTES:]
    key = _key()
    if key is None or not hmac.compare_digest(signature, _signature(key, path, content)):
        raise UnsignedFileError(f"{path.name} does not bear the signature of {code_folder() / 'key'}")
    return content


def _signature(key: bytes, path: Path, content: bytes) -> bytes:
    place = f"{path.parent.name}/{path.name}".encode()  # a file that is put in another's place is not that one
    return hmac.digest(key, len(place).to_bytes(4, "big") + place + content, "sha256")


def _trust(folder: Path) -> None:
    """Refuses a folder that another user could have put something into. Raises FileNotFoundError when there is none."""
    state = folder.stat() if folder == cache_root() else folder.lstat()  # the root may be a link to another disk
    if not stat.S_ISDIR(state.st_mode):
        raise UntrustedFolderError(f"{folder} is no folder; remove it.")
    if state.st_uid != os.geteuid():
        raise UntrustedFolderError(f"{folder} belongs to user {state.st_uid}, not to you; name your own in STRATOQUANT_CACHE.")
    if state.st_mode & _OTHERS_WRITE:
        raise UntrustedFolderError(f"others may write {folder}, and what is in it is executed; run: chmod go-w {folder}")


def _key() -> bytes | None:
    """The key, when there is one of the right length that nobody else may read."""
    path = code_folder() / "key"
    try:
        state = path.lstat()
        if not stat.S_ISREG(state.st_mode) or state.st_uid != os.geteuid() or state.st_mode & _OTHERS:
            return None
        key = path.read_bytes()
    except OSError:
        return None
    return key if len(key) == KEY_BYTES else None


def _new_key() -> bytes:
    """Makes the key. Two processes that make it at the same moment get the same one."""
    path = code_folder() / "key"
    draft = path.with_name(f".key-{secrets.token_hex(8)}")
    try:
        draft.touch(mode=0o600, exist_ok=False)
        draft.write_bytes(secrets.token_bytes(KEY_BYTES))
        with suppress(FileNotFoundError):
            if _key() is None:
                path.unlink()  # of another length, or others could read it
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    key = _key()
    if key is None:
        raise OSError(f"{path} cannot be kept for its owner alone")
    return key
