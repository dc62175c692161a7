"""What is odd with a folder as a short list: what, whose, how often, where first, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from drivers.feeds.check import QualityReport
from drivers.feeds.outliers import OUTLIER_K
from drivers.feeds.quality.measure import FROZEN_BARS, MEASURES, Picture
from drivers.text.times import duration, utc

_ADVICE: Final = {
    "missing": "Fetch the span again; where the venue was down or nothing traded, leave it: the bars stay unknown.",
    "outliers": f"Compare with another source: a return beyond {OUTLIER_K:g} robust deviations of its day may be a bad tick.",
    "frozen": f"No move for {FROZEN_BARS} bars or more: a halt, a dead feed, or a market too thin for this clock.",
    "crossed": "Best bid at or above best ask at the close: kept, and layers that read the book give unknown there.",
    "no book": "The last snapshot is old (a minute and a bar): fetch the span again; layers that read the book give unknown.",
    "repeated": "The same row again: dropped; nothing to do.",
}
_NAMED: Final = 6


@dataclass(frozen=True)
class QualityFinding:
    """One line. where: symbols and how often each, the most frequent first. grave: a run would refuse the data."""

    what: str
    where: str
    count: int
    first: str
    advice: str
    grave: bool = False


def findings(report: QualityReport, picture: Picture | None) -> Sequence[QualityFinding]:
    """The faults for which a run refuses the data, then what is odd, a line each kind."""
    grave = [QualityFinding(f.kind, "", f.count, "", f.sentence, grave=True) for f in report.faults]
    odd = []
    for what in MEASURES if picture is not None else ():
        assert picture is not None
        counts = {s.symbol: int(s.counts[what].sum()) for s in picture.symbols if what in s.first}
        if counts:
            first = min((s.first[what], s.symbol) for s in picture.symbols if what in s.first)
            longest = _longest(report) if what == "missing" else ""
            advice = f"{longest}{_ADVICE[what]}"
            odd.append(QualityFinding(what, _where(counts), sum(counts.values()), f"{utc(first[0])} {first[1]}", advice))
    repeated = {q.symbol: q.duplicates for q in report.symbols if q.duplicates}
    if repeated:
        odd.append(QualityFinding("repeated", _where(repeated), sum(repeated.values()), "", _ADVICE["repeated"]))
    return [*grave, *odd]


def verdict(report: QualityReport) -> str:
    """One sentence."""
    if not report.ok:
        return "A run would refuse these data until what is marked as a fault is put right."
    missing = sum(s.missing for s in report.symbols)
    whole = sum(s.bars for s in report.symbols) + missing
    if not missing:
        return "A run takes these data; no bar is missing."
    return f"A run takes these data. {missing:,} of {whole:,} bars ({missing / whole:.2%}) are missing."


def length(picture: Picture) -> str:
    """The clock, and the span that is one cell of the picture."""
    return f"{duration(picture.step)} bars by {picture.unit}"


def _where(counts: dict[str, int]) -> str:
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{name} {count:,}" for name, count in most[:_NAMED])
    return f"{shown} and {len(most) - _NAMED} more" if len(most) > _NAMED else shown


def _longest(report: QualityReport) -> str:
    """The longest gap of all."""
    gaps = [s for s in report.symbols if s.gaps]
    if not gaps:
        return ""
    worst = max(gaps, key=lambda s: s.longest_gap_ns)
    return f"The longest gap is {worst.longest_gap} of {worst.symbol} from {worst.longest_gap_at}. "
