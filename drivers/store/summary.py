"""What a run adds up to: figures for run.json and a table for the terminal, kept up chunk by chunk."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from rich.console import Group
from rich.table import Table
from rich.text import Text

from dataflows.data.types import Instruments, unknown_instruments
from dataflows.execution import types as ex
from dataflows.fusion.types import REFUSALS, with_an_edge
from dataflows.panel import Floats, Ints
from dataflows.regime.types import REGIMES
from dataflows.risk.types import HOLD, LEVELS, REASONS, VERDICTS
from drivers.store.deciding_caps import NEEDED, deciding_caps
from drivers.store.order_history import Order, OrderHistory
from drivers.text.times import stamp

_FLOWS: Final = ("funding", "cash_flows", "realised", "fees")
_SUMS: Final = (
    "bars", "span", "refused", "wanted", "fills", "notional", "fees", "slippage", "account", "_equity_sum", "_before",
)  # fmt: skip
_COUNTERS: Final = ("verdicts", "reasons", "caps", "drops", "refusals", "regimes", "quality", "levels")
_PER_SYMBOL: Final = ("valid", "with_volume")
QUALITY: Final = ("missing", "filled", "outlier", "crossed", "duplicates", "late")


class Summary:
    """Sums of one run. A part whose layers are not in the graph is left out of the figures.

    symbols: names of the columns. configs: the run's configuration by domain. notes: what else there is to say of the data.
    instruments: their facts. history: the orders of the run, which whoever writes them keeps up; of it come those still under
    way.
    """

    def __init__(
        self,
        symbols: Sequence[str],
        configs: Mapping[str, Any] | None = None,
        notes: Sequence[str] = (),
        instruments: Instruments | None = None,
        history: OrderHistory | None = None,
    ) -> None:
        self.instruments = unknown_instruments(len(symbols)) if instruments is None else instruments
        self.notes = list(notes)
        self.symbols = tuple(symbols)
        self.configs = dict(configs or {})
        self.bars = 0
        self.span: tuple[int, int] | None = None
        self.verdicts: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.caps: Counter[str] = Counter()
        self.drops: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.refused = 0
        self.wanted = 0
        self.regimes: Counter[str] = Counter()
        self.quality: Counter[str] = Counter()
        self.levels: Counter[str] = Counter()
        self.valid = np.zeros(len(self.symbols), np.int64)  # bars observed
        self.with_volume = np.zeros(len(self.symbols), np.int64)
        self.orders: Counter[tuple[str, str]] = Counter()
        self.fills = 0
        self.notional = self.fees = self.slippage = 0.0
        begun = self.instruments.start_position.tolist()
        self.history = OrderHistory(len(self.symbols), start=begun) if history is None else history
        self.account: dict[str, float] = {}
        self._equity_sum = 0.0
        self._before: dict[str, float] = {}
        self._parts: set[str] = set()

    def memory(self) -> dict[str, Any]:
        """What a later stretch of the same account has to know of this one, as JSON has it, for `recall`."""
        return {"account": self.account or self._before, "orders": self.history.memory()}

    def recall(self, memory: Mapping[str, Any]) -> None:
        """The figures are of what comes now; the account and the orders under way are those of another's `memory`."""
        self._before = dict(memory["account"])
        self.history.recall(memory["orders"])

    def whole_memory(self) -> dict[str, Any]:
        """All sums as JSON has them, for `go_on`."""
        counters = {name: dict(getattr(self, name)) for name in _COUNTERS}
        return {
            **{name: getattr(self, name) for name in _SUMS},
            **counters,
            **{name: getattr(self, name).tolist() for name in _PER_SYMBOL},
            "orders": [[*key, n] for key, n in self.orders.items()],
            "parts": sorted(self._parts),
            "history": self.history.memory(),
        }

    def go_on(self, memory: Mapping[str, Any]) -> None:
        """The figures go on as those of the summary whose `whole_memory` this is."""
        for name in _SUMS:
            setattr(self, name, memory[name])
        self.span = None if memory["span"] is None else (memory["span"][0], memory["span"][1])
        for name in _COUNTERS:
            setattr(self, name, Counter(memory[name]))
        for name in _PER_SYMBOL:
            setattr(self, name, np.array(memory[name], np.int64))
        self.orders = Counter({(kind, status): n for kind, status, n in memory["orders"]})
        self._parts = set(memory["parts"])
        self.history.recall(memory["history"], same_results=True)

    def add(self, values: Mapping[str, Any], time: Ints, offsets: Mapping[str, Ints], ended: Sequence[Order] = ()) -> None:
        """Takes the outputs of successive bars, as `ResultWriter.write` does. ended: the orders that have left the history."""
        self.bars += len(time)
        self.span = (self.span[0] if self.span else int(time[0]), int(time[-1]))
        for name, take in (
            ("l0_market_feed", self._market),
            ("l1_regime", self._regime),
            ("l3_action_proposal", self._proposals),
            ("l4_risk_gate", self._decisions),
            ("l81_kill_switch", self._kill_switch),
            ("l89_venue_constraints", self._drops),
            ("l97_ledger", self._ledger),
        ):
            if name in values:
                self._parts.add(name)
                take(values[name])
        if all(name in values for name in NEEDED):
            self.caps.update(deciding_caps(values))
        self.add_between(values, offsets, ended)

    def add_between(self, values: Mapping[str, Any], offsets: Mapping[str, Ints], ended: Sequence[Order] = ()) -> None:
        """Takes the orders and fills alone, also those of an instant between two bars."""
        if "l5_execution_bridge" in values and "l90_fills" in values:
            self._parts.add("orders")
            self._count(ended)
            self._fills(values["l90_fills"], int(offsets["l90_fills"][-1]))

    def _market(self, market: Any) -> None:
        valid = np.asarray(market.quality.valid) != 0
        self.valid += valid.sum(axis=0)
        self.with_volume += (valid & np.isfinite(market.bars.volume)).sum(axis=0)
        for kind in QUALITY:
            found = getattr(market.quality, kind)
            self.quality[kind] += int((found * market.quality.listed).sum() if kind in ("missing", "filled") else found.sum())

    def _regime(self, regime: Any) -> None:
        _tally(self.regimes, regime.label + 1, ("UNKNOWN", *REGIMES))

    def _proposals(self, proposal: Any) -> None:
        weighed = with_an_edge(proposal)
        self.wanted += int(np.count_nonzero(weighed))
        refused = weighed & (proposal.may_enter == 0)
        self.refused += int(np.count_nonzero(refused))
        _tally_bits(self.refusals, proposal.refusal[refused], REFUSALS)

    def _decisions(self, approval: Any) -> None:
        _tally(self.verdicts, approval.verdict, VERDICTS)
        _tally_bits(self.reasons, approval.reasons[approval.verdict != HOLD], REASONS)

    def _drops(self, constrained: Any) -> None:
        _tally(self.drops, constrained.dropped, ex.DROPS)

    def _kill_switch(self, kill: Any) -> None:
        _tally(self.levels, np.asarray(kill.overall), LEVELS)

    def _ledger(self, ledger: Any) -> None:
        equity = np.asarray(ledger.equity, np.float64)
        if not self.account:
            self.account = {"start": float(equity[0]), "drawdown": 0.0}
            held = bool(self.instruments.start_position.any())  # then the account begins with more, or less, than its cash
            start = self._before.get("end", None if held else self._configured_start())
            if start is not None:
                self.account["start"] = start
        self.account["end"] = float(equity[-1])
        lost = 1.0 - equity / np.asarray(ledger.peak)
        if (equity <= 0.0).any():  # a debt is a smaller part of a high peak than of the start: take the larger
            flows = np.asarray(ledger.cash_flows) - self._before.get("all_cash_flows", 0.0)
            since = 1.0 - (equity - flows) / self.account["start"]
            lost = np.where(equity > 0.0, lost, np.maximum(lost, since))
        self.account["drawdown"] = max(self.account["drawdown"], float(lost.max()))
        self.account["least"] = min(self.account.get("least", float(equity[0])), float(equity.min()))
        for name in ("funding", "cash_flows", "realised", "fees", "gross", "net"):
            self.account[name] = float(getattr(ledger, name)[-1])
        for name in _FLOWS:  # sums since the account was opened
            self.account[f"all_{name}"] = self.account[name]
            self.account[name] -= self._before.get(f"all_{name}", 0.0)
        self._equity_sum = _added(self._equity_sum, equity)

    def _configured_start(self) -> float | None:
        start = getattr(self.configs.get("execution"), "start_cash", None)
        return None if start is None else float(start)

    def _fills(self, reports: Any, n: int) -> None:
        filled = reports.kind[:n] == ex.FILL
        quantity, price = reports.quantity[:n][filled], reports.price[:n][filled]
        reference = reports.reference_price[:n][filled]
        self.fills += int(np.count_nonzero(filled))
        size = self.instruments.multiplier[reports.symbol[:n][filled]]
        inverse = self.instruments.inverse[reports.symbol[:n][filled]] != 0
        value, at = (np.where(inverse, -size / x, size * x) for x in (price, reference))
        slippage = quantity * (value - at)
        self.notional = _added(self.notional, np.abs(quantity * value))
        self.fees = _added(self.fees, reports.fee[:n][filled])
        self.slippage = _added(self.slippage, slippage[~np.isnan(slippage)])

    def _count(self, orders: Sequence[Order]) -> None:
        for order in orders:
            self.orders[ex.ORDER_TYPES[order.type], ex.STATUSES[order.status]] += 1

    def figures(self) -> dict[str, Any]:
        """Everything as plain values. Money in the account's currency; `turnover` is traded notional over mean equity."""
        made: dict[str, Any] = {"bars": self.bars, "symbols": list(self.symbols)}
        if self.span is not None:
            made |= {"start": stamp(self.span[0]), "end": stamp(self.span[1])}
        if self.account:
            made["account"] = self._account()
        if "orders" in self._parts:
            orders = Counter(self.orders)
            for order in self.history.all():
                orders[ex.ORDER_TYPES[order.type], ex.STATUSES[order.status]] += 1
            made["orders"] = {
                "total": sum(orders.values()),
                "by_type": {
                    kind: {status: n for (k, status), n in sorted(orders.items()) if k == kind}
                    for kind in sorted({k for k, _ in orders})
                },
            }
            made["fills"] = self.fills
        cells = max(1, self.bars * len(self.symbols))
        if "l4_risk_gate" in self._parts:
            made["decisions"] = {"by_verdict": _ordered(self.verdicts), "by_reason": _ordered(self.reasons)}
            made["increases_by_cap"] = _ordered(self.caps)
        if "l89_venue_constraints" in self._parts:
            made["dropped_by_filter"] = {name: n for name, n in _ordered(self.drops).items() if name != "NONE"}
        if "l3_action_proposal" in self._parts:
            made["proposals"] = {
                "with_an_edge": self.wanted,
                "may_not_enter": self.refused,
                "by_refusal": _ordered(self.refusals),
            }
        if "l81_kill_switch" in self._parts:
            made["kill_switch_bars"] = _ordered(self.levels)
        if "l1_regime" in self._parts:
            made["regimes"] = {name: n / cells for name, n in _ordered(self.regimes).items()}
        if "l0_market_feed" in self._parts:
            made["data_quality"] = dict(self.quality)
            mute = (self.valid > 0) & (self.with_volume == 0)
            made["without_volume"] = [name for name, found in zip(self.symbols, mute, strict=True) if found]
        if self.notes:
            made["notes"] = self.notes
        return made

    def _account(self) -> dict[str, float]:
        a = self.account
        flows = a.get("cash_flows", 0.0)
        mean = self._equity_sum / self.bars
        return {
            "start_equity": a["start"],
            "end_equity": a["end"],
            "least_equity": a.get("least", a["end"]),
            "return": (a["end"] - flows) / a["start"] - 1.0 if a["start"] > 0.0 else float("nan"),
            "max_drawdown": a["drawdown"],
            "turnover": self.notional / mean if mean > 0.0 else float("nan"),
            "traded_notional": self.notional,
            "fees": a["fees"],
            "slippage_cost": self.slippage,
            "funding_paid": a["funding"],
            "realised": a["realised"],
            "gross_exposure_at_end": a["gross"],
        }


