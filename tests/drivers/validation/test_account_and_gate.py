"""A ledger, an approval or an order that is doctored after the run is found, with its place; the run itself is not."""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dataflows.execution import types as ex
from dataflows.risk.types import RiskConfig
from drivers.engine.chunk import Chunk, Outputs
from drivers.validation.account import ledger_adds_up
from drivers.validation.gate import approvals_within_caps, held_beyond_caps, orders_are_complete, orders_within_approvals
from drivers.validation.registry import Broken, Property
from drivers.validation.trial import Trial
from tests.drivers.validation.markets import Observed
from tests.properties.graph import plan_of
from tests.properties.market import instruments, market

PROPERTIES = {p.name: p for p in (ledger_adds_up, approvals_within_caps, orders_within_approvals, orders_are_complete)}


@pytest.fixture(scope="module")
def trial() -> Trial:
    return Trial(plan_of(), Observed(market(symbols=2)), {"instruments": instruments(2)})


@pytest.fixture(scope="module")
def run(trial: Trial) -> list[Outputs]:
    """The outputs of a market in which the account trades, cut at midnight and once more."""
    engine, made = trial.engine(), []
    for a, b in trial.market.cuts(800):
        rows = trial.market.rows(a, b)
        made.append(engine.advance(Chunk(rows.time, {"observations": rows})))
    reports = [o.values["l90_fills"] for o in made]
    assert sum(np.count_nonzero(r.kind[: r.n] == ex.FILL) for r in reports) > 5
    return made


@pytest.fixture
def outputs(run: list[Outputs]) -> list[Outputs]:
    """A copy to doctor."""
    return copy.deepcopy(run)


def through(p: Property, trial: Trial, outputs: list[Outputs]) -> int:
    """Takes all outputs through a property; how many bars it tested."""
    assert p.along is not None
    take = p.along(trial)
    return sum(take(o).bars for o in outputs)


@pytest.mark.parametrize("name", list(PROPERTIES))
def test_a_run_as_it_is_holds(name: str, trial: Trial, outputs: list[Outputs]) -> None:
    assert through(PROPERTIES[name], trial, outputs) == 2400


LAST = {"cash": 0.01, "equity": -0.01, "peak": 1.0, "gross": 0.5, "net": 0.5, "drawdown": 1e-6, "funding": 0.02}


@pytest.mark.parametrize("figure", list(LAST))
def test_a_figure_of_the_ledger_that_is_off_is_found(figure: str, trial: Trial, outputs: list[Outputs]) -> None:
    values = outputs[-1].values
    doctored = np.array(getattr(values["l97_ledger"], figure))
    doctored[40] += LAST[figure]
    values["l97_ledger"] = values["l97_ledger"]._replace(**{figure: doctored})
    with pytest.raises(Broken, match=f"^L97 l97_ledger, {figure} at 2026-01-02T.*the fills, fees, funding and marks make it"):
        through(ledger_adds_up, trial, outputs)


@pytest.fixture(scope="module")
def costly() -> tuple[Trial, list[Outputs]]:
    """Fees in base units, contracts of ten, and a borrowed short position from the start."""
    facts = instruments(2)._replace(
        base_fee=np.ones(2, np.int64),
        taker_fee_bps=np.full(2, 30.0),
        borrow_rate=np.full(2, 0.5),
        multiplier=np.array([1.0, 10.0]),
        start_position=np.array([0.0, -0.2]),
    )
    trial = Trial(plan_of(), Observed(market(symbols=2)), {"instruments": facts})
    engine = trial.engine()
    rows = [trial.market.rows(a, b) for a, b in trial.market.cuts(2400)]
    return trial, [engine.advance(Chunk(r.time, {"observations": r})) for r in rows]


def test_fees_in_base_units_borrow_cost_and_contracts_add_up(costly: tuple[Trial, list[Outputs]]) -> None:
    trial, outputs = costly
    reports = [o.values["l90_fills"] for o in outputs]
    assert sum(float(r.fee_base[: r.n].sum()) for r in reports) > 0.0
    assert through(ledger_adds_up, trial, outputs) == 2400


def test_contracts_of_the_wrong_size_are_found(costly: tuple[Trial, list[Outputs]]) -> None:
    trial, outputs = costly
    for wrong in ({"multiplier": np.ones(2)}, {"inverse": np.ones(2, np.int64)}):
        facts = trial.static["instruments"]._replace(**wrong)
        with pytest.raises(Broken, match=r"^L97 l97_ledger, \w+ at"):
            through(ledger_adds_up, Trial(trial.plan, trial.market, {"instruments": facts}), outputs)


def test_a_fee_in_base_units_that_was_not_booked_is_found(costly: tuple[Trial, list[Outputs]]) -> None:
    trial, outputs = copy.deepcopy(costly)
    for o in outputs:
        o.values["l90_fills"].fee_base[:] = 0.0
    with pytest.raises(Broken, match=r"^L97 l97_ledger, equity at"):
        through(ledger_adds_up, trial, outputs)


