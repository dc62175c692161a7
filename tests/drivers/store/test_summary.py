"""The figures of a run: against the whole run at once, and printable."""

from __future__ import annotations

import io
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from dataflows.data.types import Bars, Market, Quality
from dataflows.execution import types as ex
from dataflows.fusion.types import NO_SIGNAL, UNKNOWN_SIDE
from dataflows.regime.types import REGIMES, Regime
from dataflows.risk.types import VERDICTS
from drivers.files.json_values import json_values
from drivers.store.order_history import OrderHistory
from drivers.store.summary import Summary, table
from tests.drivers.store.records import SYMBOLS, logs, outputs, times
from tests.drivers.store.test_order_history import event, fill, place
from tests.support import filled


def more(a: int, b: int) -> dict[str, Any]:
    """Market quality and regimes of the same bars."""
    rng = np.random.default_rng(5)
    shape = (600, 2)
    label = rng.integers(-1, 5, shape)
    outlier, missing = rng.integers(0, 2, shape), rng.integers(0, 2, shape)
    listed = np.ones(shape, np.int64)
    listed[:50, 1] = 0
    quality = filled(Quality, (b - a, 2), 0.0, outlier=outlier[a:b], missing=missing[a:b], listed=listed[a:b])
    dropped = rng.integers(0, len(ex.DROPS), shape)
    volume = np.full(shape, 1.0)
    volume[:, 1] = np.nan
    given = {"quality": quality, "bars": filled(Bars, (b - a, 2), 1.0, volume=volume[a:b])}
    market = Market(*[given.get(name) for name in Market._fields])  # type: ignore[arg-type]
    return {
        "l0_market_feed": market._replace(quality=quality._replace(valid=np.ones((b - a, 2), np.int64))),
        "l1_regime": filled(Regime, (b - a, 2), 0.0, label=label[a:b]),
        "l89_venue_constraints": filled(ex.Constrained, (b - a, 2), 0.0, dropped=dropped[a:b]),
    }


def run(cuts: tuple[int, ...] = (), *, resumed: bool = False) -> dict[str, Any]:
    """The figures of a run that is cut there; resumed: another process goes on after each cut."""
    told: list[list[dict[str, Any]]] = [[] for _ in range(600)]
    reports: list[list[dict[str, Any]]] = [[] for _ in range(600)]
    told[2] = [place(4, bracket_stop=95.0), place(8, -1.0, 1, type=ex.LIMIT)]
    bought = fill(4, 1, 2.0, 101.0) | {"reference_price": 100.0}
    reports[3] = [event(ex.ACCEPT, 4), bought, event(ex.ACCEPT, 5), event(ex.REJECT, 8, "NO_ROOM", 1)]
    reports[500] = [fill(5, 2, -2.0, 94.0) | {"reference_price": 95.0}]
    history = OrderHistory(len(SYMBOLS))
    summary = Summary(SYMBOLS, history=history)
    edges = [0, *cuts, 600]
    for a, b in pairwise(edges):
        intents, at = logs(ex.OrderIntents, told[a:b])
        found, found_at = logs(ex.Executions, reports[a:b])
        values = outputs(a, b) | more(a, b) | {"l5_execution_bridge": intents, "l90_fills": found}
        if resumed:
            memory, history = json.loads(json.dumps(summary.whole_memory())), OrderHistory(len(SYMBOLS))
            summary = Summary(SYMBOLS, history=history)
            summary.go_on(memory)
        offsets = {"l5_execution_bridge": at, "l90_fills": found_at}
        summary.add(values, times(a, b), offsets, history.follow(values, times(a, b), offsets))
    return summary.figures()


