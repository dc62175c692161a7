"""Room on the disks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from drivers.health.context import Context
from drivers.health.registry import Found, check, fail, ok, warn

MB: Final = 10**6
RESULTS: Final = (200 * MB, 2_000 * MB)
"""Free bytes for results: below the first no run can be kept; below the second one of many bars and symbols may not."""
CACHE: Final = (50 * MB, 500 * MB)
"""The same for the cache: about 10 MB of machine code for each version of the code, and 30 MB a sample market."""


def standing(folder: Path) -> Path:
    """The folder itself, or the nearest above it that exists."""
    return next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())


@check("disk")
def disk(context: Context) -> Iterator[Found]:
    """Room for results and for machine code."""
    from dataflows.runtime.code_folder import cache_root

    for what, folder, (least, enough) in (("results", context.results, RESULTS), ("the cache", cache_root(), CACHE)):
        free = shutil.disk_usage(standing(folder)).free
        detail = f"{free / 1e9:.1f} GB are free for {what} in {folder}"
        if free < least:
            yield fail(f"{detail}, less than {least / MB:.0f} MB.", f"Make room there, or {_elsewhere(what)}.")
        elif free < enough:
            yield warn(
                f"{detail}, less than {enough / MB:.0f} MB.", f"Make room there before a long run, or {_elsewhere(what)}."
            )
        else:
            yield ok(f"{detail}.")


def _elsewhere(what: str) -> str:
    return "name another folder with --out" if what == "results" else "set STRATOQUANT_CACHE to a folder on another disk"