def test_borrow_cost_that_was_not_paid_is_found(costly: tuple[Trial, list[Outputs]]) -> None:
    trial, outputs = costly
    free = trial.static["instruments"]._replace(borrow_rate=np.zeros(2))
    with pytest.raises(Broken, match=r"^L97 l97_ledger, \w+ at"):
        through(ledger_adds_up, Trial(trial.plan, trial.market, {"instruments": free}), outputs)


def test_a_position_that_is_not_the_sum_of_its_fills_is_found(trial: Trial, outputs: list[Outputs]) -> None:
    outputs[-1].values["l97_ledger"].position[7, 1] += 1e-3
    with pytest.raises(Broken, match=r"^L97 l97_ledger, position of S001 at"):
        through(ledger_adds_up, trial, outputs)


def test_a_fill_that_is_lost_or_comes_twice_is_found(trial: Trial, outputs: list[Outputs]) -> None:
    fills = next(o.values["l90_fills"] for o in outputs if (o.values["l90_fills"].kind == ex.FILL).any())
    first, second = np.flatnonzero(fills.kind == ex.FILL)[:2]
    kept, fills.fill_id[second] = fills.fill_id[second], fills.fill_id[first]
    if fills.symbol[first] == fills.symbol[second]:
        with pytest.raises(Broken, match="comes twice"):
            through(ledger_adds_up, trial, outputs)
    fills.fill_id[second], fills.kind[first] = kept, ex.ACCEPT
    with pytest.raises(Broken, match="L97 l97_ledger, cash at"):
        through(ledger_adds_up, trial, outputs)


def approved(outputs: list[Outputs]) -> tuple[Outputs, int, int]:
    """A chunk, bar and column at which new risk was approved."""
    for o in outputs:
        gate = o.values["l4_risk_gate"]
        found = np.argwhere(gate.reduce_only == 0)
        if len(found):
            return o, int(found[0, 0]), int(found[0, 1])
    raise AssertionError("nothing was approved")


DOCTORED: dict[str, tuple[Callable[[Any, int, int], Any], str]] = {
    "not finite": (lambda v, t, n: v["l4_risk_gate"].target_weight.__setitem__((t, n), np.nan), "a target that is not finite"),
    "too large": (lambda v, t, n: v["l4_risk_gate"].target_weight.__setitem__((t, n), 0.9), "a target beyond"),
    "no stop": (lambda v, t, n: v["l4_risk_gate"].stop.__setitem__((t, n), np.nan), "an increase without a stop"),
    "beyond L85": (lambda v, t, n: v["l85_instrument_cap"].fraction.__setitem__((t, n), 1e-4), "beyond the instrument cap"),
    "beyond L87": (lambda v, t, n: v["l87_concentration_cap"].weight.__setitem__((t, n), 1e-4), "beyond the concentration cap"),
    "beyond L93": (lambda v, t, n: v["l93_open_risk_budget"].weight.__setitem__((t, n), 1e-4), "beyond the open risk budget"),
    "beyond L95": (lambda v, t, n: v["l95_tail_budget"].weight.__setitem__((t, n), 1e-4), "beyond the tail budget"),
    "beyond L86": (lambda v, t, n: v["l86_exposure_cap"].weight.__setitem__((t, n), 1e-4), "beyond the exposure cap"),
    "beyond L3": (lambda v, t, n: v["l3_action_proposal"].size_fraction.__setitem__((t, n), 1e-4), "beyond what was proposed"),
    "no equity": (lambda v, t, n: v["l97_ledger"].equity.__setitem__(t, -1.0), "an increase without equity"),
}


@pytest.mark.parametrize("fault", list(DOCTORED))
def test_an_approval_beyond_a_cap_is_found(fault: str, trial: Trial, outputs: list[Outputs]) -> None:
    o, t, n = approved(outputs)
    change, said = DOCTORED[fault]
    change(o.values, t, n)
    with pytest.raises(Broken, match=rf"^L4 l4_risk_gate approved .*{said}.* of equity in S00{n} at "):
        through(approvals_within_caps, trial, outputs)


def test_targets_that_together_exceed_gross_or_net_are_found(trial: Trial, outputs: list[Outputs]) -> None:
    for name in ("gross", "net"):
        risk = trial.plan.configs["risk"]._replace(**{name: 1e-6})
        plan = copy.copy(trial.plan)
        plan.configs = {**plan.configs, "risk": risk}
        with pytest.raises(Broken, match=f"targets that may exceed risk.{name} on the way"):
            through(approvals_within_caps, Trial(plan, trial.market, trial.static), outputs)


def two_bars(position: list[list[float]], target: list[float]) -> dict[str, Any]:
    """Two bars of an account of 1000 at marks of 100."""
    held = np.array(position)
    ledger = SimpleNamespace(position=held, unit_value=np.full(held.shape, 100.0), equity=np.full(2, 1000.0))
    return {"l97_ledger": ledger, "l4_risk_gate": SimpleNamespace(target_weight=np.array([target, target]))}


