"""Everything that a report says of a run, read once from its files, and the sentences that say the most of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from dataflows.panel import Floats
from drivers.adapt.record import Record, record_of
from drivers.report.account import Account, read_account
from drivers.report.benchmark import read_hold
from drivers.report.decisions import Decisions, read_decisions
from drivers.report.excursions import measure_excursions
from drivers.report.figures import Figure, all_figures
from drivers.report.market import Codes, Prices, Quality, read_delay, read_halts, read_prices, read_quality, read_regimes
from drivers.report.scan import BarTimes, clock_of
from drivers.report.sources import Contribution, read_contribution
from drivers.report.standing import standing
from drivers.report.text import count, fixed, listed, percent, signed
from drivers.report.trips import TradeHistory, read_book
from drivers.report.words import REASONS, REFUSALS
from drivers.store.reader import RecordedRun, open_run
from drivers.store.trials import NAME as LEDGER
from drivers.store.trials import Trials, read_trials
from drivers.text.counts import plural
from drivers.text.times import rounded_duration

CANDLES: Final = 15_000
"""Candles of all drawn symbols together; one symbol has at most a quarter."""
USUAL_FIELDS: Final = ("l7_ensemble.score", "l3_action_proposal.edge_bps")
"""Drawn under the price where no others are named, and the run recorded them."""
LEAST_EPOCHS: Final = 2
"""Of fewer there is nothing to say of what was learned."""
MOST_DRAWN: Final = 24
"""Symbols whose price is drawn: those with the most traded."""
USUAL_HORIZON: Final = 60
LEARNING: Final = (
    "Most of it was refused because too little had been learned, which is how every run begins. The machine spec prior_belief "
    "shows the closed loop at work on any data; it is no claim of an edge."
)


@dataclass(frozen=True)
class RunReport:
    """A run as a report has it. What a run did not record is None."""

    run: RecordedRun
    name: str
    clock: BarTimes
    account: Account | None
    book: TradeHistory
    prices: Prices | None
    quality: Quality | None
    regimes: Codes | None
    halts: Codes | None
    delay: Floats | None
    decisions: Decisions | None
    contribution: Contribution | None
    hold: Floats | None  # wealth of buy and hold (T,), 1 at the start
    learned: Record | None  # None of fewer than two epochs
    trials: Trials | None  # of its project on the same data; None where the run does not say
    standing: list[str]  # why the account does not trade at the end; empty where it does
    figures: list[Figure]

    @property
    def symbols(self) -> tuple[str, ...]:
        """Names of the columns."""
        return self.run.symbols

    @property
    def seconds(self) -> bool:
        """True when times need their seconds."""
        return self.clock.step < 60_000_000_000

    def figure(self, key: str) -> Figure | None:
        """A figure by its key."""
        return next((f for f in self.figures if f.key == key), None)

    def setting(self, domain: str, key: str) -> Any:
        """A value of the run's configuration; None where there is no such key."""
        return self.run.about.get("configuration", {}).get(domain, {}).get(key)

    @cached_property
    def drawn(self) -> list[int]:
        """Columns of the symbols whose price is drawn, in order."""
        traded = {n: sum(f.notional for f in fills) for n, fills in self.book.by_symbol.items()}
        most = sorted(range(len(self.symbols)), key=lambda n: (-traded.get(n, 0.0), n))[:MOST_DRAWN]
        return sorted(most)


