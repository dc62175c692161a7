"""The picture as a page: `data_check.html.j2` with the figures of `measure`."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from drivers.feeds.check import QualityReport
from drivers.feeds.quality.findings import findings, length, verdict
from drivers.feeds.quality.measure import MEASURES, Picture
from drivers.text.times import utc
from drivers.web.page import render_page

_MS: Final = 1_000_000
_ABOUT: Final = {
    "missing": "bars that are not there between the first and the last of their symbol",
    "outliers": "returns far beyond those of their day",
    "frozen": "bars among thirty or more with the same close",
    "crossed": "closes at which the best bid is at or above the best ask",
    "no book": "closes whose last snapshot is old",
}


def quality_page(report: QualityReport, picture: Picture | None) -> str:
    """A self-contained page. picture: None where the folder could not be read; then the page says why."""
    measures = [m for m in MEASURES if picture is not None and (picture.has_book or m not in ("crossed", "no book"))]
    return render_page(
        "data_check.html.j2",
        title=f"Market data: {report.path.name}",
        description=f"Quality of the market data in {report.path.name}",
        scripts=("echarts.min.js", "data_check.js"),
        styles=("data_check.css",),
        data=_data(picture, measures) if picture is not None else {"symbols": []},
        report=report,
        verdict=verdict(report),
        findings=findings(report, picture),
        picture=picture,
        measures=[(m, _ABOUT[m]) for m in measures],
        totals={m: sum(int(s.counts[m].sum()) for s in picture.symbols) for m in measures} if picture is not None else {},
        length=length(picture) if picture is not None else "",
        spans=_spans(picture, measures) if picture is not None else [],
    )


def _data(picture: Picture, measures: list[str]) -> dict[str, Any]:
    """What the scripts draw. Prices carry six digits: a line of a few hundred points shows no more."""
    return {
        "width": picture.width // _MS,
        "unit": picture.unit,
        "starts": picture.starts // _MS,
        "times": picture.point_times // _MS,
        "measures": measures,
        "spreadEdges": _digits(picture.spread_edges * 1e4),
        "symbols": [
            {
                "name": s.symbol,
                "expected": s.expected,
                # only the cells that are not empty: [span, count]
                "counts": {m: np.stack([np.flatnonzero(s.counts[m]), s.counts[m][s.counts[m] > 0]], axis=1) for m in measures},
                "close": _digits(s.close),
                "low": _digits(s.low),
                "high": _digits(s.high),
                "volume": _digits(s.volume),
                "spread": s.spread_counts,
                "quantiles": _digits(s.spread_quantiles * 1e4),
            }
            for s in picture.symbols
        ],
    }


def _digits(values: Any) -> list[float]:
    return [float(f"{x:.6g}") for x in np.asarray(values, np.float64).tolist()]


def _spans(picture: Picture, measures: list[str]) -> list[tuple[str, str, list[int]]]:
    """The table beside the heat map: (symbol, start, a count for each measure) of the spans in which something is odd."""
    rows: list[tuple[str, str, list[int]]] = []
    for s in picture.symbols:
        counts = np.stack([s.counts[m] for m in measures])
        spans = np.flatnonzero(counts.any(axis=0))[:200].tolist()
        rows += [(s.symbol, utc(int(picture.starts[k])), counts[:, k].tolist()) for k in spans]
    return rows[:1000]
