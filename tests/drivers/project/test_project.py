"""Where a run's files come from, and what a user reads when one of them is wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, NamedTuple

import pytest

from dataflows.config import ConfigError, file_keys, resolve, setting
from drivers.project import configs, domains, machine_specs
from drivers.project.configs import config_text, load_configs, parse_override
from drivers.project.errors import ProjectError
from drivers.project.locate import Project, defaults, locate
from drivers.project.machine_specs import load_spec
from drivers.project.yaml_files import read_yaml


class ToyConfig(NamedTuple):
    span_bars: Annotated[int, setting("bars", "window of the toy", ge=3)] = 30
    gross: Annotated[float, setting("fraction of equity", "the most that is held", gt=0.0)] = 1.0
    horizons_bars: Annotated[tuple[int, ...], setting("bars", "horizons")] = (5, 15)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project of one domain, `risk`, with the configuration above."""
    for module in (configs, machine_specs):
        monkeypatch.setattr(module, "config_records", lambda: {"risk": ToyConfig})
    (tmp_path / "wiring_master.yaml").write_text("layers: {}\n")
    (tmp_path / "config").mkdir()
    (tmp_path / "specs").mkdir()
    (tmp_path / "config" / "risk.yml").write_text("span_bars: 20  # bars\n")
    return locate(tmp_path)


def test_a_named_folder_is_the_project(toy: Project, tmp_path: Path) -> None:
    assert (toy.root, toy.wiring, toy.config) == (tmp_path, tmp_path / "wiring_master.yaml", tmp_path / "config")


def test_what_a_named_folder_lacks_comes_from_the_package(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    found = locate(tmp_path)
    assert found.config == tmp_path / "config"
    assert found.wiring == defaults().wiring


def test_the_current_folder_is_the_project_when_it_has_wiring_and_config(
    toy: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert locate() == replace(toy, named=False)


def test_a_config_folder_alone_does_not_make_the_current_folder_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").mkdir()
    monkeypatch.chdir(tmp_path)
    assert locate() == defaults()


def test_a_named_folder_without_any_of_a_project_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"has neither wiring_master\.yaml nor config/ nor specs/"):
        locate(tmp_path)


def test_a_named_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("")
    with pytest.raises(ProjectError, match="is not a folder"):
        locate(tmp_path / "x")


def test_the_file_then_the_spec_then_the_override_decide(toy: Project) -> None:
    (toy.specs / "wide.yaml").write_text("name: wide\ndomain: risk\nabout: wider\nconfig: {span_bars: 40, gross: 2}\n")
    spec = load_spec(toy, "wide")
    assert load_configs(toy)["risk"] == ToyConfig(20, 1.0, (5, 15))
    assert load_configs(toy, spec=spec)["risk"] == ToyConfig(40, 2.0, (5, 15))
    assert load_configs(toy, ["risk.gross=0.5", "risk.horizons_bars=[1, 2]"], spec)["risk"] == ToyConfig(40, 0.5, (1, 2))


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("risk.gross", r"--set risk\.gross: write domain\.key=value"),
        ("gross=1", r"--set gross=1: write domain\.key=value"),
        ("rsk.gross=1", "no domain 'rsk'; did you mean risk?"),
        ("risk.gros=1", "gros is not a key of this file; did you mean gross?"),
        ("risk.gross=-1", r"--set risk\.gross=-1: gross is -1; input should be greater than or equal to 0.000000001"),
        ("risk.gross=[", "is not a value"),
        ("risk.span_bars=many", "span_bars is 'many'"),
    ],
)
def test_a_wrong_override_says_what_is_wrong_with_it(toy: Project, override: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_configs(toy, [override])


def test_an_unknown_key_names_the_file_and_the_key_that_was_meant(toy: Project) -> None:
    (toy.config / "risk.yml").write_text("spam_bars: 3\n")
    with pytest.raises(ConfigError, match=r"risk\.yml: spam_bars is not a key of this file; did you mean span_bars\?"):
        load_configs(toy)


def test_a_key_given_twice_names_file_and_line(toy: Project) -> None:
    (toy.config / "risk.yml").write_text("gross: 1\nspan_bars: 20\ngross: 2\n")
    with pytest.raises(ProjectError, match=r"risk\.yml, line 3: gross is given twice"):
        load_configs(toy)


def test_a_file_of_no_domain_is_refused(toy: Project) -> None:
    (toy.config / "rsk.yml").write_text("")
    with pytest.raises(ProjectError, match=r"rsk\.yml is the configuration of no domain; did you mean risk\.yml\?"):
        load_configs(toy)


def test_an_unknown_spec_lists_the_known_ones(toy: Project) -> None:
    (toy.specs / "wide.yaml").write_text("name: wide\ndomain: risk\nabout: wider\n")
    with pytest.raises(ProjectError, match=r"no machine spec 'wild'; did you mean wide\?"):
        load_spec(toy, "wild")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("configs: {}", r"configs is not a key of a machine spec; did you mean config\?"),
        ("about: 3", "about is 3; input should be a valid string"),
        ("name: broad", "name is broad, which is not the file's; give both one name"),
        ("domain: rsk", r"there is no domain 'rsk'; did you mean risk\?"),
        ("enabled: {l4_risk_gate: perhaps}", r"enabled\.l4_risk_gate is 'perhaps'; input should be a valid boolean"),
    ],
)
def test_a_malformed_spec_names_file_and_key(toy: Project, text: str, message: str) -> None:
    lines = {"name": "name: wide", "domain": "domain: risk", "about": "about: wider", text.partition(":")[0]: text}
    (toy.specs / "wide.yaml").write_text("\n".join(lines.values()))
    with pytest.raises(ProjectError, match=rf"wide\.yaml: {message}"):
        load_spec(toy, "wide")


