"""`venue: live`: a run whose reports come through the port is the simulated run that made them, to the bit."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from drivers.project.locate import defaults
from drivers.run.batch import run_batch
from drivers.run.replay import replay
from drivers.run.request import RunRequest
from drivers.run.stream import run_stream
from drivers.venues.base import VenueRefusal
from tests.drivers.small_market import folder
from tests.drivers.venues.scripted import ScriptedVenue

MINUTES = 1860
"""The data begins at 21:00; trade begins a day later."""
MINUTE = 60_000_000_000
EARLY = 6
"""Instants at which something is reported before the close."""
AUDIT = ("filled_notional", "delay_bps", "spread_bps", "impact_bps", "fee_bps", "vwap_bps", "profit")


class Runs(NamedTuple):
    """Results of the simulated run, and of two at the scripted venue: with all reports at the closes, and, up to the first fills,
    with the reports half a minute before them."""

    data: Path
    live: Path
    simulated: Path
    at_closes: Path
    between: Path
    venues: list[ScriptedVenue]


def quiet() -> Console:
    return Console(file=io.StringIO())


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Runs:
    base = tmp_path_factory.mktemp("live")
    data, live = folder(base / "data", MINUTES), base / "live"
    project = defaults()
    shutil.copytree(project.config, live / "config")
    shutil.copytree(project.specs, live / "specs")
    wiring = project.wiring.read_text(encoding="utf-8")
    assert wiring.count("venue: sim") == 1
    (live / "wiring_master.yaml").write_text(wiring.replace("venue: sim", "venue: live"), encoding="utf-8")
    common: dict[str, Any] = {"data": data, "spec": "prior_belief", "report": False}
    simulated = base / "simulated"
    run_batch(RunRequest(out=simulated, **common), quiet())
    venues: list[ScriptedVenue] = []

    def connected(out: Path, early: int, end: int | None = None) -> Path:
        def connect(session: Any) -> ScriptedVenue:
            venues.append(ScriptedVenue(simulated, session.data.symbols, early))
            return venues[-1]

        run_stream(RunRequest(out=out, project=live, end=end, **common), quiet(), connect=connect)
        return out

    at_closes = connected(base / "closes", 0)
    end = max(ScriptedVenue(simulated, ("AAA", "BBB"), EARLY).early) + 10 * MINUTE
    return Runs(data, live, simulated, at_closes, connected(base / "between", EARLY, end), venues)


def differing(a: Path, b: Path, table: str, columns: list[str] | None = None) -> list[str]:
    """The columns of a table that are not the same bits in both results."""
    one, two = (pq.read_table(out / table) for out in (a, b))
    assert one.num_rows >= two.num_rows > 0
    one = one.slice(0, two.num_rows)  # the other may have ended earlier

    def same(name: str) -> bool:
        x, y = (t[name].combine_chunks() for t in (one, two))
        if not pa.types.is_floating(x.type):
            return x.cast(pa.string()).equals(y.cast(pa.string())) if pa.types.is_dictionary(x.type) else bool(x.equals(y))
        u, v = (np.asarray(c.fill_null(np.nan)) for c in (x, y))
        return bool(((u == v) | ((u != u) & (v != v))).all())

    return [name for name in columns or one.column_names if not same(name)]


def test_the_run_that_made_the_script_traded(runs: Runs) -> None:
    orders = pq.read_table(runs.simulated / "orders.parquet").to_pandas()
    assert pq.read_metadata(runs.simulated / "fills.parquet").num_rows > 20
    assert {"FILLED", "CANCELED"} <= set(orders.status)
    assert {"STOP_MARKET", "TAKE_PROFIT"} <= set(orders.type)


def test_positions_cash_fees_and_equity_are_those_of_the_simulated_run(runs: Runs) -> None:
    assert differing(runs.simulated, runs.at_closes, "ledger.parquet") == []


@pytest.mark.parametrize("table", ["fills.parquet", "orders.parquet", "decisions.parquet"])
def test_so_are_orders_fills_and_decisions(runs: Runs, table: str) -> None:
    assert differing(runs.simulated, runs.at_closes, table) == []


def test_so_is_every_layers_output(runs: Runs) -> None:
    """But for L98: a snapshot states cash with funding and fees, the simulated venue counts it without."""
    for domain in sorted((runs.simulated / "features").iterdir()):
        found = differing(runs.simulated, runs.at_closes, f"features/{domain.name}")
        assert [name for name in found if not name.startswith("l98_reconciliation.")] == []


def test_the_venue_was_told_all_orders_gave_all_reports_and_was_closed(runs: Runs) -> None:
    whole, _ = runs.venues
    assert whole.told == len(whole.orders) > 0
    assert whole.handed == len(whole.reports) > 0
    assert all(venue.closed for venue in runs.venues)


def test_a_fill_between_two_bars_is_in_the_account_and_the_audit_of_its_bar(runs: Runs) -> None:
    fills = pq.read_table(runs.between / "fills.parquet")["timestamp"].cast(pa.int64()).to_numpy()
    assert (fills % MINUTE == MINUTE // 2).sum() >= 2
    assert differing(runs.simulated, runs.between, "ledger.parquet", ["position", "cash", "fees", "equity"]) == []
    audit = [f"l100_decision_audit.{name}" for name in AUDIT]
    assert differing(runs.simulated, runs.between, "features/execution.parquet", audit) == []


def test_the_journal_holds_reports_and_snapshots_so_that_a_replay_gives_the_same_bits(runs: Runs) -> None:
    """Every state that the journal states on its way is checked, and so is the last."""
    again = replay(runs.between, runs.live)
    assert again.commands == 0
    assert again.checks >= 3
    with np.load(runs.between / "checkpoint.npz") as saved:
        np.testing.assert_array_equal(saved["f8"], again.engine.arena.f8)


def test_a_run_over_recorded_data_refuses_a_live_venue_and_says_what_to_do(runs: Runs, tmp_path: Path) -> None:
    request = RunRequest(data=runs.data, out=tmp_path / "out", project=runs.live)
    for run in (run_batch, run_stream):
        with pytest.raises(VenueRefusal, match="none is connected; choose `venue: sim` in"):
            run(request, quiet())
    assert not list(tmp_path.iterdir())


def test_a_venue_that_no_order_would_reach_is_refused(runs: Runs, tmp_path: Path) -> None:
    with pytest.raises(VenueRefusal, match="so no order would reach it; choose `venue: live`"):
        run_stream(RunRequest(data=runs.data, out=tmp_path / "out"), quiet(), connect=lambda session: runs.venues[0])