def test_figures_are_those_of_the_whole_run() -> None:
    figures = run()
    made, extra = outputs(0, 600), more(0, 600)
    equity = made["l97_ledger"].equity
    account = figures["account"]
    assert account["return"] == pytest.approx((equity[-1] - 1.5) / equity[0] - 1.0)  # 1.5 came in as cash
    assert account["max_drawdown"] == made["l97_ledger"].drawdown.max()
    assert account["traded_notional"] == pytest.approx(2 * 101.0 + 2 * 94.0)
    assert account["turnover"] == pytest.approx((2 * 101.0 + 2 * 94.0) / equity.mean())
    assert account["slippage_cost"] == pytest.approx(2.0 + 2.0)
    assert figures["fills"] == 2
    assert figures["orders"] == {
        "total": 3,
        "by_type": {"LIMIT": {"REJECTED": 1}, "MARKET": {"FILLED": 1}, "STOP_MARKET": {"FILLED": 1}},
    }
    proposal, verdict = made["l3_action_proposal"], made["l4_risk_gate"].verdict
    weighed = (proposal.side != UNKNOWN_SIDE) & (proposal.refusal & NO_SIGNAL == 0)
    assert figures["proposals"]["with_an_edge"] == np.count_nonzero(weighed)
    assert figures["proposals"]["may_not_enter"] == np.count_nonzero(weighed & (proposal.may_enter == 0))
    for code, name in enumerate(VERDICTS[:4]):
        assert figures["decisions"]["by_verdict"][name] == np.count_nonzero(verdict == code)
    label = extra["l1_regime"].label
    assert figures["regimes"][REGIMES[4]] == pytest.approx((label == 4).mean())
    assert sum(figures["regimes"].values()) == pytest.approx(1.0)
    quality = extra["l0_market_feed"].quality
    assert figures["data_quality"]["outlier"] == quality.outlier.sum()
    assert figures["data_quality"]["missing"] == (quality.missing * quality.listed).sum()
    assert (figures["bars"], figures["start"], figures["end"]) == (600, "2026-03-01T00:01:00Z", "2026-03-01T10:00:00Z")


@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize("cuts", [(1,), tuple(range(1, 600, 11)), (3, 4, 500)])
def test_figures_are_the_same_to_the_bit_however_the_run_was_cut(cuts: tuple[int, ...], resumed: bool) -> None:
    """Sums of equity, fees and notional too, wherever a killed stream was resumed."""
    whole = run()
    assert run(cuts, resumed=resumed) == whole
    assert len(whole["dropped_by_filter"]) == len(ex.DROPS) - 1
    assert whole["without_volume"] == [SYMBOLS[1]]


def test_refusals_are_counted_where_an_edge_was_weighed_and_may_not_be_entered() -> None:
    values = outputs(0, 600)
    proposal = values["l3_action_proposal"]._replace(may_enter=np.zeros((600, 2), np.int64), refusal=np.full((600, 2), 0b10))
    summary = Summary(SYMBOLS)
    summary.add({"l3_action_proposal": proposal}, times(0, 600), {})
    weighed = int(np.count_nonzero(proposal.side != UNKNOWN_SIDE))
    assert summary.figures()["proposals"] == {
        "with_an_edge": weighed,
        "may_not_enter": weighed,
        "by_refusal": {"NOT_LEARNED": weighed},
    }


def test_a_part_of_the_graph_has_a_part_of_the_figures() -> None:
    summary = Summary(SYMBOLS)
    assert summary.figures() == {"bars": 0, "symbols": list(SYMBOLS)}
    summary.add({"l1_regime": more(0, 5)["l1_regime"]}, times(0, 5), {})
    assert set(summary.figures()) == {"bars", "symbols", "start", "end", "regimes"}


def test_a_ruined_account_lost_more_than_it_had_and_that_is_said() -> None:
    """100, 125, then a debt of 60: a loss of 160 % since the start, though of the peak it is 148 %."""
    equity, peak = np.array([100.0, 125.0, -60.0, -55.0]), np.array([100.0, 125.0, 125.0, 125.0])
    ledger = filled(ex.Ledger, (4, 2), 0.0, equity=equity, peak=peak, drawdown=np.array([0.0, 0.1, 1.0, 1.0]), fees=np.zeros(4))
    summary = Summary(SYMBOLS)
    summary.add({"l97_ledger": ledger}, times(0, 4), {})
    figures = summary.figures()
    assert figures["account"]["return"] == pytest.approx(-1.55)
    assert figures["account"]["max_drawdown"] == pytest.approx(1.6)
    assert figures["account"]["least_equity"] == -60.0
    out = io.StringIO()
    Console(file=out, width=140).print(table(figures))
    assert "the account was ruined" in out.getvalue() and "its equity fell to -60.00: it owed money" in out.getvalue()


def test_figures_can_be_printed_and_stored(tmp_path: Path) -> None:
    figures = run()
    read = json.loads(json.dumps(json_values(figures)))
    out = io.StringIO()
    Console(file=out, width=140).print(table(read))  # also as read back from run.json
    text = out.getvalue()
    for part in ("return", "largest drawdown", "STOP_MARKET", "Decisions by verdict: HOLD", "Regimes: ", "Data: ", "FILLED"):
        assert part in text
    Console(file=io.StringIO()).print(table(Summary(SYMBOLS).figures()))