def test_a_spec_that_does_not_say_what_it_is_for_is_refused(toy: Project) -> None:
    (toy.specs / "wide.yaml").write_text("name: wide\ndomain: risk\n")
    with pytest.raises(ProjectError, match=r"wide\.yaml: about is missing: what it is for"):
        load_spec(toy, "wide")


@pytest.mark.parametrize(("text", "message"), [("[1]", "holds a list"), ("a: [", "line 1"), ("a: b: c", "line 1")])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.yml").write_text(text)
    with pytest.raises(ProjectError, match=message):
        read_yaml(tmp_path / "x.yml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"x\.yml: no such file or directory"):
        read_yaml(tmp_path / "x.yml")


def test_an_override_holds_yaml(toy: Project) -> None:
    assert parse_override("risk.horizons_bars=[1, 2]") == ("risk", "horizons_bars", [1, 2])


def test_a_written_configuration_reads_back_as_it_was(tmp_path: Path) -> None:
    record = ToyConfig(7, 0.1, (1, 2, 3))
    text = config_text(ToyConfig, record._asdict(), title="risk")
    (tmp_path / "risk.yml").write_text(text)
    assert resolve(ToyConfig, read_yaml(tmp_path / "risk.yml"), source="risk.yml") == record
    assert "span_bars: 7  # bars: window of the toy" in text


def test_every_shipped_configuration_file_gives_exactly_the_defaults_of_its_record() -> None:
    configs = load_configs(defaults())
    for domain, record in domains.config_records().items():
        assert configs[domain] == record(), f"config/{domain}.yml differs from the defaults in dataflows/{domain}/config.py"
        given = read_yaml(defaults().config / f"{domain}.yml")
        assert list(given) == list(file_keys(record)), f"config/{domain}.yml must give every key, in the record's order"


def test_two_overrides_that_only_fit_together_may_come_in_any_order() -> None:
    pair = ("risk.drawdown_start=0.6", "risk.drawdown_stop=0.95", "risk.hard_drawdown=0.99")
    for overrides in (pair, pair[::-1]):
        risk = load_configs(defaults(), overrides)["risk"]
        assert (risk.drawdown_start, risk.drawdown_stop) == (0.6, 0.95)


def test_what_is_read_twice_is_two_mappings(tmp_path: Path) -> None:
    file = tmp_path / "risk.yml"
    file.write_text("gross: 1.0\nlist: [1, 2]\n", encoding="utf-8")
    first = read_yaml(file)
    first["list"].append(3)
    assert read_yaml(file) == {"gross": 1.0, "list": [1, 2]}
    file.write_text("gross: 2.0\n", encoding="utf-8")
    assert read_yaml(file) == {"gross": 2.0}