def test_a_position_that_grows_beyond_a_cap_of_all_symbols_is_found() -> None:
    risk = RiskConfig()._replace(net=0.2, gross=0.5)
    assert held_beyond_caps(two_bars([[0.0, 0.0], [2.0, 0.0]], [0.2, 0.0]), risk) is None
    assert held_beyond_caps(two_bars([[0.0, 0.0], [3.0, -1.0]], [0.3, -0.1]), risk) == (
        1,
        0,
        "a position beyond risk.net, long",
    )
    hedged = two_bars([[1.0, -1.0], [3.0, -1.0]], [0.3, -0.1])  # the short was held and kept: 0.2 net
    assert held_beyond_caps(hedged, risk) is None
    leaving = two_bars([[1.0, -1.0], [3.0, -1.0]], [0.3, 0.0])  # the short was to be closed
    assert held_beyond_caps(leaving, risk) == (1, 0, "a position beyond risk.net, long")
    assert held_beyond_caps(two_bars([[3.0, 0.0], [3.0, 0.0]], [0.3, 0.0]), risk) is None  # nothing has grown
    wide = risk._replace(net=1.0)
    assert held_beyond_caps(two_bars([[3.0, -2.0], [3.0, -2.5]], [0.3, -0.25]), wide) == (1, 1, "a position beyond risk.gross")


def entry(outputs: list[Outputs]) -> tuple[Outputs, int]:
    """A chunk and the place in L5's log of an entry."""
    for o in outputs:
        log = o.values["l5_execution_bridge"]
        found = np.flatnonzero((log.kind == ex.PLACE) & (log.reduce_only == 0))
        if len(found):
            return o, int(found[0])
    raise AssertionError("no entry was sent")


def test_an_order_past_what_was_approved_is_found(trial: Trial, outputs: list[Outputs]) -> None:
    o, i = entry(outputs)
    o.values["l5_execution_bridge"].quantity[i] *= 50.0
    with pytest.raises(Broken, match=r"^L5 l5_execution_bridge: S00\d at .* has entries of .* at work; L4 approved"):
        through(orders_within_approvals, trial, outputs)


def test_an_order_past_the_cap_of_the_configuration_is_found(trial: Trial, outputs: list[Outputs]) -> None:
    plan = copy.copy(trial.plan)
    plan.configs = {**plan.configs, "risk": trial.plan.configs["risk"]._replace(max_fraction=1e-4)}
    with pytest.raises(Broken, match=r"at work; risk.max_fraction allows"):
        through(orders_within_approvals, Trial(plan, trial.market, trial.static), outputs)


def test_an_entry_that_is_not_canceled_when_its_approval_ends_is_found(trial: Trial, outputs: list[Outputs]) -> None:
    """The cancel is taken out of the log: the entry goes on working against a target of nothing."""
    for o in outputs:
        log = o.values["l5_execution_bridge"]
        entries = set(log.id[(log.kind == ex.PLACE) & (log.reduce_only == 0)].tolist())
        cancels = [i for i in np.flatnonzero(log.kind == ex.CANCEL) if int(log.id[i]) in entries]
        if cancels:
            log.kind[cancels] = ex.MODIFY
            with pytest.raises(Broken, match="has entries of"):
                through(orders_within_approvals, trial, outputs)
            return
    pytest.fail("no entry was canceled")


NUMBERS = {
    "quantity": (np.nan, "a quantity that is not finite"),
    "bracket_stop": (np.nan, "an entry without a stop"),
}


@pytest.mark.parametrize("field", list(NUMBERS))
def test_an_order_that_lacks_a_number_is_found(field: str, trial: Trial, outputs: list[Outputs]) -> None:
    o, i = entry(outputs)
    value, said = NUMBERS[field]
    getattr(o.values["l5_execution_bridge"], field)[i] = value
    with pytest.raises(Broken, match=rf"^L5 l5_execution_bridge: an order in S00\d at .* has {said}\.$"):
        through(orders_are_complete, trial, outputs)


@pytest.mark.parametrize(
    ("limit", "stop", "said"), [(np.nan, 95.0, "a limit without a price"), (94.0, np.nan, "a stop without a trigger")]
)
def test_a_stop_limit_needs_both_prices(limit: float, stop: float, said: str, trial: Trial, outputs: list[Outputs]) -> None:
    o, i = entry(outputs)
    log = o.values["l5_execution_bridge"]
    log.type[i], log.limit_price[i], log.stop_price[i] = ex.STOP_LIMIT, limit, stop
    with pytest.raises(Broken, match=said):
        through(orders_are_complete, trial, outputs)


def test_a_limit_without_a_price_is_found(trial: Trial, outputs: list[Outputs]) -> None:
    o, i = entry(outputs)
    log = o.values["l5_execution_bridge"]
    log.type[i], log.limit_price[i] = ex.LIMIT, np.nan
    with pytest.raises(Broken, match="a limit without a price"):
        through(orders_are_complete, trial, outputs)
