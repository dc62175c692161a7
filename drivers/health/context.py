"""What the checks are asked with, and what they share: read or made once, when the first of them needs it."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from drivers.text.times import parse_duration

if TYPE_CHECKING:
    from drivers.engine.engine import Engine
    from drivers.engine.plan import Plan
    from drivers.feeds.check import QualityReport
    from drivers.graph.wiring import Wiring
    from drivers.project.configs import Configs
    from drivers.project.locate import Project


def _silent(doing: str) -> None:
    """Nobody is told what is being done."""


class AgeError(ValueError):
    """--max-age is not written as an age. The message says how it is."""


def parse_age(text: str, step: int) -> int:
    """Nanoseconds of `90m`, `2h` or `1d`, or of `5bars` of `step` nanoseconds. Raises AgeError."""
    given = "".join(text.split())
    bars = re.fullmatch(r"([1-9]\d*)bars?", given)
    try:
        return int(bars[1]) * step if bars is not None else parse_duration(given)
    except ValueError:
        raise AgeError(f"{text!r} is not an age; write a number and s, m, h, d or bars, as 90m or 5bars") from None


@dataclass
class Context:
    """The options of a health check. A shared value that cannot be had raises in every check that needs it.

    folder: the project's, as --project gives it. data: the market-data folders. max_age: as typed (`2h`, `5bars`); None: the
    data are a recording. results: where `run` puts its folders. now: UTC ns. say: told what a long check is doing.
    """

    folder: Path | None = None
    data: tuple[Path, ...] = ()
    max_age: str | None = None
    results: Path = field(default_factory=lambda: Path.cwd() / "runs")
    now: int | None = None
    say: Callable[[str], None] = _silent

    @functools.cached_property
    def project(self) -> Project:
        """The project's files."""
        from drivers.project.locate import locate

        return locate(self.folder)

    @functools.cached_property
    def wiring(self) -> Wiring:
        """The wiring file."""
        from drivers.graph.wiring import load

        return load(self.project.wiring)

    @functools.cached_property
    def configs(self) -> Configs:
        """The configuration of every domain."""
        from drivers.project.configs import load_configs

        return load_configs(self.project)

    @functools.cached_property
    def plan(self) -> Plan:
        """The plan of the enabled layers."""
        from drivers.engine.building import make_plan

        return make_plan(self.wiring, self.configs, self.project)

    def blank_engine(self) -> Engine:
        """An engine of one symbol of which nothing is known, with its guards."""
        from dataflows.data.types import unknown_instruments
        from drivers.engine.building import boundaries, make_engine

        models, epoch_ns = boundaries(self.wiring), self.wiring.epoch_ns
        return make_engine(self.plan, ("A",), unknown_instruments(1), models=models, epoch_ns=epoch_ns)

    @functools.cached_property
    def folders(self) -> tuple[Path, ...]:
        """The market-data folders to look into: those named, else the sample market where it has been made."""
        if self.data:
            return self.data
        sample = self.sample
        return (sample,) if (sample / "dataset.yml").is_file() else ()

    @property
    def sample(self) -> Path:
        """Where the built-in sample market is, or will be."""
        from drivers.feeds.sample import sample_folder
        from drivers.run.request import RunRequest

        return sample_folder(RunRequest.seed)

    def named(self, folder: Path) -> str:
        """A market-data folder, as findings call it."""
        return folder.name if self.data else "The sample market"

    @functools.cached_property
    def reports(self) -> dict[Path, QualityReport]:
        """What `data check` says of each folder that exists."""
        from drivers.feeds.check import check_dataset

        found = {}
        for folder in self.folders:
            if folder.is_dir():
                self.say(f"Reading {folder.name}")
                found[folder] = check_dataset(folder, now=self.now)
        return found
