"""`history.jsonl`: the figures of every `make bench` that was kept, a line each, and what has changed since the last one."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

HISTORY: Final = Path(__file__).with_name("history.jsonl")
BUSY: Final = 0.5
"""Processes for each core in the minute before: from so many on, times are not those of a quiet machine."""

Figures = Mapping[str, Mapping[str, float]]


def load_now() -> float:
    """Processes that run or wait for each core, on average over the last minute."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)


def about(load: float) -> dict[str, Any]:
    """Version, machine and time of figures that are measured now. load: before the first was."""
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=HISTORY.parent, capture_output=True, text=True)
    return {
        "version": version("stratoquant"),
        "commit": found.stdout.strip(),
        "time": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": machine(),
        "load": round(load, 2),
        "busy": load > BUSY,
    }


def machine() -> dict[str, Any]:
    """What figures are compared on: processor, cores, Python."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
    return {"processor": model, "cores": os.cpu_count(), "python": platform.python_version()}


def last(path: Path, where: Mapping[str, Any]) -> dict[str, Any] | None:
    """The newest line of this machine; None where there is none."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    kept = [json.loads(line) for line in lines]
    return next((entry for entry in reversed(kept) if entry["machine"] == dict(where)), None)


def keep(path: Path, entry: Mapping[str, Any]) -> None:
    """Adds a line."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")


def change(before: Figures, now: Figures) -> list[str]:
    """A line for each figure that both have: what it was, what it is, and the ratio."""
    lines = []
    for case, figures in now.items():
        for name, value in figures.items():
            old = before.get(case, {}).get(name)
            if old is not None and old == old and value == value:
                ratio = f"{value / old:.2f} x" if old else ""
                lines.append(f"{case}, {name.replace('_', ' ')}: {old:,.2f} -> {value:,.2f}  {ratio}".rstrip())
    return lines
