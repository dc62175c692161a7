"""What a run learned, as data and for the terminal."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

from rich.console import Group
from rich.table import Table
from rich.text import Text

from dataflows.fusion.types import EDGE_PARTS, SOURCES
from dataflows.meta.types import DOMAINS, FIRST_DOMAIN, FIRST_REGIME, FIRST_VOTE, SCORE, TIMEFRAMES
from dataflows.panel import Floats
from dataflows.pattern.types import PATTERNS
from dataflows.regime.types import REGIMES
from drivers.adapt.changes import (
    THRESHOLDS,
    Change,
    all_changes,
    automatic,
    bound_of_luck,
    in_words,
    pattern_name,
    thresholds_of,
)
from drivers.adapt.record import L6, L65, PARTS, Record, Snapshot

FIGURES: Final = (
    "mean_return_bps", "sharpe", "hit_rate", "drawdown_bps", "turnover", "cost_bps", "stability",
)  # fmt: skip
"""Of a track record: an epoch's mean return, Sharpe ratio a year, share of epochs that gained, deepest fall, notional traded
and its cost an epoch, R^2 of the summed return on time."""
HEADS: Final = ("return bps", "Sharpe", "win rate", "drawdown bps", "turnover", "cost bps", "stability")
GROUPS: Final = (
    ("by source", 0, SOURCES),
    ("by pattern", FIRST_VOTE, tuple(pattern_name(p) for p in range(PATTERNS))),
    ("by timeframe", SCORE, ("the score", *TIMEFRAMES)),
    ("by domain", FIRST_DOMAIN, DOMAINS),
    ("by regime", FIRST_REGIME, tuple(f"the score in {name}" for name in REGIMES)),
)
"""The paper accounts: title, first row among TRACKED, names."""
SHOWN: Final = 20
"""Changes that are printed: the last ones."""


def as_data(record: Record) -> dict[str, Any]:
    """Everything that `adapt show` knows, as plain values; NaN where something is not known."""
    held = record.snapshot(len(record))
    return {
        "run": record.name,
        "epochs": len(record),
        "times": [record.day(e + 1) for e in range(len(record))],
        "automatic": {part: automatic(record, part) for part in PARTS},
        "in_force": _snapshot(record, held),
        "advised": _snapshot(record, record.advised()),
        "evidence": _evidence(record),
        "in_words": in_words(record),
        "paper": {title: dict(rows) for title, rows in paper(record)},
        "account": account(record),
        "changes": [{**change._asdict(), "time": record.day(change.epoch)} for change in all_changes(record)],
    }


def _snapshot(record: Record, held: Snapshot) -> dict[str, Any]:
    return {
        "source_weights": {
            r: dict(zip(SOURCES, row.tolist(), strict=True)) for r, row in zip(REGIMES, held.weights, strict=True)
        },
        "pattern_weights": {pattern_name(p): w for p, w in enumerate(held.patterns.tolist())},
        "thresholds": dict(zip(THRESHOLDS, thresholds_of(record, held).tolist(), strict=True)),
    }


def _evidence(record: Record) -> dict[str, dict[str, float]]:
    if not len(record):
        return {}
    names = ("pooled_weight", "log_wealth", "peak_log_wealth")
    weight, wealth, peak = (record.of(f"{L6}.evidence.{name}")[-1] for name in names)
    return {
        name: {
            "weight": float(weight[k]),
            "wealth": math.exp(wealth[k]),
            "highest_wealth": math.exp(peak[k]),
            "chance_of_luck_at_most": bound_of_luck(float(peak[k])),
        }
        for k, name in enumerate(SOURCES)
    }


def paper(record: Record) -> Iterator[tuple[str, list[tuple[str, dict[str, float]]]]]:
    """The paper accounts after the last epoch: title, and each one's figures."""
    if not len(record):
        return
    figures = {name: record.of(f"{L6}.paper.{name}")[-1] for name in FIGURES}
    for title, first, names in GROUPS:
        yield title, [(name, {f: float(x[first + i]) for f, x in figures.items()}) for i, name in enumerate(names)]
    own = {name: record.of(f"{L6}.by_symbol.{name}")[-1] for name in FIGURES}
    yield "by symbol", [(name, {f: float(x[n]) for f, x in own.items()}) for n, name in enumerate(record.run.symbols)]


def account(record: Record) -> dict[str, Any]:
    """What the account really made: its own track record, and profit by source and by symbol since the start."""
    if not len(record):
        return {}
    return {
        "figures": {name: float(record.of(f"{L6}.realised.{name}")[-1]) for name in FIGURES},
        **{title: dict(rows) for title, rows in realised(record)},
        "profit_by_source": _sums(record.of(f"{L6}.realised.profit_by_source"), EDGE_PARTS),
        "profit_by_symbol": _sums(record.of(f"{L6}.realised.profit_by_symbol"), record.run.symbols),
    }


