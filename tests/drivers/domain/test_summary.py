"""The figures of a domain run against NumPy and pandas, and what the terminal shows of them."""

from __future__ import annotations

import math
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from drivers.domain.summary import FieldFigures, as_records, figures, table, verdict
from drivers.store.reader import open_run
from drivers.store.writer import ResultWriter
from tests.drivers.store.records import ANNOTATIONS, DOMAINS, SYMBOLS, no_logs, outputs, times


def written(out: Path, change: float = 0.0) -> Path:
    made = outputs(0, 50)
    shape = made["l1_shape"]
    level = shape.level.copy()
    level[10:13, 1] += change
    level[20, 0] = math.nan if change else level[20, 0]
    writer = ResultWriter(out, SYMBOLS)
    writer.write({**made, "l1_shape": shape._replace(level=level)}, ANNOTATIONS, DOMAINS, times(0, 50), no_logs(50))
    writer.finish({"symbols": list(SYMBOLS)})
    return out


def by_field(found: list[FieldFigures]) -> dict[tuple[str, str], FieldFigures]:
    return {(f.layer, f.field): f for f in found}


def test_the_figures_are_those_of_pandas(tmp_path: Path) -> None:
    run = open_run(written(tmp_path / "run"))
    found = by_field(list(figures(run, "regime")))
    frame = pd.read_parquet(tmp_path / "run/features/regime.parquet").drop(columns=["timestamp", "symbol"])
    assert [".".join(filter(None, key)) for key in found] == list(frame.columns)
    for (layer, field), f in found.items():
        x = frame[".".join(filter(None, (layer, field)))]
        assert f.valid == x.notna().mean()
        np.testing.assert_array_equal([f.minimum, f.median, f.maximum], [x.min(), x.median(), x.max()])
        assert f.changed is None


def test_what_changed_is_counted_by_its_bits(tmp_path: Path) -> None:
    old, new = open_run(written(tmp_path / "old")), open_run(written(tmp_path / "new", change=0.5))
    found = by_field(list(figures(new, "regime", old)))
    level = found[("l1_shape", "level")]
    assert level.changed == 4  # three moved, one became unknown
    assert level.largest_change == pytest.approx(0.5)
    assert all(f.changed == 0 for key, f in found.items() if key != ("l1_shape", "level"))
    one = by_field(list(figures(new, "regime", old, symbols=[SYMBOLS[0]])))
    assert one[("l1_shape", "level")].changed == 1


def test_the_sentence_says_how_many_columns_differ(tmp_path: Path) -> None:
    old, new = open_run(written(tmp_path / "old")), open_run(written(tmp_path / "new", change=0.5))
    columns = len(new.columns("features/regime")) - 2
    assert (
        verdict(list(figures(old, "regime", old)))
        == f"All {columns} columns that the run has are as it recorded them, to the bit."
    )
    differs = verdict(list(figures(new, "regime", old)))
    assert differs == f"1 of {columns} columns differ from the run, most of all l1_shape.level (4.0% of its values)."
    assert verdict(list(figures(new, "regime"))) == "Nothing was recorded to compare with."


def test_the_table_fits_eighty_columns_and_names_every_field(tmp_path: Path) -> None:
    run = open_run(written(tmp_path / "run"))
    found = list(figures(run, "regime", run))
    out = StringIO()
    Console(file=out, width=80).print(table(found, "regime"))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert all(any(f.field in line for line in lines) for f in found)
    assert sum("changed" in line for line in lines) == 1


def test_json_has_no_nan(tmp_path: Path) -> None:
    run = open_run(written(tmp_path / "run"))
    assert all(
        not (isinstance(v, float) and math.isnan(v)) for row in as_records(list(figures(run, "regime"))) for v in row.values()
    )


def test_an_infinite_value_is_shown_as_one() -> None:
    out = StringIO()
    worst = FieldFigures("l1_shape", "level", 4, 1.0, -math.inf, 0.5, math.inf, 0, math.nan)
    Console(file=out, width=80).print(table([worst], "regime"))
    assert out.getvalue().split()[-4:] == ["100.0%", "-inf", "0.5", "inf"]
    assert as_records([worst])[0]["maximum"] is None
