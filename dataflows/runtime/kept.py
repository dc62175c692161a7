"""What takes long to find out about the code, kept in the cache under the code that it was found out about.

It lies beside the machine code, and is signed like it (code_folder.py). A cache that cannot be written or is not trusted costs
the time, not the run.
"""

from __future__ import annotations

import functools
import hashlib
import json
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import dataflows
from dataflows.runtime.code_folder import UnsignedFileError, UntrustedFolderError, code_folder, make_entry_folder, sign, verify

_FILE: Final = "facts.json"


class Notes:
    """Many small facts that are found out one by one, and kept together: `keep` says when.

    about: what they all follow from, asked for at the first fact.
    """

    def __init__(self, about: Callable[[], str]) -> None:
        self._about, self._new = about, False

    @functools.cached_property
    def _known(self) -> dict[str, Any]:
        found: dict[str, Any] = read(self._about()) or {}
        return found

    def get(self, name: str, make: Callable[[], Any]) -> Any:
        """The fact of this name, as JSON has it; made where nobody has noted it."""
        if name not in self._known:
            self._known[name], self._new = make(), True
        return self._known[name]

    def keep(self) -> None:
        """Writes what is new."""
        if self._new:
            write(self._about(), self._known)
            self._new = False


def kept(about: str, make: Callable[[], Any]) -> Any:
    """What `make` gives, as JSON has it; taken from the cache where it was made before.

    about: everything that it follows from: the code (`sources`), the versions of libraries, what was asked.
    """
    found = read(about)
    if found is None:
        found = make()
        write(about, found)
    return found


def read(about: str) -> Any:
    """What was kept; None where nothing was, or where it cannot be trusted."""
    path = _place(about)
    with suppress(OSError, UntrustedFolderError, UnsignedFileError):
        return json.loads(verify(path, path.read_bytes()))
    return None


def write(about: str, made: Any) -> None:
    """Keeps it, where the cache takes it."""
    path = _place(about)
    with suppress(OSError, UntrustedFolderError):
        make_entry_folder(path.parent.name)
        draft = path.with_name(f".{_FILE}-{secrets.token_hex(8)}")
        draft.write_bytes(sign(path, json.dumps(made).encode()))
        draft.replace(path)


def _place(about: str) -> Path:
    return code_folder() / hashlib.sha256(about.encode()).hexdigest()[:24] / _FILE


@functools.cache
def sources() -> str:
    """A digest of all Python files of this package. Taken once: a process does not change its code."""
    digest = hashlib.sha256()
    for root in map(Path, dataflows.__path__):
        for path in sorted(root.rglob("*.py")):
            content = path.read_bytes()
            digest.update(f"{path.relative_to(root)} {len(content)} ".encode())
            digest.update(content)
    return digest.hexdigest()