def realised(record: Record) -> Iterator[tuple[str, list[tuple[str, dict[str, float]]]]]:
    """The account's parts after the last epoch: title, and each one's figures. A source has no turnover and cost of its own."""
    names = {"symbol": record.run.symbols, "regime": REGIMES, "source": EDGE_PARTS, "domain": DOMAINS}
    for part, members in names.items():
        known = [name for name in FIGURES if part in ("symbol", "regime") or name not in ("turnover", "cost_bps")]
        figures = {name: record.of(f"{L6}.realised.by_{part}.{name}")[-1] for name in known}
        yield (
            f"by {part}",
            [
                (name, {f: float(figures[f][i]) if f in figures else math.nan for f in FIGURES})
                for i, name in enumerate(members)
            ],
        )


def _sums(profit: Floats, names: Sequence[str]) -> dict[str, float]:
    return dict(zip(names, profit.sum(axis=0).tolist(), strict=True))


# ---- for the terminal


def page(record: Record, *, full: bool = False) -> Group:
    """What is in force, what speaks for it, what is advised, what changed, and what paper and account made."""
    parts: list[Any] = [Text(f"{record.name}: {record.span()}.", style="bold")]
    parts += [Text(sentence) for sentence in in_words(record)]
    if len(record):
        parts += [*_sources(record), *_patterns(record, full=full), *_thresholds(record), *_changes(record, full=full)]
        parts += [*_paper(record, full=full), *_account(record)]
    return Group(*parts)


def _grid(heads: Sequence[str], rows: Sequence[Sequence[str]], styles: Sequence[str | None] = ()) -> Table:
    made = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for i, head in enumerate(heads):
        made.add_column(head, justify="left" if i == 0 else "right", no_wrap=True)
    for i, row in enumerate(rows):
        made.add_row(*row, style=styles[i] if styles else None)
    return made


def _title(text: str) -> list[Text]:
    return [Text(""), Text(text, style="bold")]


def _how(record: Record, part: str) -> str:
    return "change by themselves" if automatic(record, part) else "do not change by themselves: what is advised is only that"


def _sources(record: Record) -> list[Any]:
    held, evidence = record.snapshot(len(record)), _evidence(record)
    order = sorted(range(len(SOURCES)), key=lambda k: -evidence[SOURCES[k]]["weight"])
    rows = []
    for k in order:
        said = evidence[SOURCES[k]]
        rows.append(
            [
                SOURCES[k],
                f"{said['weight']:.1%}",
                *(f"{held.weights[r, k]:.1%}" for r in range(len(REGIMES))),
                f"{said['wealth']:.3f}",
                f"{said['highest_wealth']:.3f}",
                f"{said['chance_of_luck_at_most']:.0%}",
            ]
        )
    heads = ("source", "weight", *(name.lower() for name in REGIMES), "wealth", "highest", "luck at most")
    return [*_title(f"Weights of the sources (L6), which {_how(record, 'sources')}"), _grid(heads, rows)]


def _patterns(record: Record, *, full: bool) -> list[Any]:
    if not record.learns:
        return []
    held, advised = record.snapshot(len(record)).patterns, record.advised().patterns
    chance = record.of(f"{L65}.advice.pattern_sharpe_chance")[-1]
    shown = [p for p in range(PATTERNS) if full or held[p] < 1.0 or advised[p] < 1.0]
    title = _title(f"Patterns (L65), which {_how(record, 'patterns')}")
    if not shown:
        return [*title, Text("All are on, and none is advised to be off.")]
    rows = [[pattern_name(p), _state(held[p]), _state(advised[p]), _known(chance[p], ".1%")] for p in shown]
    rest = [] if full else [Text(f"The other {PATTERNS - len(shown)} are on.")] if len(shown) < PATTERNS else []
    return [*title, _grid(("pattern", "in force", "advised", "chance of earning"), rows), *rest]


def _state(weight: float) -> str:
    return "off" if weight == 0.0 else "on" if weight == 1.0 else f"{weight:g}"


def _thresholds(record: Record) -> list[Any]:
    if not record.learns:
        return []
    configured = record.configured_thresholds()
    held, advised = (thresholds_of(record, s) for s in (record.snapshot(len(record)), record.advised()))
    rows = [[name, *(f"{x:.3f}" for x in (configured[i], held[i], advised[i]))] for i, name in enumerate(THRESHOLDS)]
    title = _title(f"Thresholds of the regimes (L65), which {_how(record, 'thresholds')}")
    return [*title, _grid(("threshold", "regime.yml", "in force", "advised"), rows)]