def read_report(folder: Path | str, name: str | None = None, fields: Sequence[str] = ()) -> RunReport:
    """Reads a finished run. name: what to call it (default: the folder's). fields: `layer.field` to draw under the price.

    Raises RecordedError for what is no run, and for a field that the run did not record.
    """
    run = open_run(folder)
    clock = clock_of(run)
    account = read_account(run, clock)
    book = read_book(run, account)
    measure_excursions(run, clock, book.trips)
    hold = read_hold(run, clock)
    trials = trials_of(run)
    stride = int(run.about.get("configuration", {}).get("fusion", {}).get("success_horizon_bars") or USUAL_HORIZON)
    most = min(CANDLES // 4, CANDLES // max(1, min(len(run.symbols), MOST_DRAWN)))
    recorded = {column for table in run.tables() if table.startswith("features/") for column in run.columns(table)}
    prices = read_prices(run, clock, most, stride, fields or [f for f in USUAL_FIELDS if f in recorded])
    record = record_of(run)
    return RunReport(
        run,
        name or run.folder.resolve().name,
        clock,
        account,
        book,
        prices,
        read_quality(run, clock),
        read_regimes(run, clock),
        read_halts(run, clock),
        read_delay(run),
        read_decisions(run, clock.bars),
        read_contribution(run, clock, book.trips, prices),
        hold,
        record if record is not None and len(record) >= LEAST_EPOCHS else None,
        trials,
        standing(run, clock) if account is not None else [],
        all_figures(account, book, hold, trials),
    )


def trials_of(run: RecordedRun) -> Trials | None:
    """The trials on the run's data as its ledger has them now; of a run that was moved, the ledger beside it."""
    told = run.about.get("trial")
    if told is None:
        return None
    noted, beside = Path(told["ledger"]), run.folder.absolute().parent / LEDGER
    return read_trials(noted if noted.is_file() else beside, str(run.about["data_hash"]), told["id"])


def in_short(report: RunReport) -> list[str]:
    """The run in a few sentences."""
    account, book = report.account, report.book
    if account is None:
        return ["This run kept no account: the layers that trade are switched off in its wiring."]
    span = rounded_duration(report.clock.span)
    if not book.fills:
        stayed = f"The account stayed at {fixed(float(account.equity[-1]))} for {span}."
        return [why_nothing(report), *([LEARNING] if _unlearned(report) else []), stayed]
    total, hit = report.figure("total_return"), report.figure("hit_rate")
    first = (
        f"The account went from {fixed(account.start)} to {fixed(float(account.equity[-1]))}, "
        f"{percent(total.value if total else None, sign=True)} in {span}."
    )
    if account.equity.min() <= 0.0:
        first += f" It was ruined: its equity fell to {fixed(float(account.equity.min()))}, so that it owed money."
    under = account.longest_under_water
    second = (
        f"Its largest drawdown was {percent(float(account.drawdown.max()))}; "
        f"the longest time without a new high {rounded_duration(under[1] * report.clock.step)}."
        if under[1]
        else "It never closed below an earlier high."
    )
    third = f"{plural(len(book.fills), 'fill')} made {plural(len(book.trips), 'round trip')}"
    third += f", {percent(hit.value, 1)} of them with a profit after fees" if hit and hit.value is not None else ""
    costs = book.fees + book.slippage
    without = f"without them the same trades would have made {signed(account.change + costs)}"
    return [first, second, f"{third}. Fees and slippage cost {fixed(costs)}; {without}.", *_luck(report)]


def _luck(report: RunReport) -> list[str]:
    """What the count of trials makes of the Sharpe ratio, in a sentence or two."""
    deflated, bar, trials = report.figure("deflated_sharpe"), report.figure("luck_sharpe"), report.trials
    if deflated is None or deflated.value is None or bar is None or bar.value is None or trials is None:
        return []
    chance = percent(deflated.value, 0)
    if trials.different == 1:
        told = (
            "This is the project's only trial on these data: the true Sharpe ratio is above 0 with a probability of "
            f"{chance} (probabilistic Sharpe ratio)."
        )
    else:
        told = (
            f"The project has made {count(trials.different)} different trials on these data, the luckiest of which would show "
            f"a Sharpe ratio of {fixed(bar.value)} if none were worth anything. The true Sharpe ratio of this run is above "
            f"that with a probability of {chance} (deflated Sharpe ratio)."
        )
    said = [told]
    if trials.damaged:
        said.append(f"{plural(trials.damaged, 'line')} of {trials.path.name} could not be read and may be trials too.")
    return said


def why_nothing(report: RunReport) -> str:
    """One paragraph for a run without a fill."""
    decided, orders = report.decisions, sum(report.book.orders.values())
    if orders:
        ends = ", ".join(f"{status.lower()} {count(n)}" for status, n in _by_status(report).most_common())
        return f"{plural(orders, 'order')} went out and none was filled: {ends}."
    if decided is None:
        return "Nothing was traded, and this run recorded no decisions that would say why."
    if not decided.with_edge:
        return f"Nothing was traded. In none of the {count(decided.cells)} bars of a symbol was there an edge, on either side."
    asked = f"Nothing was traded. Of {plural(decided.with_edge, 'proposal')} with an edge"
    if not decided.may_enter:
        return f"{asked} none was allowed to enter: {listed(decided.refusals, REFUSALS)}."
    reasons = Counter({name: sum(by.values()) for name, by in decided.reasons.items()})
    return (
        f"{asked} {count(decided.may_enter)} were allowed to enter, and the risk gate let none through. It was held back by "
        f"{listed(reasons, REASONS)}."
    )


def _unlearned(report: RunReport) -> bool:
    decided = report.decisions
    return (
        decided is not None
        and not report.run.about.get("spec")
        and decided.refusals["NOT_LEARNED"] > 0.5 * max(1, decided.refused)
    )


def _by_status(report: RunReport) -> Counter[str]:
    found: Counter[str] = Counter()
    for (_, status), n in report.book.orders.items():
        found[status] += n
    return found


def cautions(report: RunReport) -> list[str]:
    """What a reader must know before the figures: the machine spec, where the data come from, how short the span is."""
    about = report.run.about
    found: list[str] = []
    if about.get("spec"):
        found.append(f"Machine spec {about['spec']['name']}. {about['spec']['about']}")
    found += [f"Machine spec {spec['name']}, applied to the project. {spec['about']}" for spec in about.get("applied", ())]
    if about.get("seed") is not None and about.get("source"):
        found.append(f"The market is {about['source']}.")
    years = report.clock.bars / report.clock.bars_a_year
    yearly = report.figure("volatility")
    if report.book.fills and years < 1.0 and yearly is not None and yearly.value is not None:
        found.append(
            f"The run spans {rounded_duration(report.clock.span)}, {percent(years, 1)} of a year: its annualised "
            "figures (volatility, Sharpe and Sortino ratio) are no forecast, and their intervals are wide."
        )
    if about.get("stopped_at"):
        found.append(f"The stream was stopped at {about['stopped_at']}, before its data ended.")
    return found
