"""No order gets past the risk gate: approvals within every cap, orders within the approvals, and no NaN in any of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from dataflows.execution import types as ex
from drivers.engine.chunk import Outputs
from drivers.text.times import stamp
from drivers.validation.registry import Along, Broken, Tested, along_the_run
from drivers.validation.trial import Trial

SLACK: Final = 1e-9
"""Relative: what rounding may add to a weight or a quantity."""


@np.errstate(all="ignore")  # hostile values make infinities of the check's own arithmetic
def beyond_caps(values: Mapping[str, Any], risk: Any) -> tuple[int, int, str] | None:
    """The first approval of L4 beyond a cap, as (bar, column, what is wrong); None where there is none.

    A target is a finite weight. It closes, or lies between nothing and the position that is there; or it is an increase: with
    equity and a stop, and no more than the proposal and than L85, L86, L87, L93, L95 and `risk.max_fraction` allow. Where
    anything increases, what may be held on the way to the targets keeps within `risk.gross` and, on that side, `risk.net`.
    values: outputs by node, of any bars.
    """
    gate, ledger, proposal = values["l4_risk_gate"], values["l97_ledger"], values["l3_action_proposal"]
    target, equity = gate.target_weight, np.asarray(ledger.equity)[:, None]
    held = np.where(equity > 0.0, ledger.position * ledger.unit_value / equity, np.nan)
    keeps = (target == 0.0) | ((target * np.sign(held) >= 0.0) & (np.abs(target) <= np.abs(held) * (1.0 + SLACK)))
    size = np.where(np.isfinite(target), np.abs(target), np.inf)
    caps = {
        "the instrument cap": values["l85_instrument_cap"].fraction,
        "the exposure cap": np.abs(values["l86_exposure_cap"].weight),
        "the concentration cap": np.abs(values["l87_concentration_cap"].weight),
        "the open risk budget": np.abs(values["l93_open_risk_budget"].weight),
        "the tail budget": np.abs(values["l95_tail_budget"].weight),
        "risk.max_fraction": np.full(target.shape, float(risk.max_fraction)),
        "what was proposed": proposal.size_fraction,
    }
    faults = {"a target that is not finite": ~np.isfinite(target)}
    faults["an increase without equity"] = ~keeps & ~(equity > 0.0)
    faults["an increase without a stop"] = ~keeps & ~(gate.stop > 0.0)
    for name, cap in caps.items():
        faults[f"a target beyond {name}"] = ~keeps & ~(size <= cap * (1.0 + SLACK) + 1e-12)
    held = np.where(np.isfinite(held), held, 0.0)
    gross = np.maximum(np.abs(held), size).sum(axis=1)
    faults["targets that may exceed risk.gross on the way"] = ~keeps & ~(gross <= float(risk.gross) * (1.0 + SLACK))[:, None]
    for side, name in ((1.0, "long"), (-1.0, "short")):
        net = net_at_worst(side * held, side * target)
        faults[f"targets that may exceed risk.net on the way, {name}"] = (
            ~keeps & (side * target > 0.0) & ~(net <= float(risk.net) * (1.0 + SLACK))[:, None]
        )
    found = [(int(at[0]), int(at[1]), what) for what, wrong in faults.items() for at in np.argwhere(wrong)[:1]]
    return min(found, key=lambda f: f[:-1], default=None)  # of one place the first that is listed


def net_at_worst(held: Any, target: Any) -> Any:
    """The most that the net weight (T,) may be on the way from what is held to the targets, (T, N), towards the positive side.

    A long counts with the larger of both. A short counts with the smaller: a hedge that has not happened hedges nothing.
    """
    longs = np.maximum(np.maximum(held, target), 0.0).sum(axis=1)
    return longs - np.minimum(np.maximum(-held, 0.0), np.maximum(-target, 0.0)).sum(axis=1)


@np.errstate(all="ignore")  # hostile values make infinities of the check's own arithmetic
def held_beyond_caps(values: Mapping[str, Any], risk: Any) -> tuple[int, int, str] | None:
    """The first position that has grown beyond a cap of all symbols, as (bar, column, what is wrong); None where there is none.

    Positions are weighed with the marks and the equity of the bar before, whose approvals sent what has filled since; a hedge
    counts as far as it was held then and was to be kept. values: outputs by node, of successive bars.
    """
    ledger, target = values["l97_ledger"], values["l4_risk_gate"].target_weight
    equity = np.asarray(ledger.equity)[:-1, None]
    unit = np.where(equity > 0.0, ledger.unit_value[:-1] / equity, np.nan)
    before, now = ledger.position[:-1] * unit, ledger.position[1:] * unit
    told = np.isfinite(before).all(axis=1) & np.isfinite(now).all(axis=1)
    grown = told[:, None] & (np.abs(now) > np.abs(before) * (1.0 + SLACK))
    gross = np.maximum(np.abs(before), np.abs(now)).sum(axis=1)
    faults = {"gross": grown & ~(gross <= float(risk.gross) * (1.0 + SLACK))[:, None]}
    for side, name in ((1.0, "net, long"), (-1.0, "net, short")):
        hedges = np.minimum(np.maximum(-side * before, 0.0), np.maximum(-side * target[:-1], 0.0)).sum(axis=1)
        net = np.maximum(side * now, 0.0).sum(axis=1) - hedges
        faults[name] = grown & (side * now > 0.0) & ~(net <= float(risk.net) * (1.0 + SLACK))[:, None]
    found = [
        (int(at[0]) + 1, int(at[1]), f"a position beyond risk.{name}")
        for name, wrong in faults.items()
        for at in np.argwhere(wrong)[:1]
    ]
    return min(found, key=lambda f: f[:-1], default=None)


def malformed(orders: Any) -> tuple[int, str] | None:
    """The first order of L5's log without a number that it needs, as (entry, what is wrong); None where there is none."""
    sent, kind = orders.kind != ex.CANCEL, orders.type
    places = orders.kind == ex.PLACE
    limited = places & np.isin(kind, (ex.LIMIT, ex.POST_ONLY, ex.TAKE_PROFIT, ex.STOP_LIMIT))
    stops = (places & np.isin(kind, (ex.STOP_MARKET, ex.STOP_LIMIT))) | (
        (orders.kind == ex.MODIFY) & ~(np.abs(orders.quantity) > 0.0)
    )
    faults = {
        "a quantity that is not finite": sent & ~np.isfinite(orders.quantity),
        "no quantity": places & (orders.quantity == 0.0),
        "a limit without a price": limited & ~np.isfinite(orders.limit_price),
        "a stop without a trigger": stops & ~np.isfinite(orders.stop_price),
        "an entry without a stop": places & (orders.reduce_only == 0) & ~(orders.bracket_stop > 0.0),
    }
    found = [(int(np.flatnonzero(wrong)[0]), what) for what, wrong in faults.items() if wrong.any()]
    return min(found, key=lambda f: f[:-1], default=None)  # of one place the first that is listed


