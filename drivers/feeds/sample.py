"""The built-in sample market."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path
from typing import Final

from rich.progress import Progress

from dataflows.runtime.code_folder import cache_root, make_cache_root
from drivers.feeds.simulate import simulate

SAMPLE_EDGE: Final = 2.5
"""Strength of the edge that is planted in the built-in sample market: enough to be learned, and to pay, within two weeks."""


def sample_folder(seed: int) -> Path:
    """Where the built-in sample market of a seed is kept, once it is made."""
    return cache_root() / "samples" / f"{version('stratoquant')}-seed-{seed}-edge-{SAMPLE_EDGE}"


def sample_market(seed: int, progress: Progress) -> Path:
    """The built-in sample market of a seed: simulated once, then kept in the cache folder."""
    folder = sample_folder(seed)
    if not (folder / "dataset.yml").is_file():
        make_cache_root()
        folder.parent.mkdir(parents=True, exist_ok=True)
        task = progress.add_task("Simulating the sample market", total=1.0)
        try:
            simulate(folder, seed=seed, edge=SAMPLE_EDGE, progress=lambda done: progress.update(task, completed=done))
        except OSError:
            if not (folder / "dataset.yml").is_file():  # else another process has made the same market meanwhile
                raise
        progress.remove_task(task)
    return folder
