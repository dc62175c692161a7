"""Two runs side by side: their accounts, their figures, what was set differently, and the decisions that differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from drivers.files.atomic import write_atomic
from drivers.project.yaml_files import read_yaml
from drivers.report.cells import Cell, Table, number, word
from drivers.report.contents import RunReport
from drivers.report.drawn import ACCOUNT_POINTS
from drivers.report.scan import batches, clock_data, holds
from drivers.report.series import thinned
from drivers.report.text import THIN, count, in_unit, moment, percent, signed, value_of
from drivers.report.words import VERDICTS, in_words
from drivers.text.counts import plural
from drivers.web.page import render_page

SCRIPTS: Final = ("echarts.min.js", "report_chart.js", "report_compare.js")
MOST_EXAMPLES: Final = 50
ABSENT: Final = "absent"
_COLUMNS: Final = ("symbol", "side", "verdict", "target_weight")
_WINDOW: Final = 86_400 * 1_000_000_000
_SAME_WEIGHT: Final = 1e-12


@dataclass
class Differences:
    """Decisions of two runs at the same bars and symbols.

    examples: the first bars at which a difference begins, as (time, symbol, one run's, the other's).
    """

    step: int = 0  # ns
    shared: int = 0  # bars x symbols that both runs have
    differ: int = 0
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)  # verdicts of the first and the second
    examples: list[tuple[int, str, str, str]] = field(default_factory=list)
    last: dict[str, tuple[int, str, str]] = field(default_factory=dict)  # of each symbol the last difference, with its verdicts


def write_comparison(a: RunReport, b: RunReport, path: Path) -> Path:
    """Writes the comparison of two runs, whole or not at all; returns its path."""
    write_atomic(path, comparison_page(a, b))
    return path


def comparison_page(a: RunReport, b: RunReport) -> str:
    """The page that shows two runs side by side."""
    differences = differing_decisions(a, b)
    return render_page(
        "compare.html.j2",
        title=f"{a.name} and {b.name}",
        description=f"Two runs compared: {a.name} and {b.name}.",
        scripts=SCRIPTS,
        styles=("report.css",),
        data={"runs": [_line(a), _line(b)], "shifted": disjoint(a, b)},
        shifted=disjoint(a, b),
        a=a,
        b=b,
        warnings=warnings(a, b),
        short=in_short(a, b),
        figures=figures(a, b),
        settings=settings(a, b),
        wiring=wiring(a, b),
        facts=facts(a, b),
        differences=differences,
        verdicts=_verdicts(differences),
        examples=_examples(a, differences),
    )


def disjoint(a: RunReport, b: RunReport) -> bool:
    """True when the runs have no time in common."""
    return a.clock.first > b.clock.last or b.clock.first > a.clock.last


def warnings(a: RunReport, b: RunReport) -> list[str]:
    """What makes two runs not comparable, and the warnings that come with either."""
    found: list[str] = []
    if a.run.about.get("data_hash") != b.run.about.get("data_hash"):
        found.append(
            "The two runs are of different data (their data hashes differ): a difference between them may be the market's, and "
            "not the settings'."
        )
    elif (a.clock.first, a.clock.bars, a.symbols) != (b.clock.first, b.clock.bars, b.symbols):
        found.append("The two runs are of different stretches or symbols of the same data.")
    if a.run.about.get("versions") != b.run.about.get("versions"):
        found.append("The two runs were made by different versions; what changed is listed below.")
    specs = {r.run.about["spec"]["name"]: r.run.about["spec"] for r in (a, b) if r.run.about.get("spec")}
    return [*found, *(f"Machine spec {name}. {spec['about']}" for name, spec in specs.items())]


def in_short(a: RunReport, b: RunReport) -> str:
    """The difference in a sentence."""
    one, two = a.figure("total_return"), b.figure("total_return")
    if one is None or two is None or one.value is None or two.value is None:
        return "At least one of the two kept no account."
    points = 100.0 * (two.value - one.value)
    trips = [plural(len(r.book.trips), "round trip") for r in (a, b)]
    return (
        f"{a.name} made {percent(one.value, sign=True)} with {trips[0]}, {b.name} {percent(two.value, sign=True)} with "
        f"{trips[1]}: a difference of {signed(points)} percentage points."
    )


def figures(a: RunReport, b: RunReport) -> Table:
    """The figures side by side, the second less the first."""
    rows: list[list[Cell]] = []
    theirs = {f.key: f for f in b.figures}
    group = ""
    for f in a.figures:
        other = theirs.get(f.key)
        if other is None:
            continue
        if f.group != group:
            group = f.group
            rows.append([word(group)])
        change = other.value - f.value if f.value is not None and other.value is not None else None
        text = in_unit(change, f.unit, missing="", sign=True) if f.unit != "share" else _points(change)
        rows.append([word(f.label), number(value_of(f), f.value), number(value_of(other), other.value), number(text, change)])
    columns = (("Figure", False), (a.name, True), (b.name, True), ("Difference", True))
    caption = (
        f"Definitions are in each run's own report. The difference is {b.name} less {a.name}; that of shares is in percentage "
        "points."
    )
    return Table("figures", caption, columns, rows)


def _points(share: float | None) -> str:
    """A difference of shares: a difference of `%` could be taken for a share of the first."""
    return "" if share is None else f"{signed(100.0 * share)}{THIN}points"


def settings(a: RunReport, b: RunReport) -> Table | None:
    """The keys of the configuration that differ."""
    one, two = (r.run.about.get("configuration", {}) for r in (a, b))
    return _different("settings", "Configuration that differs.", one, two, a, b)


def wiring(a: RunReport, b: RunReport) -> Table | None:
    """What differs in the wiring: layers, their inputs and schedules, variants, delayed edges."""
    one, two = (read_yaml(r.run.project.wiring) for r in (a, b))
    return _different("wiring", "Wiring that differs.", one, two, a, b)


def facts(a: RunReport, b: RunReport) -> Table:
    """What the runs were made of."""
    rows = []
    for what, keys in (
        ("data", ("data",)), ("data hash", ("data_hash",)), ("bars", ("bars",)), ("clock, s", ("clock_seconds",)),
        ("spec", ("spec", "name")), ("overrides", ("overrides",)), ("configuration hash", ("configuration_hash",)),
        ("wiring hash", ("wiring_hash",)),
    ):  # fmt: skip
        texts = [_text(_at(r.run.about, keys)) for r in (a, b)]
        rows.append([word(what), *(word(t) for t in texts), word("the same" if texts[0] == texts[1] else "differs")])
    for name in sorted({*a.run.about.get("versions", {}), *b.run.about.get("versions", {})}):
        texts = [_text(_at(r.run.about, ("versions", name))) for r in (a, b)]
        if texts[0] != texts[1]:
            rows.append([word(name), *(word(t) for t in texts), word("differs")])
    return Table(
        "facts", "What the runs were made of.", (("Fact", False), (a.name, False), (b.name, False), ("Compared", False)), rows
    )


def differing_decisions(a: RunReport, b: RunReport) -> Differences | None:
    """Where the risk gate decided differently at the same bar of the same symbol; None where a run recorded no decisions.

    A bar and symbol that a run did not write is HOLD with nothing held. Days are read one at a time.
    """
    if not all(holds(r.run, "decisions", ("timestamp", *_COLUMNS)) for r in (a, b)):
        return None
    symbols = sorted(set(a.symbols) & set(b.symbols))
    first, last = max(a.clock.first, b.clock.first), min(a.clock.last, b.clock.last)
    step = max(a.clock.step, b.clock.step)
    found = Differences(step)
    if first > last or not symbols:
        return found
    found.shared = ((last - first) // step + 1) * len(symbols)
    ours, theirs = (_Days(r, first, last, step) for r in (a, b))
    for day in range((first - 1) // _WINDOW, (last - 1) // _WINDOW + 1):
        _compare(found, ours.take(day), theirs.take(day), symbols)
    return found


class _Days:
    """A run's decisions, day by day in order; reads a row group when a day needs it."""

    def __init__(self, report: RunReport, first: int, last: int, step: int) -> None:
        self._groups = batches(report.run, "decisions", ("timestamp", *_COLUMNS))
        self._rest: list[pd.DataFrame] = []
        self._bounds = first, last, step
        self._ended = False

    def take(self, day: int) -> pd.DataFrame:
        """The decisions of a day, midnight belonging to the day that it ends."""
        while not self._ended and not (self._rest and int(self._rest[-1]["time"].iloc[-1]) > (day + 1) * _WINDOW):
            table = next(self._groups, None)
            if table is None:
                self._ended = True
            elif table.num_rows:
                self._rest.append(self._frame(table))
        if not self._rest:
            return _none()
        whole = pd.concat(self._rest, ignore_index=True)
        number_of = (whole["time"].to_numpy() - 1) // _WINDOW
        self._rest = [whole[number_of > day]] if bool((number_of > day).any()) else []
        first, last, step = self._bounds
        time = whole["time"].to_numpy()
        within: pd.DataFrame = whole[(number_of == day) & (time >= first) & (time <= last) & ((time - first) % step == 0)]
        return within

    @staticmethod
    def _frame(table: Any) -> pd.DataFrame:
        frame: pd.DataFrame = table.drop(["timestamp"]).to_pandas()
        frame["time"] = table["timestamp"].cast("int64").to_numpy()
        for name in ("symbol", "side", "verdict"):
            frame[name] = frame[name].astype(object)
        return frame