class Working:
    """Entries that may still fill and that nobody has canceled, from L5's and L90's logs alone."""

    def __init__(self) -> None:
        self.open: dict[int, tuple[int, float]] = {}  # order id to column and signed quantity left
        self.filled: dict[int, float] = {}  # of those orders

    def report(self, kind: int, order: int, quantity: float) -> None:
        """One of the venue's reports."""
        if order not in self.open or kind in (ex.ACCEPT, ex.CANCEL_REJECT):
            return
        column, left = self.open[order]
        left -= quantity if kind == ex.FILL else left
        self.filled[order] += quantity if kind == ex.FILL else 0.0
        self.open[order] = column, left
        if not abs(left) > SLACK * abs(quantity) or left * self.filled[order] < 0.0:  # filled before it was lessened
            del self.open[order]

    def intent(self, log: Any, i: int) -> None:
        """One of L5's orders."""
        if log.kind[i] == ex.PLACE and log.reduce_only[i] == 0:
            self.open[int(log.id[i])] = int(log.symbol[i]), float(log.quantity[i])
            self.filled[int(log.id[i])] = 0.0
        elif log.kind[i] == ex.MODIFY and int(log.id[i]) in self.open and abs(log.quantity[i]) > 0.0:
            self.open[int(log.id[i])] = int(log.symbol[i]), float(log.quantity[i]) - self.filled[int(log.id[i])]
        elif log.kind[i] == ex.CANCEL:
            self.open.pop(int(log.id[i]), None)

    def by_column(self) -> dict[int, tuple[float, float]]:
        """What is left to buy and to sell, by column."""
        sums: dict[int, tuple[float, float]] = {}
        for column, left in self.open.values():
            buys, sells = sums.get(column, (0.0, 0.0))
            sums[column] = (buys + max(left, 0.0), sells + min(left, 0.0))
        return sums


