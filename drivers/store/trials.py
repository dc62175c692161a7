"""The ledger of trials: every run of a project on the same data is one more chance to look good by luck, so each is noted.

`trials.jsonl` has a line a run. It lies in the project's folder; of runs with the package's own files (and of runs whose
project is another run's results), in the folder that the results lie in. A line is written whole under a lock, so that runs
side by side lose none. The same settings, code and span on the same data give the same returns: such a run is no new trial,
though it is noted too.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import stat
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from drivers.files.json_values import json_values
from drivers.project.locate import Project, defaults

NAME: Final = "trials.jsonl"
_MAKES_A_TRIAL: Final = ("configuration_hash", "wiring_hash", "code", "spec", "symbols", "start", "end")
"""What of `run.json` decides a run's returns, the data aside."""


@dataclass(frozen=True)
class Trial:
    """A line of the ledger. trial: of equal runs the same. sharpe: of the daily returns, None where they did not differ. days:
    how many they are. settings: what was changed for it, to be read."""

    time: str
    run: str
    data_hash: str
    trial: str
    sharpe: float | None
    days: int
    settings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Trials:
    """What a ledger says of some data. runs: lines. different: trials among them. variance: of their Sharpe ratios (n - 1), a
    day's; None where fewer than two are known. damaged: lines of the whole ledger that could not be read. names: of the
    different trials."""

    path: Path
    runs: int = 0
    different: int = 0
    variance: float | None = None
    damaged: int = 0
    names: frozenset[str] = frozenset()

    def variance_for(self, days: int) -> float:
        """The variance that deflates a ratio of so many days: of the trials, or that of a worthless one where it is unknown."""
        return 1.0 / max(days - 1, 1) if self.variance is None else self.variance


def ledger_of(project: Project, out: Path | None) -> Path:
    """Where the runs of a project whose results go to `out` are noted. None: to a URL; they are noted in `runs/` below the
    current folder, with those that name no folder."""
    root = project.root.resolve()
    own = root != defaults().root.resolve() and not (root / "run.json").is_file()
    return (root if own else Path("runs").absolute() if out is None else out.absolute().parent) / NAME


def trial_id(about: Mapping[str, Any]) -> str:
    """Of a run's `run.json`: the same for runs whose returns on the same data must be the same."""
    made = json.dumps(json_values({name: about.get(name) for name in _MAKES_A_TRIAL}), sort_keys=True)
    return hashlib.sha256(made.encode()).hexdigest()[:24]


def note_trial(path: Path, trial: Trial) -> None:
    """Adds a line to a ledger, which is made where there is none. Raises OSError where it cannot be written."""
    line = json.dumps(json_values(asdict(trial)), allow_nan=False).encode() + b"\n"
    # A project may come from anybody: no link is followed, and no pipe is waited for.
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise FileExistsError(17, "is no regular file", str(path))
        fcntl.flock(handle, fcntl.LOCK_EX)
        size = os.fstat(handle).st_size
        torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"  # by a machine that died
        os.write(handle, b"\n" + line if torn else line)
    finally:
        os.close(handle)


def read_trials(path: Path, data_hash: str, own: str | None = None) -> Trials:
    """What a ledger says of some data. own: a trial that counts in any case, also where it was not noted.

    A ledger that is not there, or is no file, is empty.
    """
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    ratios: dict[str, float | None] = {} if own is None else {own: None}
    runs = damaged = 0
    for line in text.splitlines():
        try:
            about = json.loads(line)
            name, ratio = str(about["trial"]), about["sharpe"]
            ratio = None if ratio is None else float(ratio)
            same = about["data_hash"] == data_hash
        except (ValueError, KeyError, TypeError):
            damaged += bool(line.strip())
            continue
        if same:
            runs += 1
            ratios[name] = ratio
    known = [ratio for ratio in ratios.values() if ratio is not None]
    variance = statistics.variance(known) if len(known) > 1 else None
    return Trials(path, runs, len(ratios), variance, damaged, frozenset(ratios))
