"""Machine code that comes with an installed package, for one kind of processor, so that nothing has to be compiled.

It lies beside the package's Python files and is trusted like these: it is read where it belongs to the same user and nobody
else may write it. It is found by its content, like the code in the cache, so that it can be missing but never stale. It is used
on processors that have all that it was made for, and every file says its own digest. A build makes it when it is told to
(hatch_build.py).
"""

from __future__ import annotations

import functools
import hashlib
import stat
import warnings
from pathlib import Path
from typing import Any, Final

import llvmlite.binding

import dataflows

FOLDER: Final = Path(dataflows.__path__[0]) / "machine_code"
TARGET: Final = "x86-64-v3"
TRIPLE: Final = "x86_64-unknown-linux-gnu"
"""What the code is made for: 64-bit x86 with AVX2 and FMA (most since 2013), Linux."""
NEEDED: Final = frozenset(
    {"avx", "avx2", "bmi", "bmi2", "cx16", "f16c", "fma", "lzcnt", "movbe", "popcnt", "sahf"}
    | {"sse", "sse2", "sse3", "sse4.1", "sse4.2", "ssse3", "xsave"}
)
"""The features of TARGET, as LLVM names them (x86-64 psABI, level 3)."""
_OTHERS_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH
_DIGEST_BYTES: Final = hashlib.sha256().digest_size


def place_of(folder: Path, key: str, types: tuple[Any, ...]) -> Path:
    """Where the machine code of this content for arguments of these types lies, below `folder`."""
    return folder / f"{key}-{hashlib.sha256(str(types).encode()).hexdigest()[:16]}.code"


def read(key: str, types: tuple[Any, ...]) -> bytes | None:
    """What `write` has written; None where there is none, or where it is not for this machine.

    Raises ValueError where the file is damaged, or others may have written it.
    """
    path = place_of(FOLDER, key, types)
    if not usable() or not path.is_file():
        return None
    _trust(path)
    whole = path.read_bytes()
    digest, content = whole[:_DIGEST_BYTES], whole[_DIGEST_BYTES:]
    if hashlib.sha256(content).digest() != digest:
        raise ValueError(f"{path} is damaged; install the package again")
    return content


def write(folder: Path, key: str, types: tuple[Any, ...], content: bytes) -> None:
    """Writes machine code for a package; see `read`."""
    place_of(folder, key, types).write_bytes(hashlib.sha256(content).digest() + content)


@functools.cache
def usable() -> bool:
    """Whether this package brings machine code for this machine. Warns where others may write it."""
    if not FOLDER.is_dir() or llvmlite.binding.get_process_triple() != TRIPLE or not runs_here():
        return False
    try:
        _trust(FOLDER)
    except ValueError as error:
        warnings.warn(f"the machine code of the package is not used: {error}", RuntimeWarning, stacklevel=2)
        return False
    return True


def runs_here() -> bool:
    """Whether this processor has all that TARGET has."""
    try:
        features = llvmlite.binding.get_host_cpu_features()
    except RuntimeError:  # LLVM does not know this processor
        return False
    return NEEDED <= {name for name, there in features.items() if there}


def _trust(path: Path) -> None:
    """Refuses what somebody else than the owner of the package's own code could have put there."""
    own, state = Path(dataflows.__path__[0]).stat(), path.lstat()
    if stat.S_ISLNK(state.st_mode) or state.st_uid != own.st_uid or state.st_mode & _OTHERS_WRITE & ~own.st_mode:
        raise ValueError(f"{path} is not of the package's owner alone; install the package again")
