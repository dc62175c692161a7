"""The tables of the decisions: how many came how far, what was refused and why, and what each source gave."""

from __future__ import annotations

import math

from dataflows.fusion.types import SOURCES
from drivers.report.cells import Cell, Table, number, word
from drivers.report.contents import RunReport
from drivers.report.decisions import Example
from drivers.report.text import count, in_unit, moment, percent, signed
from drivers.report.words import REASONS, REFUSALS, VERDICTS, in_words
from drivers.text.counts import plural


def funnel(report: RunReport) -> Table | None:
    """From every bar of every symbol to the fills."""
    decided = report.decisions
    if decided is None:
        return None
    let = decided.verdicts["APPROVED"] + decided.verdicts["REDUCED"]
    steps = [
        ("bars of a symbol", decided.cells),
        ("proposals with an edge", decided.with_edge),
        ("proposals that might enter", decided.may_enter),
        ("increases approved, in full or smaller", let),
        ("orders, stops and targets included", sum(report.book.orders.values())),
        ("fills", len(report.book.fills)),
    ]
    most = math.log1p(max(1, decided.cells))
    rows = [[word(name), number(count(n), n, share=math.log1p(n) / most)] for name, n in steps]
    caption = "From market to fills. The bars are logarithmic."
    return Table("funnel", caption, (("Step", False), ("Count", True)), rows)


def verdicts(report: RunReport) -> Table | None:
    """How often the risk gate said what."""
    decided = report.decisions
    if decided is None:
        return None
    rows = [
        [
            word(words),
            Cell(code, code, "code"),
            number(count(decided.verdicts[code]), decided.verdicts[code], share=decided.verdicts[code] / decided.cells),
            number(percent(decided.verdicts[code] / decided.cells), decided.verdicts[code]),
        ]
        for code, words in VERDICTS.items()
    ]
    columns = (("Verdict", False), ("Code", False), ("Bars", True), ("Share", True))
    return Table("verdicts", "What the risk gate (L4) said, over every bar of every symbol.", columns, rows)


def refusals(report: RunReport) -> Table | None:
    """Why proposals might not enter."""
    decided = report.decisions
    if decided is None or not decided.refusals:
        return None
    rows = [
        [
            word(in_words(name, REFUSALS)),
            Cell(name, name, "code"),
            number(count(n), n, share=n / decided.refused),
            number(percent(n / decided.refused, 1), n / decided.refused),
            Cell(_example(report, decided.refusal_examples.get(name)), tone="example"),
        ]
        for name, n in decided.refusals.most_common()
    ]
    columns = (("Because", False), ("Code", False), ("Bars", True), ("Share", True), ("The largest edge refused", False))
    caption = (
        f"Why {plural(decided.refused, 'proposal')} with an edge might not enter (L3). A proposal can have several reasons, so "
        "the shares can add up to more than 100 %."
    )
    return Table("refusals", caption, columns, rows)


def gate(report: RunReport) -> Table | None:
    """The risk gate's reasons by verdict."""
    decided = report.decisions
    if decided is None or not decided.reasons:
        return None
    verdicts = [v for v in VERDICTS if v != "HOLD" and any(by[v] for by in decided.reasons.values())]
    whole = {v: decided.verdicts[v] for v in verdicts}
    rows = []
    for name, by in sorted(decided.reasons.items(), key=lambda item: (-sum(item[1].values()), item[0])):
        main = max(verdicts, key=lambda v: by[v])
        rows.append(
            [
                word(in_words(name, REASONS)),
                Cell(name, name, "code"),
                *(_times(by[v], whole[v]) for v in verdicts),
                Cell(_example(report, decided.reason_examples.get((name, main))), tone="example"),
            ]
        )
    columns = (
        ("Because", False),
        ("Code", False),
        *((f"{in_words(v, VERDICTS)} ({count(whole[v])})", True) for v in verdicts),
        ("The case with the largest edge", False),
    )
    caption = "The risk gate (L4): bars of a symbol by verdict and reason. A verdict can have several reasons."
    return Table("gate", caption, columns, rows)


def _times(n: int, whole: int) -> Cell:
    return number(count(n), n, share=n / whole) if n else number("", 0)


def _example(report: RunReport, example: Example | None) -> str:
    if example is None:
        return ""
    edge = f", edge {in_unit(example.edge_bps, 'bps', sign=True)}" if math.isfinite(example.edge_bps) else ""
    score = f", score {signed(example.score)}" if math.isfinite(example.score) else ""
    return f"{example.symbol} {moment(example.time, seconds=report.seconds)}, {example.side.lower()}{score}{edge}"


def sources(report: RunReport) -> Table | None:
    """What each source gave."""
    found = report.contribution
    if found is None:
        return None
    largest = max((abs(s.profit) for s in found.sources), default=0.0)
    rows = [
        [
            word(s.name),
            number(percent(s.share, 1), s.share, share=s.share),
            number(percent(s.share_of_entries, 1), s.share_of_entries, share=s.share_of_entries),
            number(percent(s.with_trade, 1), s.with_trade),
            number(signed(s.profit), s.profit, toned=True, share=abs(s.profit) / largest if largest else None),
            number(signed(s.correlation, 3), s.correlation),
        ]
        for s in found.sources
        if s.share > 0.0 or s.name in SOURCES  # a belief that is not stated is no row
    ]
    rows.append(
        [
            word("the score"),
            number("", None), number("", None), number("", None),
            number(signed(sum(s.profit for s in found.sources)), sum(s.profit for s in found.sources), toned=True),
            number(signed(found.score_correlation, 3), found.score_correlation),
        ]
    )  # fmt: skip
    names = (
        "Source", "Share of the edge", "… at entries", "Spoke for the trade", "Profit by share",
        f"Rank correlation, next {found.horizon} bars",
    )  # fmt: skip
    return Table("sources", "What each source gave.", [(n, i > 0) for i, n in enumerate(names)], rows)
