"""Facts that no table of prices holds: what a unit is and what it settles in, given to an import and read by a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from drivers.cli.main import run_command
from drivers.feeds.dataset import open_dataset
from drivers.feeds.description import read_fact
from drivers.feeds.errors import DataError
from tests.drivers.feeds.test_import_refusals import ROWS, csv, imported


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("multiplier=50", ("multiplier", 50)),
        ("multiplier = {ESZ5: 50, NQZ5: 20}", ("multiplier", {"ESZ5": 50, "NQZ5": 20})),
        ("settle_currency=BTC", ("settle_currency", "BTC")),
        ("quote_currency=NO", ("quote_currency", "NO")),
        ("contract=inverse", ("contract", "inverse")),
        ("shorting=false", ("shorting", False)),
        ("conversion={EUR: 1.08}", ("conversion", {"EUR": 1.08})),
    ],
)
def test_a_fact_is_read_as_a_line_of_the_file(text: str, fact: tuple[str, Any]) -> None:
    assert read_fact(text) == fact


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("multiplier", "is not KEY=VALUE"),
        ("multiplier=", "is not KEY=VALUE"),
        ("=50", "is not KEY=VALUE"),
        ("multiplyer=50", "did you mean multiplier"),
        ("clock=1m", "is no fact of instruments"),
        ("multiplier={ES: ", "is no value"),
        ("multiplier=~", "is no value"),
        ("multiplier=1\ncontract: inverse", "is no value"),
    ],
)
def test_what_is_no_fact_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(DataError, match=f"(?i)--fact .*{said}"):
        read_fact(text)


def test_facts_are_written_and_hold_in_a_run(tmp_path: Path) -> None:
    facts = {"contract": "inverse", "multiplier": {"BTCUSD": 100}, "quote_currency": "USD", "settle_currency": "BTC"}
    imported(tmp_path / "out", csv(tmp_path, *ROWS, name="BTCUSD.csv"), facts=facts)
    assert facts.items() <= yaml.safe_load((tmp_path / "out" / "dataset.yml").read_text()).items()
    held = open_dataset(tmp_path / "out").instruments
    assert (held.multiplier.tolist(), held.inverse.tolist()) == ([100.0], [1])


def test_a_value_out_of_range_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"multiplier is -1"):
        imported(tmp_path / "out", csv(tmp_path, *ROWS), facts={"multiplier": -1})
    assert not (tmp_path / "out").exists()


def test_the_command_takes_them(tmp_path: Path) -> None:
    source = csv(tmp_path, *ROWS, name="ESZ5.csv")
    given = ["--fact", "multiplier=50", "--fact", "quote_currency=USD"]
    assert run_command(["data", "import", str(source), "--out", str(tmp_path / "out"), *given]) == 0
    assert open_dataset(tmp_path / "out").instruments.multiplier.tolist() == [50.0]
    again = ["data", "import", str(source), "--out", str(tmp_path / "two"), "--fact", "multiplier=50", "--fact", "multiplier=5"]
    assert run_command(again) == 2
