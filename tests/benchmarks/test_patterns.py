"""The report on the patterns: what it counts, what it changes, and that it says something of every pattern of the graph."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest

from benchmarks.patterns import BEGIN, END, WITHIN, begins, changes_of, effect, kept, patterns_of, put_into, report
from dataflows.pattern.types import FIRST_PATTERN, PATTERNS, PatternSignal
from drivers.engine.building import make_plan
from drivers.engine.plan import Plan
from drivers.feeds.simulate import simulate
from drivers.graph.wiring import load
from drivers.project.configs import load_configs
from drivers.project.locate import defaults

CONFIGS = load_configs(defaults())


@functools.cache
def plan() -> Plan:
    return make_plan(load(defaults().wiring), CONFIGS)


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ([], [], 0),
        ([10], [], 0),
        ([], [10], 0),
        ([10, 50], [15, 45], 2),
        ([10, 50], [4, 56], 0),
        ([10, 12], [11], 2),
        ([10, 50, 90], [0, 52], 1),
    ],
)
def test_an_occurrence_survives_where_another_begins_a_few_bars_away(before: list[int], after: list[int], found: int) -> None:
    assert WITHIN == 5
    assert kept(np.array(before, np.int64), np.array(after, np.int64)) == found


def lived(*at: int, side: int = 1, bars: int = 40) -> PatternSignal:
    """Occurrences of three bars each."""
    active, age = np.zeros((bars, 1), np.int64), np.full((bars, 1), np.nan)
    for a in at:
        active[a : a + 3, 0], age[a : a + 3, 0] = 1, [0.0, 1.0, 2.0]
    return PatternSignal(active, side * active, 0.5 * active, age)


def test_only_the_same_side_counts() -> None:
    valid = np.ones((40, 1), np.int64)
    assert effect(lived(5, 20), lived(6, 30), valid) == (2, 1, 2)
    assert effect(lived(5, 20), lived(5, 20, side=-1), valid) == (2, 0, 2)
    assert effect(lived(5, side=0), lived(5, side=0), valid) == (1, 1, 1)


def test_an_age_that_stands_while_nothing_is_observed_is_no_new_occurrence() -> None:
    signal, valid = lived(5), np.ones((40, 1), np.int64)
    signal.age[5:8] = 0.0
    valid[6:8] = 0
    assert [at.tolist() for _, side, at in begins(signal, valid) if side == 1] == [[5]]


def test_every_pattern_of_the_graph_is_found() -> None:
    entries = load(defaults().wiring).layers.items()
    ids = range(FIRST_PATTERN, FIRST_PATTERN + PATTERNS)
    wanted = {name for name, entry in entries if int(entry.id[1:]) in ids}
    assert {node.name for node in patterns_of(plan())} == wanted


def test_a_parameter_moves_by_a_tenth_and_an_integer_by_one_at_least() -> None:
    node = plan().nodes["l29_flag_continuation"]
    found = {(c.key, c.value) for c in changes_of(node, CONFIGS)}
    assert {("flag_pole_bars", 13), ("flag_pole_bars", 17), ("flag_least_bars", 4), ("flag_least_bars", 6)} <= found
    assert {("flag_pole_atr", 4.5), ("flag_pole_atr", 5.5)} <= {(k, round(v, 9)) for k, v in found}
    assert {k for k, _ in found} == {k for k in CONFIGS["pattern"]._fields if k.startswith("flag_")}
    for c in changes_of(node, CONFIGS):
        assert getattr(c.configs["pattern"], c.key) == c.value != c.default == getattr(CONFIGS["pattern"], c.key)


@pytest.mark.parametrize(
    ("key", "x", "wanted"),
    [
        ("reversal_close_share", 0.7, [0.63, 0.77]),
        ("reversal_close_share", 0.95, [0.945, 0.955]),  # close below its bound: a tenth of the distance
        ("reversal_close_share", 1.0, []),  # on it
        ("reversal_life_bars", 1, [2]),  # 0 is out of bounds
    ],
)
def test_a_change_stays_within_the_bounds(key: str, x: float, wanted: list[float]) -> None:
    edge = {**CONFIGS, "pattern": CONFIGS["pattern"]._replace(**{key: x})}
    found = [c.value for c in changes_of(plan().nodes["l44_reversal_bar"], edge) if c.key == key]
    assert found == pytest.approx(wanted)


def test_the_tables_stand_between_the_markers_and_nowhere_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    put_into(page, "new")
    put_into(page, "newer")
    assert page.read_text() == f"before\n{BEGIN}\n\nnewer\n\n{END}\nafter\n"
    page.write_text("no markers")
    with pytest.raises(ValueError, match=r"page\.md has no lines"):
        put_into(page, "new")
    assert page.read_text() == "no markers"


def test_a_report_has_a_row_for_every_pattern(tmp_path: Path) -> None:
    simulate(tmp_path / "small", seed=3, symbols=("AAA", "BBB"), days=1, book=False, trades=False)
    text = report([tmp_path / "small"])
    first, _, second = text.partition("### Parameter by parameter")
    for node in patterns_of(plan()):
        assert first.count(f"| {node.layer_id} ") == 1
        assert second.count(f"| {node.layer_id} ") >= 1
    (row,) = (line for line in first.splitlines() if line.startswith("| L27 "))
    assert any(ch in "123456789" for ch in row.split("|")[2])
