"""What the bits of a result depend on beside its inputs: versions, source, processor."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
from importlib.metadata import version
from pathlib import Path

import llvmlite.binding as llvm

from drivers.run.provenance import versions

PACKAGE = Path(__file__).parents[2]


@functools.cache
def machine() -> dict[str, str]:
    """By name; two processes whose values are equal give the same bits."""
    features = os.environ.get("NUMBA_CPU_FEATURES") or llvm.get_host_cpu_features().flatten()
    return {
        **versions(),
        "llvmlite": version("llvmlite"),
        "source": source(),
        "machine": platform.machine(),
        "processor": os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name(),
        "processor features": hashlib.sha256(features.encode()).hexdigest()[:12],
    }


@functools.cache
def source() -> str:
    """A digest of the package's own code."""
    digest = hashlib.sha256()
    for folder in ("dataflows", "drivers"):
        for path in sorted((PACKAGE / folder).rglob("*.py")):
            digest.update(f"{path.relative_to(PACKAGE)} ".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