def table(figures: Mapping[str, Any]) -> Group:
    """The figures of `Summary` as rich tables for the terminal."""
    title = f"{figures['bars']} bars of {', '.join(figures['symbols'])}"
    if "start" in figures:
        title += f", {figures['start']} to {figures['end']}"
    top = Table(title=title, show_header=False)
    top.add_column("figure")
    top.add_column("value", justify="right")
    account = figures.get("account")
    if account:
        top.add_row("return", _percent(account["return"]))
        top.add_row("largest drawdown", _percent(account["max_drawdown"]))
        if account["least_equity"] <= 0.0:
            top.add_row("the account was ruined", f"its equity fell to {account['least_equity']:,.2f}: it owed money")
        top.add_row("equity", f"{account['start_equity']:,.2f} -> {account['end_equity']:,.2f}")
        top.add_row("turnover", f"{account['turnover']:.2f} x equity")
        for name in ("fees", "slippage_cost", "funding_paid"):
            top.add_row(name.replace("_", " "), f"{account[name]:,.2f}")
    if "fills" in figures:
        top.add_row("orders, fills", f"{figures['orders']['total']}, {figures['fills']}")
    if "proposals" in figures:
        asked = figures["proposals"]
        top.add_row("proposals with an edge", f"{asked['with_an_edge']}, of which {asked['may_not_enter']} may not enter")
    parts: list[Any] = [top]
    if figures.get("orders", {}).get("by_type"):
        grid = Table(title="Orders by type and final status")
        statuses = [s for s in ex.STATUSES if any(s in row for row in figures["orders"]["by_type"].values())]
        grid.add_column("type")
        for status in statuses:
            grid.add_column(status, justify="right")
        for kind, row in figures["orders"]["by_type"].items():
            grid.add_row(kind, *[str(row.get(status, "")) for status in statuses])
        parts.append(grid)
    pairs = (
        ("Decisions by verdict", figures.get("decisions", {}).get("by_verdict")),
        ("Decisions by reason", figures.get("decisions", {}).get("by_reason")),
        ("Increases by the cap that decided their size", figures.get("increases_by_cap")),
        ("Decisions that came to no order, by the venue's filter", figures.get("dropped_by_filter")),
        ("Why proposals may not enter", figures.get("proposals", {}).get("by_refusal")),
        ("Kill switch", figures.get("kill_switch_bars")),
        ("Regimes", figures.get("regimes")),
        ("Data", figures.get("data_quality")),
    )
    for heading, counts in pairs:
        if counts and any(counts.values()):
            shown = [f"{k} {_percent(v) if isinstance(v, float) else v}" for k, v in counts.items() if v]
            parts.append(Text.assemble((f"{heading}: ", "bold"), ", ".join(shown)))
    if figures.get("without_volume"):
        parts.append(
            Text(
                f"No bar of {', '.join(figures['without_volume'])} has a volume: no position is opened there, as neither "
                "fills nor impact can be estimated. Import a source with volume to trade.",
                style="yellow",
            )
        )
    parts.extend(Text(note[:1].upper() + note[1:] + ".", style="yellow") for note in figures.get("notes", ()))
    return Group(*parts)


def _added(start: float, values: Floats) -> float:
    """The sum from left to right: the same to the bit however a run is cut into chunks."""
    return float(np.add.accumulate(np.concatenate([[start], values]))[-1])


def _percent(x: float) -> str:
    return f"{x:.2%}"


def _tally(into: Counter[str], codes: Ints, names: Sequence[str]) -> None:
    counts = np.bincount(codes.reshape(-1), minlength=len(names))
    for name, n in zip(names, counts.tolist(), strict=True):
        into[name] += n


def _tally_bits(into: Counter[str], bits: Ints, names: Sequence[str]) -> None:
    for i, name in enumerate(names):
        n = int(np.count_nonzero(bits >> i & 1))
        if n:
            into[name] += n


def _ordered(counts: Counter[str]) -> dict[str, int]:
    return {name: n for name, n in counts.most_common() if n}
