"""What was proposed, approved, reduced and refused, and why."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa

from dataflows.panel import Ints
from drivers.report.scan import holds
from drivers.store.reader import RecordedRun

_NAMES: Final = ("symbol", "side", "verdict", "reasons", "refusal")
_NUMBERS: Final = ("may_enter", "score", "edge_bps", "target_weight")
_TOLD: Final = ("SHORT", "FLAT", "LONG")


@dataclass(frozen=True)
class Example:
    """One bar and symbol of a kind: the one with the largest |edge|, else the first."""

    time: int  # UTC ns
    symbol: str
    side: str
    score: float
    edge_bps: float


@dataclass
class Decisions:
    """Counts over every bar of every symbol. reasons: of the risk gate, by reason and verdict. refusals: of proposals."""

    cells: int = 0
    with_edge: int = 0
    may_enter: int = 0
    verdicts: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, Counter[str]] = field(default_factory=dict)
    refusals: Counter[str] = field(default_factory=Counter)
    refusal_examples: dict[str, Example] = field(default_factory=dict)
    reason_examples: dict[tuple[str, str], Example] = field(default_factory=dict)  # (reason, verdict)

    @property
    def refused(self) -> int:
        """Proposals with an edge that may not enter."""
        return self.with_edge - self.may_enter


def read_decisions(run: RecordedRun, bars: int) -> Decisions | None:
    """The decisions of a run; None where there are none recorded."""
    if not holds(run, "decisions", ("timestamp", *_NAMES, *_NUMBERS)):
        return None
    made = Decisions(cells=bars * len(run.symbols))
    rows = 0
    for table in run.groups("decisions", ("timestamp", *_NAMES, *_NUMBERS)):
        rows += table.num_rows
        if table.num_rows:
            _take(made, table)
    made.verdicts["HOLD"] += made.cells - rows  # bars with neither a proposal nor an approval are not written
    return made


def _take(made: Decisions, table: pa.Table) -> None:
    codes = {name: coded(table[name]) for name in _NAMES}
    number: dict[str, Any] = {name: table[name].to_numpy() for name in _NUMBERS}
    stamp = table["timestamp"].cast(pa.int64()).to_numpy()
    side, sides = codes["side"]
    refusal, masks = codes["refusal"]
    weighed = np.isin(side, [i for i, name in enumerate(sides) if name in _TOLD])
    weighed &= ~np.isin(refusal, [i for i, mask in enumerate(masks) if "NO_SIGNAL" in mask.split("|")])
    may = weighed & (number["may_enter"] == 1)
    made.with_edge += int(np.count_nonzero(weighed))
    made.may_enter += int(np.count_nonzero(may))

    def example(mask: Any) -> Example:
        rows = np.flatnonzero(mask)
        size = np.nan_to_num(np.abs(number["edge_bps"][rows]), nan=-1.0)
        i = int(rows[int(np.argmax(size))])
        symbol, symbols = codes["symbol"]
        return Example(
            int(stamp[i]), symbols[symbol[i]], sides[side[i]], float(number["score"][i]), float(number["edge_bps"][i])
        )

    for code, n in _counted(refusal[weighed & ~may]):
        found = example(weighed & ~may & (refusal == code)) if masks[code] else None
        for name in filter(None, masks[code].split("|")):
            made.refusals[name] += n
            if found is not None:
                made.refusal_examples[name] = _stronger(made.refusal_examples.get(name), found)
    verdict, verdicts = codes["verdict"]
    reason, sets = codes["reasons"]
    for v, n in _counted(verdict):
        made.verdicts[verdicts[v]] += n
        if verdicts[v] == "HOLD":
            continue
        for code, times in _counted(reason[verdict == v]):
            found = example((verdict == v) & (reason == code))
            for name in filter(None, sets[code].split("|")):
                made.reasons.setdefault(name, Counter())[verdicts[v]] += times
                key = (name, verdicts[v])
                made.reason_examples[key] = _stronger(made.reason_examples.get(key), found)


def _stronger(known: Example | None, found: Example) -> Example:
    def size(e: Example) -> float:
        return abs(e.edge_bps) if math.isfinite(e.edge_bps) else -1.0

    return found if known is None or size(found) > size(known) else known


def _counted(codes: Ints) -> list[tuple[int, int]]:
    counts = np.bincount(codes) if len(codes) else np.zeros(0, np.int64)
    return [(int(i), int(counts[i])) for i in np.flatnonzero(counts)]


def coded(column: pa.ChunkedArray) -> tuple[Ints, list[str]]:
    """(codes, names) of a column of names."""
    whole = column.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):  # of an empty column
        whole = whole.chunk(0) if whole.num_chunks else pa.array([], column.type)
    if not isinstance(whole, pa.DictionaryArray):
        whole = whole.dictionary_encode()
    codes: Ints = whole.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return codes, [name or "" for name in whole.dictionary.to_pylist()]
