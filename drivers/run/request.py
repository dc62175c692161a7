"""What a command asks of a driver: `stratoquant run` and `stream` in one value, so that a program can ask the same."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from drivers.feeds.source import Source, Url
from drivers.store.kept import Features, usual

Speed = Literal["max", "realtime"]
Mode = Literal["paper", "testnet", "live"]


@dataclass(frozen=True)
class RunRequest:
    """One run: over which data, with which configuration, to where.

    data: a folder of market data (docs: "Market data on disk"), or a partitioned data set, a folder or
    a URL; None is the built-in sample market. out: the folder of the
    results; None is `runs/<time of the start>` below the current folder. url: of a batch, where the results go instead when
    they are whole. symbols: names to take, in any order; None: all.
    start, end: UTC ns; the bars whose close lies in (start, end]. overrides: `domain.key=value`, as typed after --set.
    spec: name or path of a machine spec to run with, without applying it. project: the folder with config/, specs/ and
    wiring_master.yaml. overwrite: replace the results that are in `out`. speed: of a stream. checkpoint: the file that a
    stream goes on from, and leaves behind. seed: of the built-in sample market. report: write report.html with the results.
    operator_file: operator commands for a stream. stale_after: seconds without data after which a stream is halted. venue: a
    stream's live market, a file of config/venues that names an exchange; mode: where its orders go: to the simulated venue, to
    the exchange's test net, or to the exchange, for which yes_live must be said too; live_from: UTC ns at which the stream was
    started, what closes before is its history, in which nothing is entered; clock: the length of its bars; warm: the length of
    that history, as `14d`, None: what the configuration needs; warm_from: a fetched folder that has it; record:
    a folder for its raw frames; frames: such a folder, to be streamed once more. journaled: a stream keeps a journal beside its
    results. resume: complete the stream that left `<out>.partial`. features: which of the layers' values the results keep,
    None: as drivers/store/kept.py says.
    durable: wait until the results are on the disk; not where they are read and dropped.
    trial: note the run in the project's ledger of trials. adapters: Hamilton's lifecycle adapters, told of a
    batch day by day.
    """

    data: Source | None = None
    out: Path | None = None
    url: Url | None = None
    symbols: tuple[str, ...] | None = None
    start: int | None = None
    end: int | None = None
    overrides: tuple[str, ...] = ()
    spec: str | None = None
    project: Path | None = None
    overwrite: bool = False
    speed: Speed = "max"
    checkpoint: Path | None = None
    seed: int = 1
    report: bool = True
    operator_file: Path | None = None
    stale_after: float | None = None
    venue: str | None = None
    mode: Mode = "paper"
    yes_live: bool = False
    live_from: int | None = None
    clock: str | None = None
    warm: str | None = None
    warm_from: Path | None = None
    record: Path | None = None
    frames: Path | None = None
    journaled: bool = True
    features: Features | None = None
    resume: bool = False
    durable: bool = True
    trial: bool = True
    adapters: tuple[Any, ...] = ()

    @property
    def keeps(self) -> Features:
        """Which of the layers' values are kept, in a stream where nobody said it."""
        return self.features or usual(None)

    @property
    def is_sample(self) -> bool:
        """Whether it runs over the built-in sample market."""
        return self.data is None and self.venue is None and self.frames is None
