"""Configuration files come from the models; the user's values and comments stay in them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Annotated, NamedTuple

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from dataflows.config import ConfigError, file_keys, resolve, setting
from drivers.graph.wiring import load as load_wiring
from drivers.project.configs import load_configs
from drivers.project.domains import config_records
from drivers.project.errors import ProjectError
from drivers.project.locate import defaults, locate
from drivers.project.machine_specs import MachineSpec, known_specs, load_spec
from drivers.specs.config_files import begin, fresh_text, regenerated, settings
from drivers.specs.schema import spec_schema
from tests.drivers.specs.conftest import held


class ToyConfig(NamedTuple):
    """What the toy does."""

    span_bars: Annotated[int, setting("bars", "window of the toy", ge=3)] = 30
    gross: Annotated[float, setting("fraction", "most that is held", gt=0.0)] = 1.0
    horizons: Annotated[tuple[int, ...], setting("bars", "when it looks")] = (5, 15)


FRESH = """\
# toy: What the toy does.
span_bars: 30  # bars: window of the toy
gross: 1.0  # fraction: most that is held
horizons: [5, 15]  # bars: when it looks
"""


def fresh(text: str | None) -> str:
    return fresh_text("toy", ToyConfig, text)


def test_the_shipped_files_are_what_the_models_write() -> None:
    assert regenerated(defaults()) == ({}, {}), "run `stratoquant config regenerate`"


def test_without_a_file_it_is_the_defaults() -> None:
    assert fresh(None) == FRESH
    assert fresh("") == FRESH


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("gross: 1.0 ", "gross: 0.5 "),
        ("gross: 1.0 ", "gross: .50 "),  # as it was written
        ("span_bars: 30", "# mine\nspan_bars: 40"),
        ("gross: 1.0", "\n# two lines\n# of mine\ngross: 1.0"),
        ("horizons: [5, 15]", "horizons: [1,2,   3]"),
        ("when it looks\n", "when it looks\n# at the end\n"),
        ("# toy: What the toy does.\n", "# toy: What the toy does.\n# Owned by the desk.\n\n"),
    ],
)
def test_what_the_user_wrote_stays_where_it_is(old: str, new: str) -> None:
    mine = FRESH.replace(old, new)
    assert mine != FRESH
    assert fresh(mine) == mine


@pytest.mark.parametrize(
    ("old", "new", "then"),
    [
        ("span_bars: 30  # bars: window of the toy\n", "", FRESH),  # a key of a later version
        ("# bars: window of the toy", "# bars: what the window once was called", FRESH),
        ("# toy: What the toy does.", "# toy: as it was used by this run", FRESH),
        ("  # bars: window of the toy", "", FRESH),
        ("# bars: window of the toy", "# as agreed in May", FRESH.replace("span_bars", "# as agreed in May\nspan_bars")),
        ("of the toy", "of the toy; as agreed in May", FRESH.replace("span_bars", "# as agreed in May\nspan_bars")),
        ("[5, 15]  # bars: when it looks", "\n  - 5  # short\n  - 15", FRESH.replace("horizons", "# short\nhorizons")),
        ("---\n# toy", "# toy", FRESH),
    ],
)
def test_what_is_the_models_is_brought_up_to_date(old: str, new: str, then: str) -> None:
    assert fresh(FRESH.replace(old, new)) == then


def test_keys_come_into_the_models_order_with_their_comments() -> None:
    text = "# the desk's file\n\n# why\nhorizons: [1]\n# how much\ngross: 2\n# the end\n"
    assert fresh(text) == (
        "# toy: What the toy does.\n# the desk's file\n\nspan_bars: 30  # bars: window of the toy\n"
        "# how much\ngross: 2  # fraction: most that is held\n# why\nhorizons: [1]  # bars: when it looks\n# the end\n"
    )


def test_a_mapping_on_one_line_is_written_on_several() -> None:
    assert fresh("{gross: 2, span_bars: 9}\n") == FRESH.replace("1.0", "2").replace("30", "9")


COMMENT = st.text(st.sampled_from("abc :#-'\"[]{}&*"), max_size=12).map(lambda text: f"# {text}")
LINES = st.lists(st.one_of(COMMENT, st.just("")), max_size=3)


@given(
    values=st.fixed_dictionaries(
        {},
        optional={
            "span_bars": st.integers(3, 10**5),
            "gross": st.floats(1e-9, 100.0),
            "horizons": st.lists(st.integers(1, 99), max_size=4),
        },
    ),
    order=st.permutations(["span_bars", "gross", "horizons"]),
    above=st.lists(LINES, min_size=4, max_size=4),
    behind=st.lists(st.one_of(st.just(""), COMMENT), min_size=3, max_size=3),
)
def test_values_and_comments_survive_and_a_second_time_changes_nothing(
    values: dict[str, object], order: list[str], above: list[list[str]], behind: list[str]
) -> None:
    lines: list[str] = []
    for key, own, note in zip(order, above, behind):
        if key in values:
            lines += [*own, f"{key}: {json.dumps(values[key])}  {note}"]
    text = "\n".join([*lines, *above[3]]) + "\n"
    made = fresh(text)
    assert resolve(ToyConfig, yaml.safe_load(made), source="") == resolve(ToyConfig, yaml.safe_load(text) or {}, source="")
    for own in [line for block in above for line in block] + behind:
        if own in text and own.strip(" #;,."):
            assert own.strip() in made
    assert fresh(made) == made


@pytest.fixture
def own(tmp_path: Path) -> Path:
    begin(tmp_path)
    return tmp_path


def test_an_unknown_key_is_refused_with_the_one_that_it_resembles(own: Path) -> None:
    path = own / "config" / "risk.yml"
    path.write_text(path.read_text().replace("annual_target:", "anual_target:"))
    before = path.read_bytes()
    with pytest.raises(ConfigError, match=r"risk\.yml: anual_target is not a key of this file; did you mean annual_target\?"):
        regenerated(locate(own))
    assert path.read_bytes() == before


def test_a_new_project_is_whole_up_to_date_and_runs_as_the_package_does(own: Path) -> None:
    project = locate(own)
    assert (project.wiring, project.config, project.specs) == (own / "wiring_master.yaml", own / "config", own / "specs")
    assert load_configs(project) == load_configs(defaults())
    assert regenerated(project) == ({}, {})
    assert known_specs(project) == known_specs(defaults())
    assert begin(own) == []


def test_beginning_again_adds_what_is_missing_and_keeps_what_is_there(own: Path) -> None:
    (own / "config" / "risk.yml").write_text("gross: 0.6\n")
    (own / "config" / "data.yml").unlink()
    before = held(locate(own))
    assert begin(own) == ["config/data.yml"]
    after = held(locate(own))
    assert {name: after[name] for name in before} == before


def test_the_packages_own_folder_is_no_place_for_a_project() -> None:
    with pytest.raises(ProjectError, match="holds the package's own files; name another folder"):
        begin(defaults().root)


def test_settings_say_value_default_bounds_unit_and_readers(own: Path) -> None:
    path = own / "config" / "risk.yml"
    path.write_text(path.read_text().replace("gross: 1.0", "gross: 0.75"))
    found = {(s.domain, s.key): s for s in settings(locate(own))}
    gross = found["risk", "gross"]
    assert (gross.value, gross.default, gross.bounds, gross.unit) == (0.75, 1.0, ">= 1e-09, <= 100", "fraction")
    assert "L86" in gross.layers
    assert found["risk", "drawdown_start"].bounds == ">= 1e-09, < 1"
    assert gross.row()[1] == "0.75*"
    assert {domain for domain, _ in found} == set(config_records())
    assert {s.domain for s in settings(locate(own), "risk")} == {"risk"}
    with pytest.raises(ProjectError, match="there is no domain 'rsk' with settings; did you mean risk"):
        settings(locate(own), "rsk")


def test_the_schema_knows_every_key_with_unit_and_bounds_and_a_layer_by_its_form() -> None:
    schema = spec_schema()
    assert set(schema["properties"]) == set(MachineSpec.model_fields)
    by_domain = {part["if"]["properties"]["domain"]["const"]: part["then"]["properties"] for part in schema["allOf"]}
    for domain, record in config_records().items():
        assert list(by_domain[domain]["config"]["properties"]) == list(file_keys(record))
        assert by_domain[domain]["config"]["additionalProperties"] is False
    gross = by_domain["risk"]["config"]["properties"]["gross"]
    assert gross == {
        "default": 1.0,
        "description": "fraction: L86: greatest sum of |weight|",
        "maximum": 100,
        "minimum": 1e-09,
        "type": "number",
    }
    ((form, kind),) = by_domain["risk"]["enabled"]["patternProperties"].items()
    assert kind == {"type": "boolean"}
    assert all(re.search(form, name) for name in load_wiring(defaults().wiring).layers)
    assert not any(re.search(form, name) for name in ("risk_gate", "l4", "l4000_gate"))
    assert by_domain["execution"]["variants"]["properties"]["venue"] == {"enum": ["live", "sim"]}


def test_every_shipped_spec_names_the_schema_and_keeps_to_it() -> None:
    by_domain = {part["if"]["properties"]["domain"]["const"]: part["then"]["properties"] for part in spec_schema()["allOf"]}
    for name in known_specs(defaults()):
        path = defaults().specs / f"{name}.yaml"
        assert path.read_text().startswith("# yaml-language-server: $schema=schema.json\n")
        spec = load_spec(defaults(), name)
        assert set(spec.config) <= set(by_domain[spec.domain]["config"]["properties"])
