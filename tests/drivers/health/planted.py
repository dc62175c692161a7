"""Checks asked one at a time, and projects with something wrong in them."""

from __future__ import annotations

import importlib
import shutil
from pathlib import Path

from drivers.health.context import Context
from drivers.health.registry import CHECKS, Found
from drivers.health.runner import SUBJECTS
from drivers.project.locate import defaults

for _subject in SUBJECTS:
    importlib.import_module(f"drivers.health.{_subject}")


def found(name: str, context: Context | None = None) -> list[Found]:
    """What one check finds."""
    return list(CHECKS[name].run(context or Context()))


def wrong(name: str, context: Context | None = None) -> list[tuple[str, str]]:
    """Status and sentence of what is not ok; each says what to do."""
    not_ok = [f for f in found(name, context) if f.status != "ok"]
    assert all(f.advice.strip() for f in not_ok)
    return [(f.status, f.detail) for f in not_ok]


def project(folder: Path) -> Path:
    """A project of the user's own: a copy of the shipped one."""
    own = defaults()
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(own.wiring, folder / own.wiring.name)
    shutil.copytree(own.config, folder / "config")
    shutil.copytree(own.specs, folder / "specs")
    return folder
