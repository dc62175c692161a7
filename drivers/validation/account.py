"""The account is what the fills make of it, recomputed from the fills and the marks alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from dataflows.data.types import Instruments
from dataflows.execution.types import FILL
from dataflows.panel import Floats
from drivers.engine.chunk import Outputs
from drivers.text.times import stamp
from drivers.validation.registry import Along, Broken, Tested, along_the_run
from drivers.validation.trial import Trial

TOLERANCE: Final = 1e-9
"""Relative to the money, or the quantity, that has moved so far."""

YEAR_NS: Final = 365 * 86_400 * 10**9


class Books:
    """A second ledger: positions, cash and marks kept up fill by fill."""

    def __init__(self, facts: Instruments, start_cash: float) -> None:
        symbols = len(facts.uid)
        self.facts, self.last_close = facts, 0
        self.position, self.mark = np.array(facts.start_position), np.full(symbols, math.nan)
        self.cash = self.moved_cash = start_cash
        self.peak = math.nan  # until the first close
        self.traded = np.abs(self.position)  # quantity
        self.funding = 0.0
        self.seen: list[set[int]] = [set() for _ in range(symbols)]

    def book(self, fills: Any, i: int) -> bool:
        """Books fill i of a log; False where it was booked before."""
        s, q, p, fee = int(fills.symbol[i]), float(fills.quantity[i]), float(fills.price[i]), float(fills.fee[i])
        if int(fills.fill_id[i]) in self.seen[s]:
            return False
        self.seen[s].add(int(fills.fill_id[i]))
        worth = q * float(booked(p - self.facts.price_shift, self.facts)[s])
        self.position[s] += q - float(fills.fee_base[i])
        self.traded[s] += abs(q)
        if abs(self.position[s]) <= 1e-12 * self.traded[s]:
            self.position[s] = 0.0
        self.cash -= worth + fee
        self.moved_cash += abs(worth) + abs(fee)
        return True

    def pay_carry(self, rate: Floats, time: int) -> None:
        """What was held before the bar that closes at `time` (UTC ns) pays: funding, nothing where the rate is unknown, and for
        a short one borrow cost for the time since the close before."""
        years = (time - self.last_close) / YEAR_NS if self.last_close else 0.0
        value = np.nan_to_num(self.position * np.abs(booked(self.mark, self.facts)))  # 0 until a first mark
        paid = np.where(np.isfinite(rate), value * rate, 0.0) + np.maximum(-value, 0.0) * self.facts.borrow_rate * years
        self.cash -= float(paid.sum())
        self.funding += float(paid.sum())
        self.moved_cash += float(np.abs(paid).sum())
        self.last_close = time

    def at_close(self, close: Floats) -> dict[str, float]:
        """Marks the positions; returns the figures of the account at a close."""
        self.mark = np.where((close > 0.0) & np.isfinite(close), close, self.mark)
        worth = booked(self.mark, self.facts)
        value = np.nan_to_num(self.position * np.abs(worth))
        equity = self.cash + float(np.nan_to_num(self.position * booked(self.mark - self.facts.price_shift, self.facts)).sum())
        self.peak = equity if math.isnan(self.peak) else max(self.peak, equity)
        drawdown = max(0.0, 1.0 - equity / self.peak) if equity > 0.0 else 1.0
        return {
            "cash": self.cash, "funding": self.funding, "equity": equity, "peak": self.peak, "drawdown": drawdown,
            "gross": float(np.abs(value).sum()), "net": float(value.sum()),
        }  # fmt: skip


def booked(price: Any, facts: Instruments) -> Floats:
    """What a unit of each symbol is booked at, (N,), so that quantity times its change is the profit: multiplier times price,
    or for an inverse contract less multiplier over price."""
    made: Floats = np.where(facts.inverse != 0, -facts.multiplier / price, facts.multiplier * price)
    return made


@along_the_run(
    "ledger identity",
    "The account adds up: positions are the sum of the fills, cash is what was paid, equity is cash and positions at the mark.",
    "l97_ledger",
    "l90_fills",
    "l0_market_feed",
)
def ledger_adds_up(trial: Trial) -> Along:
    """Position, cash, funding, equity, peak, drawdown, gross and net of every bar, to 1e-9 of the money that has moved."""
    books = Books(trial.static["instruments"], float(trial.plan.configs["execution"].start_cash))

    def take(outputs: Outputs) -> Tested:
        ledger, market, fills = (outputs.values[n] for n in ("l97_ledger", "l0_market_feed", "l90_fills"))
        at = outputs.offsets["l90_fills"]
        values = 0
        for t, time in enumerate(outputs.time):
            books.pay_carry(np.asarray(market.funding[t]), int(time))
            for i in range(at[t], at[t + 1]):
                if fills.kind[i] == FILL and not books.book(fills, i):
                    name = trial.market.symbols[int(fills.symbol[i])]
                    raise Broken(f"L90 l90_fills: a fill of {name} comes twice at {stamp(time)}.")
            for name, told, found, scale in _figures(trial, books, ledger, market.bars.close[t], t):
                values += 1
                if not abs(told - found) <= TOLERANCE * scale:
                    raise Broken(
                        f"L97 l97_ledger, {name} at {stamp(time)} is {told!r}; "
                        f"the fills, fees, funding and marks make it {found!r}."
                    )
        bars = len(outputs.time)
        return Tested(bars, values, values // bars)

    return take


def _figures(trial: Trial, books: Books, ledger: Any, close: Floats, t: int) -> Iterator[tuple[str, float, float, float]]:
    """(name, what the ledger says, what it should be, the scale of the tolerance) of every figure of bar t."""
    for name, found in books.at_close(close).items():
        scale = 1.0 if name == "drawdown" else books.moved_cash
        yield name, float(getattr(ledger, name)[t]), found, scale
    for s, symbol in enumerate(trial.market.symbols):
        yield f"position of {symbol}", float(ledger.position[t, s]), float(books.position[s]), max(1.0, books.traded[s])
        if books.position[s] != 0.0 and not math.isnan(books.mark[s]):
            yield f"mark of {symbol}", float(ledger.mark[t, s]), float(books.mark[s]), float(books.mark[s])