def _changes(record: Record, *, full: bool) -> list[Any]:
    every = all_changes(record)
    found = every if full else [change for change in every if change.automatic or change.part != "thresholds"]
    shown = found if full else found[-SHOWN:]
    title = _title("What changed, and why")
    rest = f"{len(every) - len(shown)} more, earlier or only advised; --full shows them."
    more = [Text(rest)] if len(shown) < len(every) else []
    return [*title, *(Text(_line(record, change)) for change in shown), *(more or ([] if shown else [Text("Nothing.")]))]


def _line(record: Record, change: Change) -> str:
    took = "" if change.automatic else " (advised only)"
    number = f"{change.before:.3f} to {change.after:.3f}"
    return f"epoch {change.epoch} ({record.day(change.epoch)}): {change.what}, {number}{took}: {change.why}"


def _paper(record: Record, *, full: bool) -> list[Any]:
    parts: list[Any] = []
    for title, rows in paper(record):
        known = [(name, row) for name, row in rows if full or math.isfinite(row["mean_return_bps"])]
        if known:
            parts += _title(f"On paper, gross, an epoch: {title}")
            parts.append(_grid(("", *HEADS), [[name, *_cells(row)] for name, row in known]))
    return parts


def _cells(row: dict[str, float]) -> list[str]:
    forms = (".2f", ".2f", ".0%", ".1f", ".3g", ".2f", ".2f")
    return [_known(row[name], form) for name, form in zip(FIGURES, forms, strict=True)]


def _known(x: float, form: str) -> str:
    return format(x + 0.0, form) if math.isfinite(x) else ""


def _account(record: Record) -> list[Any]:
    made = account(record)
    parts = [*_title("The account, net, an epoch"), _grid(("", *HEADS), [["account", *_cells(made["figures"])]])]
    for title, members in realised(record):
        known = [(name, row) for name, row in members if math.isfinite(row["mean_return_bps"])]
        if known:
            parts += [*_title(f"The account, net, an epoch: {title}"), _grid(("", *HEADS), [[n, *_cells(r)] for n, r in known])]
    for key, words in (("profit_by_source", "by what its edges were made of"), ("profit_by_symbol", "by symbol")):
        rows = [[name, f"{profit:,.2f}"] for name, profit in made[key].items() if profit != 0.0]
        if rows:
            parts += [*_title(f"Its profit since the start, {words}"), _grid(("", "profit"), rows)]
    return parts


# ---- two snapshots


def difference(
    before: tuple[Record, int], after: tuple[Record, int], parts: Collection[str] = PARTS, *, least: float = 5e-4
) -> list[dict[str, Any]]:
    """What differs between what two epochs, of one run or of two, left in force. least: of a weight, as a fraction."""
    (one, first), (other, second) = before, after
    a, b = one.snapshot(first), other.snapshot(second)
    found: list[dict[str, Any]] = []

    def add(part: str, what: str, then: float, now: float, least: float = 0.0) -> None:
        if part in parts and abs(now - then) > least:
            found.append({"part": part, "what": what, "before": float(then), "after": float(now)})

    for k, source in enumerate(SOURCES):
        for r, regime in enumerate(REGIMES):
            add("sources", f"{source} in {regime}", a.weights[r, k], b.weights[r, k], least)
    for p in range(PATTERNS):
        add("patterns", pattern_name(p), a.patterns[p], b.patterns[p])
    for i, name in enumerate(THRESHOLDS):
        add("thresholds", name, thresholds_of(one, a)[i], thresholds_of(other, b)[i])
    return found


def settings_apart(one: Record, other: Record) -> list[dict[str, Any]]:
    """Settings of the meta domain that two runs do not share."""
    mine, theirs = one.settings, other.settings
    keys = dict.fromkeys([*mine, *theirs])
    return [
        {"key": f"meta.{key}", "before": mine.get(key), "after": theirs.get(key)}
        for key in keys
        if mine.get(key) != theirs.get(key)
    ]


def difference_page(found: Sequence[dict[str, Any]], settings: Sequence[dict[str, Any]], title: str) -> Group:
    """The same for the terminal."""
    parts: list[Any] = [Text(title, style="bold")]
    if not found and not settings:
        parts.append(Text("Nothing differs."))
    for part in PARTS:
        rows = [
            [d["what"], f"{d['before']:.4f}", f"{d['after']:.4f}", f"{d['after'] - d['before']:+.4f}"]
            for d in found
            if d["part"] == part
        ]
        if rows:
            parts += [*_title(part), _grid(("", "before", "after", "change"), rows)]
    if settings:
        parts += _title("settings")
        parts += [Text(f"{s['key']}: {s['before']} before, {s['after']} after") for s in settings]
    return Group(*parts)
