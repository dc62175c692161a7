"""Tasks for tests of executors, as any process can import them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any


def square(x: int) -> int:
    print("what a task prints is no answer")
    return x * x


def refuse(x: int) -> int:
    raise ValueError(f"{x} is\nrefused")


def sleep(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def die_once(marks: str) -> str:
    """Leaves a mark and dies; lives where one is there."""
    mark = Path(marks)
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


def die(_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def noted(argument: tuple[str, str, float]) -> str:
    """Notes that it was begun, waits, and returns its name."""
    folder, name, seconds = argument
    with (Path(folder) / name).open("a") as file:
        file.write(f"{os.getpid()}\n")
    time.sleep(seconds)
    return name


def alike() -> dict[str, str]:
    return {"numba": "1.2.3"}


def unlike() -> dict[str, str]:
    return {"numba": "1.2.3", "process": str(os.getpid())}
