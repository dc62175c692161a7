"""`import stratoquant as sq`: the same results as the command's, from whatever holds the bars."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import stratoquant as sq
from dataflows.fusion.types import EDGE_PARTS, SOURCES
from dataflows.risk.types import SCENARIOS
from drivers.feeds.errors import DataError
from drivers.feeds.simulate import simulate
from drivers.store.reader import RecordedError
from tests.drivers.report.conftest import EARLY, SYMBOLS
from tests.drivers.small_market import folder


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("market") / "data", 300)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> sq.Run:
    """One that trades."""
    place = tmp_path_factory.mktemp("runs")
    simulate(place / "market", seed=5, symbols=SYMBOLS, days=2, edge=3.0, book=False, trades=False)
    settings = {key: yaml.safe_load(value) for key, value in (text.split("=") for text in EARLY)}
    return sq.run(place / "market", set=settings, out=place / "one")


@pytest.fixture(scope="module")
def bars(market: Path) -> pd.DataFrame:
    return pd.read_parquet(market / "bars.parquet")


def test_the_tables_are_those_on_disk(run: sq.Run) -> None:
    ledger = pd.read_parquet(run.folder / "ledger.parquet")
    first = ledger[ledger["symbol"] == run.symbols[0]]
    np.testing.assert_array_equal(run.equity.to_numpy(), first["equity"].to_numpy())
    assert (run.equity.index == pd.DatetimeIndex(first["timestamp"])).all()
    pd.testing.assert_frame_equal(run.fills, pd.read_parquet(run.folder / "fills.parquet"))
    assert (run.drawdown >= 0.0).all()
    assert run.figures.loc["total_return", "value"] == pytest.approx(
        run.equity.iloc[-1] / run.summary["account"]["start_equity"] - 1
    )


def test_features_of_a_layer_by_name_or_id(run: sq.Run) -> None:
    by_name, by_id = (
        run.features("l12_regression_slope_short"),
        run.features("L12", symbols=run.symbols[0], start=run.equity.index[9]),
    )
    stored = pd.read_parquet(run.folder / "features" / "kinematics.parquet")
    np.testing.assert_array_equal(by_name["t_stat"].to_numpy(), stored["l12_regression_slope_short.t_stat"].to_numpy())
    assert len(by_id) == len(run.equity) - 10
    assert set(by_id.index.get_level_values("symbol")) == {run.symbols[0]}
    sources = run.features("L66").filter(like="values.")
    assert list(sources.columns) == [f"values.{name}" for name in SOURCES]
    fusion = pd.read_parquet(run.folder / "features" / "fusion.parquet")
    for name in SOURCES:
        np.testing.assert_array_equal(
            sources[f"values.{name}"].to_numpy(), fusion[f"l66_signal_matrix.values.{name}"].to_numpy()
        )
    assert run.layers[0] == "l0_market_feed"
    with pytest.raises(RecordedError, match="did you mean l12_regression_slope_short"):
        run.features("l12_regresion_slope_short")


def test_round_trips_add_up_to_their_fills(run: sq.Run) -> None:
    trades, fills = run.trades, run.fills
    assert trades["fills"].sum() >= len(fills) > 0
    assert trades["fees"].sum() == pytest.approx(fills["fee"].sum())
    assert set(trades["side"]) <= {"LONG", "SHORT"}
    assert str(trades["entry_time"].dtype).endswith("UTC]")


def test_an_order_is_explained(run: sq.Run) -> None:
    order = str(run.orders["order_id"].iloc[0])
    explained = run.explain(order)
    assert explained.headline[0].startswith(f"{order} was sent at the close of ")
    assert "part of the expected move" in repr(explained) and "L97" not in repr(explained)
    assert "L97 ledger" in explained.trace()
    assert "\x1b" not in repr(explained)
    page = explained._repr_html_()
    assert explained.headline[0].split(" to ")[0] in page and page.count("<polygon") > 10 and page.count("<tr") > 3
    assert sq.explain(run.folder, order).headline == explained.headline


def test_a_notebook_shows_the_run(run: sq.Run) -> None:
    page = run._repr_html_()
    assert "The account went from" in page
    assert "report.html" in page
    assert page.count("<tr>") == page.count("</tr>") > 3


def test_a_run_with_numbered_columns_is_read_as_one_with_names(run: sq.Run, tmp_path: Path) -> None:
    """Older versions have written `values.1` where `values.trend` is today."""
    folder = shutil.copytree(run.folder, tmp_path / "older")
    for domain, node, field, members in (
        ("fusion", "l66_signal_matrix", "values", SOURCES),
        ("fusion", "l3_action_proposal", "parts_bps", EDGE_PARTS),
        ("risk", "l80_scenario_stress", "loss_fraction", SCENARIOS),
    ):
        path = folder / "features" / f"{domain}.parquet"
        table = pq.read_table(path)
        numbered = {f"{node}.{field}.{name}": f"{node}.{field}.{k}" for k, name in enumerate(members)}
        assert set(numbered) <= set(table.column_names)
        pq.write_table(table.rename_columns([numbered.get(name, name) for name in table.column_names]), path)
    older = sq.load_run(folder)
    for layer in ("L66", "L3", "L80"):
        pd.testing.assert_frame_equal(older.features(layer), run.features(layer))
    order = str(run.orders["order_id"].iloc[0])
    assert older.explain(order).trace() == run.explain(order).trace()
    pd.testing.assert_frame_equal(older.explain(order).contributions, run.explain(order).contributions)


def test_equity_and_drawdown_are_drawn(run: sq.Run) -> None:
    pyplot = pytest.importorskip("matplotlib.pyplot")
    pyplot.switch_backend("agg")
    above, below = run.plot()
    np.testing.assert_array_equal(above.lines[0].get_ydata(), run.equity.to_numpy())
    assert below.get_ylabel() == "drawdown (%)"
    pyplot.close("all")


FORMS: dict[str, Any] = {
    "pandas": lambda bars: bars,
    "indexed": lambda bars: bars.set_index("timestamp"),
    "dict": lambda bars: {
        s: part.drop(columns="symbol").set_index("timestamp") for s, part in bars.groupby("symbol", observed=True)
    },
    "arrow": lambda bars: pa.Table.from_pandas(bars, preserve_index=False),
}


@pytest.mark.parametrize("form", FORMS)
def test_tables_in_memory_are_the_same_market(bars: pd.DataFrame, form: str, tmp_path: Path) -> None:
    from stratoquant.frames import write_market

    made = write_market(FORMS[form](bars), tmp_path / "made", stamp="close")
    key = ["symbol", "timestamp"]
    theirs = pd.read_parquet(made / "bars.parquet")[bars.columns].astype({"symbol": str}).sort_values(key, ignore_index=True)
    ours = bars.astype({"symbol": str}).sort_values(key, ignore_index=True)
    pd.testing.assert_frame_equal(theirs, ours, check_dtype=False)


def test_bars_and_a_signal_of_ones_own_in_memory(bars: pd.DataFrame, market: Path, tmp_path: Path) -> None:
    times = pd.DatetimeIndex(bars["timestamp"].unique())
    symbols = sorted(bars["symbol"].astype(str).unique())
    signal = pd.DataFrame(np.random.default_rng(1).uniform(0.5, 1.5, (len(times), len(symbols))), times, symbols)
    made = sq.run(bars, stamp="close", alpha=signal, spec="own_signal", out=tmp_path / "own", report=False)
    external = made.features("L66")["values.external"].dropna()
    assert len(external) > 0
    assert (external > 0.0).all()
    stated = pq.read_table(tmp_path / "own-data" / "alpha.parquet")
    assert stated.num_rows == signal.size
    with pytest.raises(DataError, match="exists"):
        sq.run(bars, stamp="close", out=tmp_path / "own", overwrite=True)


@pytest.mark.parametrize(
    ("given", "kind", "sentence"),
    [
        ({"data": 5}, TypeError, "data is a int; give the path"),
        ({"start": 5}, TypeError, "start is 5; give a time"),
        ({"set": {"risk.gros": 1}}, ValueError, "risk.gros"),
        ({"alpha": pd.DataFrame()}, ValueError, "alpha goes with tables of bars"),
        ({"data": {}}, DataError, "the dict of bars is empty"),
        ({"data": pd.DataFrame({"a": [1.0]})}, DataError, "bars.parquet"),
        ({"data": {"A": 5}}, DataError, "the bars of A are a int"),
    ],
)
def test_a_mistake_is_answered_with_a_sentence(
    market: Path, tmp_path: Path, given: dict[str, Any], kind: Any, sentence: str
) -> None:
    with pytest.raises(kind, match=sentence):
        sq.run(**({"data": market, "out": tmp_path / "out"} | given))
    assert not list(tmp_path.iterdir())


def test_the_graph_is_a_picture(tmp_path: Path) -> None:
    picture = sq.graph(path=("L66", "L4"))
    assert picture.save(tmp_path / "way.dot").read_text(encoding="utf-8").startswith("digraph")
    assert picture._repr_svg_().lstrip().startswith("<")
    with pytest.raises(ValueError, match="one of domain, layer and path"):
        sq.graph(domain="risk", layer="L4")
    with pytest.raises(ValueError, match="none of"):
        picture.save(tmp_path / "way.jpg")


def test_a_folder_called_drivers_beside_a_script_breaks_nothing(tmp_path: Path) -> None:
    for name in ("drivers", "dataflows"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('imported the user\\'s own')\n", encoding="utf-8")
    script = tmp_path / "mine.py"
    root = Path(sq.__file__).parents[1]
    script.write_text(
        f"import sys; sys.path.append({str(root)!r})\nimport stratoquant as sq; print(sq.__version__)\n", encoding="utf-8"
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}
    )
    assert (done.returncode, done.stdout.strip()) == (0, sq.__version__), done.stderr
