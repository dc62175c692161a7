"""A plain double-entry ledger: every movement is booked twice, nothing is averaged, positions are lists of fills.

It knows nothing of the layers. Accounts are debited and credited in quote currency; an inventory account of each symbol holds
what was paid for what is held. Fills and funding go in, and cash, position, fees, funding and equity come out.
"""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from typing import Any

import numpy as np

from dataflows.execution.types import FILL


class DoubleEntry:
    """Exact: every number is a fraction, so that what differs from it is the other's rounding."""

    def __init__(self, symbols: int, capital: float, contracts: list[tuple[float, int]] | None = None) -> None:
        """contracts: multiplier, and 1 for an inverse one, of each symbol; without them a unit is worth its price."""
        self.contracts = contracts or [(1.0, 0)] * symbols
        self.accounts: dict[str, Fraction] = defaultdict(Fraction)
        self.lots: list[list[Fraction]] = [[] for _ in range(symbols)]
        self.seen: set[int] = set()
        self.turnover = Fraction(0)
        self.post("cash", "capital", capital)

    def post(self, debit: str, credit: str, amount: Any) -> None:
        exact = Fraction(float(amount))
        self.accounts[debit] += exact
        self.accounts[credit] -= exact
        assert sum(self.accounts.values()) == 0, "debits and credits differ"

    def position(self, s: int) -> Fraction:
        return sum(self.lots[s], Fraction(0))

    def bring(self, s: int, quantity: float) -> None:
        """Units that are there from the start, and cost nothing here."""
        self.lots[s].append(Fraction(quantity))

    def booked(self, s: int, price: Any) -> Fraction:
        """What a unit is booked at: multiplier * price, or -multiplier / price of an inverse contract."""
        size, inverse = self.contracts[s]
        return -Fraction(size) / Fraction(float(price)) if inverse else Fraction(size) * Fraction(float(price))

    def pay_funding(self, rates: Any, marks: Any) -> None:
        """On what is held, before the fills of the bar, at the last mark; longs pay a positive rate."""
        for s, rate in enumerate(rates):
            held = self.position(s)
            if held and np.isfinite(rate):
                paid = held * abs(self.booked(s, marks[s])) * Fraction(float(rate))
                self.post("funding", "cash", paid)

    def take(self, executions: Any) -> None:
        """Books the fills of a log of reports, each once."""
        for i in range(executions.n):
            if executions.kind[i] != FILL or int(executions.fill_id[i]) in self.seen:
                continue
            self.seen.add(int(executions.fill_id[i]))
            s, quantity, price = int(executions.symbol[i]), executions.quantity[i], executions.price[i]
            self.lots[s].append(Fraction(float(quantity)))
            worth = Fraction(float(quantity)) * self.booked(s, price)
            self.turnover += abs(worth)
            self.post(f"inventory {s}", "cash", worth)
            self.post("fees", "cash", executions.fee[i])

    def equity(self, marks: Any) -> Fraction:
        """Cash and positions at their marks."""
        held = ((s, self.position(s)) for s in range(len(self.lots)))
        return self.accounts["cash"] + sum((q * self.booked(s, marks[s]) for s, q in held if q), Fraction(0))

    def agrees(self, ledger: Any) -> None:
        """Holds a Ledger against it: to 1e-9 of all that was traded, and of the start for what was not."""
        tolerance = 1e-9 * float(self.turnover + 1)
        for s in range(len(self.lots)):
            exact = self.position(s)
            assert abs(Fraction(float(ledger.position[s])) - exact) <= 1e-9 * max(map(abs, self.lots[s]), default=Fraction(1))
        marks = ledger.mark
        for name, exact in (
            ("cash", self.accounts["cash"]),
            ("fees", self.accounts["fees"]),
            ("funding", self.accounts["funding"]),
            ("equity", self.equity(marks)),
        ):
            assert abs(float(Fraction(float(getattr(ledger, name))) - exact)) <= tolerance, name
        for whole, parts in (
            ("fees", ledger.symbol_fees),
            ("funding", ledger.symbol_funding),
            ("realised", ledger.symbol_realised),
        ):
            assert abs(getattr(ledger, whole) - float(parts.sum())) <= tolerance, whole
        made = float(ledger.symbol_realised.sum() + ledger.unrealised.sum() - ledger.fees - ledger.funding)
        assert abs(float(self.equity(marks) + self.accounts["capital"]) - made) <= tolerance, "no cash flows here"
