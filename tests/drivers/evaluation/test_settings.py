"""Settings as they are typed and written in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.evaluation.errors import EvaluationError
from drivers.evaluation.settings import PARTS, Setting, ablation, combined, read_file, split_values, typed
from drivers.project.configs import load_configs
from drivers.project.locate import defaults


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("0.5,1.0", ["0.5", "1.0"]),
        ("[5, 15],[10, [1, 2]]", ["[5, 15]", "[10, [1, 2]]"]),
        ("'a,b',c", ["'a,b'", "c"]),
        ("30m", ["30m"]),
        ("{a: 1, b: 2},3", ["{a: 1, b: 2}", "3"]),
        ("", [""]),
    ],
)
def test_commas_within_brackets_and_quotes_separate_nothing(text: str, values: list[str]) -> None:
    assert split_values(text) == values


def test_the_grid_is_every_combination_after_the_configuration_as_it_is() -> None:
    made = combined(typed(["risk.gross=0.5,1.0", "meta.adapt_sources=0,1"]))
    assert made[0] == Setting("as configured")
    assert [setting.overrides for setting in made[1:]] == [
        (f"risk.gross={a}", f"meta.adapt_sources={b}") for a in ("0.5", "1.0") for b in ("0", "1")
    ]


@pytest.mark.parametrize("wrong", [["risk.gross"], ["risk.gross="], ["risk.gross=1,"], ["=1"], ["a.b=1", "a.b=2"]])
def test_what_is_typed_wrong_is_refused_by_name(wrong: list[str]) -> None:
    with pytest.raises(EvaluationError, match="--set"):
        typed(wrong)


def test_a_file_has_a_grid_and_named_settings(tmp_path: Path) -> None:
    path = tmp_path / "grid.yml"
    path.write_text("grid:\n  risk.gross: [0.5, 1]\nsettings:\n  careful: {risk.gross: 0.2, fusion.horizons: [5, 15]}\n")
    assert [(s.name, s.overrides) for s in combined(*read_file(path))] == [
        ("as configured", ()),
        ("risk.gross=0.5", ("risk.gross=0.5",)),
        ("risk.gross=1", ("risk.gross=1",)),
        ("careful", ("risk.gross=0.2", "fusion.horizons=[5, 15]")),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("grids: {}", "did you mean grid"),
        ("grid: [1]", "grid is no mapping"),
        ("grid: {risk.gross: 0.5}", "give a list of values"),
        ("settings: {a: 0.5}", "give keys and values"),
        ("settings: {as configured: {risk.gross: 1}}", "two settings are called 'as configured'"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "grid.yml"
    path.write_text(text)
    with pytest.raises(EvaluationError, match=said):
        combined(*read_file(path))


def test_an_ablation_switches_every_adaptive_part_over() -> None:
    configs = load_configs(defaults())
    made = ablation(configs)
    there = [p for p in PARTS if p.key.partition(".")[0] in configs]
    assert [s.part for s in made] == there and len(made) >= 3
    assert (
        made[0].overrides == ("meta.adapt_sources=0",) and made[0].name == "source weights (L6) off" and not made[0].switched_on
    )
    assert made[2].overrides == ("meta.adapt_thresholds=1",) and made[2].switched_on
    over = load_configs(defaults(), made[0].overrides)
    assert ablation(over)[0].overrides == ("meta.adapt_sources=1",)
