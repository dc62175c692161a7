"""What tests of whole runs share."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def no_disk() -> Iterator[None]:
    """Nothing waits for the disk: what a process has handed to the system outlives it, and only a machine that dies needs more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fdatasync", lambda handle: None)
        patch.setattr(os, "fsync", lambda handle: None)
        yield