def _none() -> pd.DataFrame:
    """No decisions, in the types of some."""
    text = {name: pd.Series([], dtype=object) for name in ("symbol", "side", "verdict")}
    numbers = {name: pd.Series([], dtype=np.float64) for name in _COLUMNS if name not in text}
    return pd.DataFrame({"time": pd.Series([], dtype=np.int64), **text, **numbers})


def _compare(found: Differences, a: pd.DataFrame, b: pd.DataFrame, symbols: list[str]) -> None:
    both = a.merge(b, on=["time", "symbol"], how="outer", suffixes=("_a", "_b"))
    both = both[both["symbol"].isin(symbols)]
    for side in ("a", "b"):
        both[f"verdict_{side}"] = both[f"verdict_{side}"].fillna("HOLD")
        both[f"target_weight_{side}"] = both[f"target_weight_{side}"].astype(np.float64).fillna(0.0)
    weight = both["target_weight_a"].to_numpy(), both["target_weight_b"].to_numpy()
    other = (both["verdict_a"] != both["verdict_b"]) | (np.abs(weight[0] - weight[1]) > _SAME_WEIGHT)
    different = both[other.to_numpy()].sort_values(["time", "symbol"])
    found.differ += len(different)
    found.pairs.update(zip(different["verdict_a"], different["verdict_b"], strict=True))
    if len(found.examples) == MOST_EXAMPLES:
        return
    for row in different.itertuples():
        before, found.last[row.symbol] = found.last.get(row.symbol), (row.time, row.verdict_a, row.verdict_b)
        if before == (row.time - found.step, row.verdict_a, row.verdict_b) or len(found.examples) == MOST_EXAMPLES:
            continue
        one, two = (
            _verdict(row.verdict_a, row.target_weight_a),
            _verdict(row.verdict_b, row.target_weight_b),
        )
        found.examples.append((int(row.time), str(row.symbol), one, two))


