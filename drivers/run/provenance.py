"""What a result depends on: versions and digests."""

from __future__ import annotations

import hashlib
import json
import platform
from importlib.metadata import version
from typing import Any


def versions() -> dict[str, str]:
    """Of what the numbers depend on."""
    packages = ("stratoquant", "numpy", "numba", "pandas", "pandera", "apache-hamilton", "pyarrow")
    return {"python": platform.python_version(), **{name: version(name) for name in packages}}


def digest(value: Any) -> str:
    """SHA-256 of a JSON value, keys sorted."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