@along_the_run(
    "approvals within the caps",
    "Whatever the signals ask for, what the risk gate approves keeps within the caps of the configuration.",
    "l4_risk_gate",
    "l3_action_proposal",
    "l85_instrument_cap",
    "l86_exposure_cap",
    "l87_concentration_cap",
    "l93_open_risk_budget",
    "l95_tail_budget",
    "l97_ledger",
)
def approvals_within_caps(trial: Trial) -> Along:
    """Every target of L4 against every cap."""

    def take(outputs: Outputs) -> Tested:
        target = outputs.values["l4_risk_gate"].target_weight
        found = beyond_caps(outputs.values, trial.plan.configs["risk"])
        if found is not None:
            t, n, what = found
            weight, symbol = float(target[t, n]), trial.market.symbols[n]
            raise Broken(f"L4 l4_risk_gate approved {what}: {weight!r} of equity in {symbol} at {stamp(outputs.time[t])}.")
        return Tested(len(target), 12 * target.size, 12)

    return take


@along_the_run(
    "orders within the approvals",
    "The position and all working entries of a symbol, filled together, never exceed what the risk gate approved.",
    "l5_execution_bridge",
    "l90_fills",
    "l4_risk_gate",
    "l97_ledger",
)
def orders_within_approvals(trial: Trial) -> Along:
    """After every bar's orders: what is held and what could still fill, against the approved weight and `risk.max_fraction`.

    And of all symbols: what has grown since the bar before, against `risk.gross` and `risk.net`.
    """
    working, most = Working(), float(trial.plan.configs["risk"].max_fraction)

    def take(outputs: Outputs) -> Tested:
        reports, intents = outputs.values["l90_fills"], outputs.values["l5_execution_bridge"]
        told, sent = outputs.offsets["l90_fills"], outputs.offsets["l5_execution_bridge"]
        gate, ledger = outputs.values["l4_risk_gate"], outputs.values["l97_ledger"]
        checked = 0
        found = held_beyond_caps(outputs.values, trial.plan.configs["risk"])
        if found is not None:
            t, n, what = found
            raise Broken(f"L5 l5_execution_bridge: {trial.market.symbols[n]} at {stamp(outputs.time[t])} has {what}.")
        for t, time in enumerate(outputs.time):
            for i in range(told[t], told[t + 1]):
                working.report(int(reports.kind[i]), int(reports.id[i]), float(reports.quantity[i]))
            placed = set()
            for i in range(sent[t], sent[t + 1]):
                working.intent(intents, i)
                if intents.kind[i] == ex.PLACE and intents.reduce_only[i] == 0:
                    placed.add(int(intents.symbol[i]))
            for s, (buys, sells) in working.by_column().items() if working.open else ():
                checked += 1
                held, unit = float(ledger.position[t, s]), float(ledger.unit_value[t, s]) / float(ledger.equity[t])
                approved = float(gate.target_weight[t, s]) / unit if unit > 0.0 else math.nan
                after = held + buys if buys > -sells else held + sells
                limit = (1.0 + 2 * SLACK) * abs(approved)
                if not (abs(after) <= limit and after * approved >= 0.0):
                    raise Broken(_beyond(trial, s, time, held, buys + sells, f"L4 approved {approved!r}"))
                if s in placed and not abs(after) * unit <= most * (1.0 + 2 * SLACK):
                    raise Broken(_beyond(trial, s, time, held, buys + sells, f"risk.max_fraction allows {most / unit!r}"))
        return Tested(len(outputs.time), checked, 1)

    return take


def _beyond(trial: Trial, s: int, time: int, held: float, left: float, limit: str) -> str:
    symbol = trial.market.symbols[s]
    return f"L5 l5_execution_bridge: {symbol} at {stamp(time)} holds {held!r} and has entries of {left!r} at work; {limit}."


@along_the_run(
    "orders are whole", "No order is without a quantity, a price or a stop that it needs: no NaN leaves.", "l5_execution_bridge"
)
def orders_are_complete(trial: Trial) -> Along:
    """Every number of every order."""

    def take(outputs: Outputs) -> Tested:
        log = outputs.values["l5_execution_bridge"]
        found = malformed(log)
        if found is not None:
            i, what = found
            t = int(np.searchsorted(outputs.offsets["l5_execution_bridge"], i, side="right")) - 1
            symbol = trial.market.symbols[int(log.symbol[i])]
            raise Broken(f"L5 l5_execution_bridge: an order in {symbol} at {stamp(outputs.time[t])} has {what}.")
        return Tested(len(outputs.time), 5 * int(log.n), 5)

    return take