def _verdict(verdict: str, target: float) -> str:
    return f"{in_words(verdict, VERDICTS)}, target {percent(target)}"


def _verdicts(found: Differences | None) -> Table | None:
    if found is None or not found.differ:
        return None
    rows = [
        [word(in_words(one, VERDICTS)), word(in_words(two, VERDICTS)), number(count(n), n, share=n / found.differ)]
        for (one, two), n in found.pairs.most_common()
    ]
    caption = "Bars of a symbol with another verdict or another target, by the verdicts of both."
    return Table("pairs", caption, (("First run", False), ("Second run", False), ("Bars", True)), rows)


def _examples(a: RunReport, found: Differences | None) -> Table | None:
    if found is None or not found.examples:
        return None
    rows = [[word(moment(t, seconds=a.seconds)), word(s), word(one), word(two)] for t, s, one, two in found.examples]
    first = f"The first {len(rows)} bars" if len(rows) == MOST_EXAMPLES else "The bars"
    caption = f"{first} at which a difference begins: where the bar before did not differ, or by other verdicts."
    columns = (("Bar (UTC)", False), ("Symbol", False), ("First run", False), ("Second run", False))
    return Table("examples", caption, columns, rows)


def _different(name: str, caption: str, one: Any, two: Any, a: RunReport, b: RunReport) -> Table | None:
    rows = [[word(key), word(x), word(y)] for key, x, y in differing(one, two)]
    return Table(name, caption, (("Key", False), (a.name, False), (b.name, False)), rows) if rows else None


def differing(one: Any, two: Any, path: str = "") -> Iterator[tuple[str, str, str]]:
    """(a.b.c, text of one, text of the other) where two nested mappings differ; what only one has is one entry, whole."""
    if isinstance(one, Mapping) and isinstance(two, Mapping):
        for key in sorted({*one, *two}, key=str):
            at = f"{path}.{key}" if path else str(key)
            if key not in one or key not in two:
                yield at, _text(one[key]) if key in one else ABSENT, _text(two[key]) if key in two else ABSENT
            else:
                yield from differing(one[key], two[key], at)
    elif one != two:
        yield path, _text(one), _text(two)


def _text(value: Any) -> str:
    if value is None or value == []:
        return "none"
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_text(inner)}" for key, inner in value.items())
    return ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def _at(value: Any, keys: tuple[str, ...]) -> Any:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _line(report: RunReport) -> dict[str, Any]:
    """Equity as a return since the start, and drawdown."""
    clock = report.clock
    made: dict[str, Any] = {
        "name": report.name,
        "clock": clock_data(clock),
        "seconds": report.seconds,
    }
    if report.account is not None:
        growth = np.cumprod(1.0 + np.nan_to_num(report.account.returns)) - 1.0
        made |= dict(zip(("equity", "drawdown"), thinned((growth, -report.account.drawdown), ACCOUNT_POINTS), strict=True))
    return made
