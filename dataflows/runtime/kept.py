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


def kept(about: str, make: Callable[[], Any]) -> Any:
    """What `make` gives, as JSON has it; taken from the cache where it was made before.

    about: everything that it follows from: the code (`sources`), the versions of libraries, what was asked.
    """
    key = hashlib.sha256(about.encode()).hexdigest()[:24]
    path = code_folder() / key / _FILE
    with suppress(OSError, UntrustedFolderError, UnsignedFileError):
        return json.loads(verify(path, path.read_bytes()))
    made = make()
    with suppress(OSError, UntrustedFolderError):
        make_entry_folder(key)
        draft = path.with_name(f".{_FILE}-{secrets.token_hex(8)}")
        draft.write_bytes(sign(path, json.dumps(made).encode()))
        draft.replace(path)
    return made


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
