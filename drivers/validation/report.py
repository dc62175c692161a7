"""What was found: a verdict for every property, as a table for people and as plain values for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from rich.console import Group
from rich.table import Table
from rich.text import Text

from drivers.validation.registry import Tested

State = Literal["holds", "broken", "not tested"]


@dataclass
class Verdict:
    """What was found about one property.

    finding: what is wrong, and where first; why it was not tested; "" where it holds. columns x symbols x bars were compared,
    which makes `values` numbers, some of them more than once.
    """

    name: str
    means: str
    state: State = "not tested"
    finding: str = ""
    bars: int = 0
    symbols: int = 0
    columns: int = 0
    values: int = 0
    seconds: float = 0.0

    def add(self, tested: Tested, seconds: float) -> None:
        """Counts one more test that held."""
        self.seconds += seconds
        if tested.bars:
            self.state = "holds"
            self.bars += tested.bars
            self.values += tested.values
            self.columns = max(self.columns, tested.columns)

    def broke(self, sentence: str, seconds: float) -> None:
        """Notes that it does not hold."""
        self.state, self.finding = "broken", sentence
        self.seconds += seconds


@dataclass
class ValidationReport:
    """Every verdict, and what was tested.

    bars, start, end: of the run. again: (first close, last close, bars) of each stretch that was run again. orders, fills: in
    the run; without any, the account side had nothing to do. notes: what a reader must know to judge the verdicts.
    """

    bars: int
    symbols: tuple[str, ...]
    start: str
    end: str
    verdicts: list[Verdict]
    again: list[tuple[str, str, int]] = field(default_factory=list)
    orders: int = 0
    fills: int = 0
    seed: int = 1
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether no property is broken."""
        return not self.broken

    @property
    def broken(self) -> list[Verdict]:
        """The properties that do not hold."""
        return [v for v in self.verdicts if v.state == "broken"]

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain values, for JSON."""
        return {"ok": self.ok, **asdict(self)}

    def __rich__(self) -> Group:
        title = f"{', '.join(self.symbols)}: {self.bars:,} bars, {self.start} to {self.end}" if self.symbols else None
        grid = Table(title=title, show_lines=True)
        grid.add_column("property, and what it means")
        grid.add_column("verdict", no_wrap=True)
        grid.add_column("bars × columns", justify="right", no_wrap=True)
        grid.add_column("seconds", justify="right", no_wrap=True)
        for v in self.verdicts:
            name = Text.assemble((v.name, "bold"), "\n", (v.means, "dim"))
            tested = f"{v.bars:,} × {v.columns:,}" if v.columns else f"{v.bars:,}" if v.bars else ""
            grid.add_row(name, Text(v.state, style=_STYLE[v.state]), tested, f"{v.seconds:.1f}" if v.seconds else "")
        parts: list[Any] = [grid]
        said: dict[tuple[str, State], list[str]] = {}
        for v in self.verdicts:
            said.setdefault((v.finding, v.state), []).append(v.name)
        parts += [
            Text.assemble((f"{'; '.join(names)}: ", "bold"), finding, style=_STYLE[state])
            for (finding, state), names in said.items()
            if finding
        ]
        if self.symbols:
            parts.append(Text(self._extent()))
        parts += [Text(note, style="yellow") for note in self.notes]
        return Group(*parts)

    def _extent(self) -> str:
        """What was run again, and what the account did, in words."""
        spans = "; ".join(f"{bars:,} bars from {a} to {b}" for a, b, bars in self.again)
        if sum(bars for _, _, bars in self.again) == self.bars:
            spans = "all bars"
        traded = f"{self.orders:,} orders and {self.fills:,} fills" if self.orders else "no order"
        return f"Run again in other ways: {spans}. The run had {traded}."


_STYLE: Final = {"holds": "green", "broken": "bold red", "not tested": "yellow"}
