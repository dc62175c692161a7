"""Runs side by side: their accounts, their figures, what was set differently, and the decisions that differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
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
from drivers.report.scan import clock_data, holds
from drivers.report.series import thinned
from drivers.report.text import THIN, count, in_unit, moment, percent, signed, value_of
from drivers.report.words import VERDICTS, in_words
from drivers.text.counts import plural
from drivers.web.page import render_page

SCRIPTS: Final = ("echarts.min.js", "report_chart.js", "tables.js", "report_compare.js")
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


def write_comparison(runs: Sequence[RunReport], path: Path) -> Path:
    """Writes the comparison of two or more runs, whole or not at all; returns its path."""
    write_atomic(path, comparison_page(runs))
    return path


def comparison_page(runs: Sequence[RunReport]) -> str:
    """The page that shows two or more runs side by side. Decisions are compared where there are two."""
    names = names_of(runs)
    pair = runs[0], runs[1]
    differences = differing_decisions(*pair) if len(runs) == 2 else None
    title = " and ".join(names) if len(runs) == 2 else f"{len(runs)} runs"
    return render_page(
        "compare.html.j2",
        title=title,
        description=f"Runs compared: {', '.join(names)}.",
        scripts=SCRIPTS,
        styles=("report.css",),
        data={"runs": [_line(run, name) for run, name in zip(runs, names, strict=True)], "shifted": disjoint(runs)},
        shifted=disjoint(runs),
        names=names,
        accounts=all(run.account is not None for run in runs),
        pair=len(runs) == 2,
        warnings=warnings(runs),
        short=in_short(runs),
        figures=figures(runs),
        settings=settings(runs),
        wiring=wiring(runs),
        facts=facts(runs),
        differences=differences,
        verdicts=_verdicts(differences),
        examples=_examples(runs[0], differences),
    )


def names_of(runs: Sequence[RunReport]) -> list[str]:
    """What each run is called; runs of the same name are numbered."""
    times = Counter(run.name for run in runs)
    return [run.name if times[run.name] == 1 else f"{run.name} ({i})" for i, run in enumerate(runs, 1)]


def disjoint(runs: Sequence[RunReport]) -> bool:
    """True when the runs have no time in common."""
    return max(run.clock.first for run in runs) > min(run.clock.last for run in runs)


def warnings(runs: Sequence[RunReport]) -> list[str]:
    """What makes runs not comparable, and the warnings that come with any."""
    found: list[str] = []
    the = "The two runs" if len(runs) == 2 else "The runs"
    if len({run.run.about.get("data_hash") for run in runs}) > 1:
        found.append(
            f"{the} are of different data (their data hashes differ): a difference between them may be the market's, and not "
            "the settings'."
        )
    elif len({(run.clock.first, run.clock.bars, run.symbols) for run in runs}) > 1:
        found.append(f"{the} are of different stretches or symbols of the same data.")
    if any(run.run.about.get("versions") != runs[0].run.about.get("versions") for run in runs):
        found.append(f"{the} were made by different versions; what changed is listed below.")
    specs = {run.run.about["spec"]["name"]: run.run.about["spec"] for run in runs if run.run.about.get("spec")}
    return [*found, *(f"Machine spec {name}. {spec['about']}" for name, spec in specs.items())]


def in_short(runs: Sequence[RunReport]) -> str:
    """The difference in a sentence."""
    totals = [figure.value if (figure := run.figure("total_return")) is not None else None for run in runs]
    known = [total for total in totals if total is not None]
    if len(known) < len(runs):
        return f"At least one of the {len(runs) if len(runs) > 2 else 'two'} kept no account."
    made = [
        f"{name} made {percent(total, sign=True)} with {plural(len(run.book.trips), 'round trip')}"
        for name, total, run in zip(names_of(runs), known, runs, strict=True)
    ]
    if len(runs) == 2:
        return f"{', '.join(made)}: a difference of {signed(100.0 * (known[1] - known[0]))} percentage points."
    best, worst = (made[known.index(extreme(known))] for extreme in (max, min))
    return f"Best: {best}. Worst: {worst}."


def figures(runs: Sequence[RunReport]) -> Table:
    """The figures that all runs have, side by side; of two runs the second less the first."""
    rows: list[list[Cell]] = []
    by_run = [{f.key: f for f in run.figures} for run in runs]
    group = ""
    for f in runs[0].figures:
        if any(f.key not in figures_of for figures_of in by_run):
            continue
        if f.group != group:
            group = f.group
            rows.append([word(group)])
        each = [figures_of[f.key] for figures_of in by_run]
        rows.append([word(f.label), *(number(value_of(own), own.value) for own in each)])
        if len(runs) == 2:
            change = each[1].value - each[0].value if each[0].value is not None and each[1].value is not None else None
            text = in_unit(change, f.unit, missing="", sign=True) if f.unit != "share" else _points(change)
            rows[-1].append(number(text, change))
    names = names_of(runs)
    columns = [("Figure", False), *((name, True) for name in names)]
    caption = "Definitions are in each run's own report."
    if len(runs) == 2:
        columns.append(("Difference", True))
        caption += f" The difference is {names[1]} less {names[0]}; that of shares is in percentage points."
    return Table("figures", caption, columns, rows)


def _points(share: float | None) -> str:
    """A difference of shares: a difference of `%` could be taken for a share of the first."""
    return "" if share is None else f"{signed(100.0 * share)}{THIN}points"


def settings(runs: Sequence[RunReport]) -> Table | None:
    """The keys of the configuration that differ."""
    return _different("settings", "Configuration that differs.", [run.run.about.get("configuration", {}) for run in runs], runs)


def wiring(runs: Sequence[RunReport]) -> Table | None:
    """What differs in the wiring: layers, their inputs and schedules, variants, delayed edges."""
    return _different("wiring", "Wiring that differs.", [read_yaml(run.run.project.wiring) for run in runs], runs)


def facts(runs: Sequence[RunReport]) -> Table:
    """What the runs were made of."""
    abouts = [run.run.about for run in runs]
    wanted: list[tuple[str, tuple[str, ...]]] = [
        ("data", ("data",)), ("data hash", ("data_hash",)), ("bars", ("bars",)), ("clock, s", ("clock_seconds",)),
        ("spec", ("spec", "name")), ("overrides", ("overrides",)), ("configuration hash", ("configuration_hash",)),
        ("wiring hash", ("wiring_hash",)),
    ]  # fmt: skip
    of_versions = [
        (name, ("versions", name)) for name in sorted({name for about in abouts for name in about.get("versions", {})})
    ]
    rows = []
    for what, keys in (*wanted, *of_versions):
        texts = [_text(_at(about, keys)) for about in abouts]
        same = len(set(texts)) == 1
        if not same or (what, keys) in wanted:
            rows.append([word(what), *(word(text) for text in texts), word("the same" if same else "differs")])
    columns = [("Fact", False), *((name, False) for name in names_of(runs)), ("Compared", False)]
    return Table("facts", "What the runs were made of.", columns, rows)


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
        self._groups = report.run.groups("decisions", ("timestamp", *_COLUMNS))
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


def _different(name: str, caption: str, values: Sequence[Any], runs: Sequence[RunReport]) -> Table | None:
    rows = [[word(key), *(word(text) for text in texts)] for key, texts in differing(values)]
    columns = [("Key", False), *((run, False) for run in names_of(runs))]
    return Table(name, caption, columns, rows) if rows else None


_ABSENT: Final = object()


def differing(values: Sequence[Any], path: str = "") -> Iterator[tuple[str, list[str]]]:
    """(a.b.c, the text of each) where nested mappings differ; what only some have is one entry, whole."""
    if all(isinstance(value, Mapping) for value in values):
        for key in sorted({key for value in values for key in value}, key=str):
            yield from differing([value.get(key, _ABSENT) for value in values], f"{path}.{key}" if path else str(key))
    elif any(value is _ABSENT or value != values[0] for value in values):
        yield path, [ABSENT if value is _ABSENT else _text(value) for value in values]


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


def _line(report: RunReport, name: str) -> dict[str, Any]:
    """Equity as a return since the start, and drawdown."""
    clock = report.clock
    made: dict[str, Any] = {
        "name": name,
        "clock": clock_data(clock),
        "seconds": report.seconds,
    }
    if report.account is not None:
        growth = np.cumprod(1.0 + np.nan_to_num(report.account.returns)) - 1.0
        made |= dict(zip(("equity", "drawdown"), thinned((growth, -report.account.drawdown), ACCOUNT_POINTS), strict=True))
    return made
