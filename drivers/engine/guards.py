"""Per-bar checks compiled from the domains' pandera models, so that a stream pays microseconds for what pandera takes
milliseconds to say. The model is the one truth: a guard that fails is reported by pandera itself, on the same values."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from dataflows.panel import Floats, Ints, Kind, is_log
from dataflows.rules import Rule
from drivers.engine.limits import Bounded, Place, Ruled, all_hold
from drivers.engine.one_bar.flat import Layout
from drivers.engine.one_bar.flat_limits import FlatLimits
from drivers.engine.plan import Plan
from drivers.engine.promises import BoundaryError, Promised, promised
from drivers.graph.columns import epoch_columns, leaves_of
from drivers.text.times import stamp

if TYPE_CHECKING:  # both are imported where a guard has failed
    import pandas as pd
    import pandera.errors
    import pandera.pandas as pa

    from dataflows.boundary import Boundary


class Column(NamedTuple):
    """One column of a domain's frame: which node, which leaf, which of its K values (-1: the leaf is a panel or series)."""

    name: str
    node: str
    path: tuple[str, ...]
    kind: Kind
    part: int


def columns_of(plan: Plan, domain: str, widths: Mapping[str, int] | None = None) -> list[Column]:
    """The columns of a domain's frame, in graph order. widths: K of each stacked leaf by column name, where it is known."""
    found = []
    for node in plan.nodes.values():
        if node.domain == domain and node.schedule != "epoch":
            for leaf in leaves_of(node.name, node.returns):
                parts = range((widths or {}).get(leaf.name, 0)) if leaf.wide else (-1,)
                names = [f"{leaf.name}.{leaf.kind.part(k)}" if k >= 0 else leaf.name for k in parts]
                found += [Column(name, node.name, leaf.path, leaf.kind, k) for name, k in zip(names, parts, strict=True)]
    return found


def leaf_of(values: Mapping[str, Any], column: Column) -> Any:
    """The whole leaf that a column belongs to."""
    value = values[column.node]
    for name in column.path:
        value = getattr(value, name)
    return value


def widths_of(plan: Plan, values: Mapping[str, Any]) -> dict[str, int]:
    """K of every stacked leaf in these values."""
    there = [node for node in plan.nodes.values() if node.name in values and node.schedule != "epoch"]
    wide = [leaf for node in there for leaf in leaves_of(node.name, node.returns) if leaf.wide]
    return {leaf.name: leaf.of(values[leaf.node]).shape[2] for leaf in wide}


def frame_of(columns: Sequence[Column], values: Mapping[str, Any], bars: int, symbols: int) -> pd.DataFrame:
    """One row a bar and symbol; a series is repeated for every symbol."""
    import pandas as pd

    data: dict[str, Any] = {}
    for c in columns:
        leaf = leaf_of(values, c)
        if c.part >= 0:
            data[c.name] = leaf[:, :, c.part].reshape(-1)
        elif not c.kind.axes:
            data[c.name] = np.repeat(leaf, symbols)
        else:
            data[c.name] = leaf.reshape(-1)
    return pd.DataFrame(data, index=pd.RangeIndex(bars * symbols))


class DomainGuard:
    """One domain's model and the columns that it is about: what compiled checks and pandera need to know.

    said: what the model promises of these columns; model: gives the model itself, for whoever has to name it.
    """

    def __init__(self, domain: str, columns: list[Column], said: Promised, model: Callable[[], type[Boundary]]) -> None:
        self.domain, self.columns, self.model = domain, columns, model
        self.bounds = said.bounds
        named = {c.name for c in self.columns}
        missing, extra = sorted(named - self.bounds.keys()), sorted(self.bounds.keys() - named)
        if missing or extra:
            raise BoundaryError(
                f"{model().__name__} and the layers of {domain} disagree: "
                + "; ".join([f"the model lacks {m}" for m in missing] + [f"no layer has {e}" for e in extra])
            )
        self.leaves = list({(c.node, c.path): c for c in self.columns}.values())
        self.bounded = list(self._bounded())
        by_name = {c.name: place_of(c) for c in self.columns}
        self.ruled = [Ruled(rule, tuple(by_name[c] for c in rule.columns)) for rule in said.rules]

    @property
    def schema(self) -> pa.DataFrameSchema:
        """What pandera checks."""
        from dataflows.boundary import promise_of

        return promise_of(self.model(), {c.name: c.kind for c in self.columns}).schema

    def _bounded(self) -> Iterator[Bounded]:
        for leaf in self.leaves:
            own = [self.bounds[c.name] for c in self.columns if (c.node, c.path) == (leaf.node, leaf.path)]
            if len(set(own)) > 1:
                raise BoundaryError(
                    f"{leaf.name} and its neighbours have different bounds; give the parts of one field the same"
                )
            low, high, nullable = own[0]
            yield Bounded(place_of(leaf._replace(part=-1)), low, high, nullable and leaf.kind.dtype == "f8")


def place_of(column: Column) -> Place:
    """Where the compiled checks find a column."""
    return Place(column.node, column.path, column.kind.dtype, len(column.kind.axes), column.part)


class Guards:
    """The guards of every domain that has a boundary model. The first chunk's shapes say how wide stacked leaves are."""

    def __init__(self, plan: Plan, boundaries: Mapping[str, type[Boundary]], symbols: Sequence[str]) -> None:
        present = {n.domain for n in plan.nodes.values() if n.schedule != "epoch" and not is_log(n.returns)}
        self.plan, self.symbols = plan, tuple(symbols)
        self.models = boundaries
        self.boundaries = [d for d in boundaries if d in present]
        self._market = {n.name for n in plan.stage["columnar"]} - plan.behind_epochs
        self._made: list[DomainGuard] = []
        self._hold_ahead: Callable[[Mapping[str, Any]], bool] = lambda values: True
        self._hold_rest: Callable[[Mapping[str, Any]], bool] = self._hold_ahead
        epoch = {d: [n for n in plan.nodes.values() if n.schedule == "epoch" and n.domain == d] for d in boundaries}
        self._epoch_leaves = {
            d: [x for n in nodes for x in leaves_of(n.name, n.returns, epoch=True)] for d, nodes in epoch.items()
        }
        # of the epoch layers, by domain: their arrays' shapes, and `_limits_of` these
        self._epoch_limits: dict[str, tuple[Any, Any, Any, Any, tuple[tuple[Rule, Ints], ...]]] = {}

    def check_epoch(self, time: int, values: Mapping[str, Any]) -> None:
        """The same of what the epoch layers returned. pandera, which takes half a second, is asked where a bound is broken."""
        for domain, leaves in self._epoch_leaves.items():
            if not leaves or self._epoch_holds(domain, values):
                continue
            import pandas as pd
            import pandera.errors

            from dataflows.boundary import promise_of

            columns, kinds = self._epoch_columns(domain, [leaf.of(values[leaf.node]) for leaf in leaves])
            try:
                promise_of(self.models[domain], kinds).schema.validate(pd.DataFrame(columns), lazy=True)
            except pandera.errors.SchemaErrors as error:
                raise BoundaryError(report(error, domain, np.array([time]), self.symbols)) from None

    def prepare_epoch(self, values: Mapping[str, Any]) -> None:
        """Does beforehand what `check_epoch` does once. values: of the shapes that come."""
        for domain, leaves in self._epoch_leaves.items():
            if leaves:
                self._epoch_holds(domain, values)

    def _epoch_columns(self, domain: str, arrays: Sequence[Any]) -> tuple[dict[str, Any], dict[str, Kind]]:
        """The columns of a domain's epoch layers, and their kinds. arrays: their leaves."""
        columns: dict[str, Any] = {}
        kinds: dict[str, Kind] = {}
        for leaf, array in zip(self._epoch_leaves[domain], arrays, strict=True):
            own = epoch_columns(leaf, array, len(self.symbols))
            columns.update(own)
            kinds.update(dict.fromkeys(own, leaf.kind))
        return columns, kinds

    def _epoch_holds(self, domain: str, values: Mapping[str, Any]) -> bool:
        """Whether all columns and rules are within what the domain promises; False also where only pandera can tell."""
        leaves = self._epoch_leaves[domain]
        arrays = [np.asarray(leaf.of(values[leaf.node]), leaf.kind.numpy) for leaf in leaves]
        shapes = tuple(array.shape for array in arrays)
        if self._epoch_limits.get(domain, (None,))[0] != shapes:
            self._epoch_limits[domain] = (shapes, *self._limits_of(domain, arrays))
        _, low, high, nullable, rules = self._epoch_limits[domain]
        flat = np.concatenate([array.reshape(-1) for array in arrays])  # whole numbers become floats, as pandera has them
        if low is None or not ((np.isnan(flat) & nullable) | ((flat >= low) & (flat <= high))).all():
            return False
        return all(rule.holds_of(flat[at]).all() for rule, at in rules)

    def _limits_of(self, domain: str, arrays: Sequence[Any]) -> tuple[Any, Any, Any, tuple[tuple[Rule, Ints], ...]]:
        """Of the numbers in these arrays, one after the other: least, greatest, whether each may be unknown; and the rules,
        each with the places of its columns, a row a symbol. None in place of the first: the promise is of other columns."""
        ends = np.cumsum([array.size for array in arrays])
        at = [np.arange(end - x.size, end).reshape(x.shape) for x, end in zip(arrays, ends, strict=True)]
        columns, kinds = self._epoch_columns(domain, at)
        places = {name: column.astype(np.int64) for name, column in columns.items()}
        said = promised(self.models, {domain: kinds})[domain]
        if places.keys() != said.bounds.keys():
            return None, None, None, ()
        low, high, nullable = np.full(ends[-1], -np.inf), np.full(ends[-1], np.inf), np.ones(ends[-1], np.bool_)
        for name, place in places.items():
            low[place], high[place], nullable[place] = said.bounds[name]
        rules = tuple((rule, np.column_stack([places[c] for c in rule.columns])) for rule in said.rules)
        return low, high, nullable, rules

    def within(self, values: Mapping[str, Any]) -> bool:
        """Whether the layers that need nothing of what an epoch has learned keep what they promise, which `check` need not ask
        again then. False also before the first `check`, which says how wide stacked leaves are."""
        return bool(self._made) and self._hold_ahead(values)

    def check(self, time: Ints, values: Mapping[str, Any], *, within: bool = False) -> None:
        """Raises BoundaryError with pandera's report on the first domain that breaks its promise. within: what `within` has
        said of these bars."""
        self._make(values)
        if not ((within or self._hold_ahead(values)) and self._hold_rest(values)):
            raise BoundaryError(self._report(time, values))

    def _make(self, values: Mapping[str, Any]) -> None:
        if not self._made:
            widths = widths_of(self.plan, values)
            columns = {domain: columns_of(self.plan, domain, widths) for domain in self.boundaries}
            said = promised(self.models, {domain: {c.name: c.kind for c in own} for domain, own in columns.items()})
            made = [DomainGuard(d, own, said[d], partial(self.models.__getitem__, d)) for d, own in columns.items()]
            bounds, rules = [x for g in made for x in g.bounded], [x for g in made for x in g.ruled]
            self._hold_ahead, self._hold_rest = (
                all_hold(
                    [x for x in bounds if self._is_ahead(x.place) == ahead],
                    [x for x in rules if self._is_ahead(*x.places) == ahead],
                )
                for ahead in (True, False)
            )
            self._made = made  # last: another thread asks for it

    def _is_ahead(self, *places: Place) -> bool:
        return all(place.node in self._market for place in places)

    def over(self, symbols: Sequence[str]) -> Guards:
        """The same guards of other symbols; what was made at the first chunk is not made again."""
        other = copy.copy(self)
        other.symbols = tuple(symbols)
        return other

    def of_flat(self, layout: Layout, values: Mapping[str, Any]) -> Callable[[Floats, Ints], bool]:
        """A function of the flat outputs of a bar that says whether `check` would accept it. values: those of one bar."""
        self._make(values)
        bounds, rules = [x for g in self._made for x in g.bounded], [x for g in self._made for x in g.ruled]
        return FlatLimits(layout, bounds, rules).hold

    def _report(self, time: Ints, values: Mapping[str, Any]) -> str:
        import pandera.errors

        for guard in self._made:
            frame = frame_of(guard.columns, values, len(time), len(self.symbols))
            try:
                guard.schema.validate(frame, lazy=True)
            except pandera.errors.SchemaErrors as error:
                return report(error, guard.domain, time, self.symbols)
        return "the compiled guards refuse what pandera accepts; report this as a fault of the guards"


def report(error: pandera.errors.SchemaErrors, domain: str, time: Ints, symbols: Sequence[str]) -> str:
    """The first value that pandera refuses, with layer, field, symbol, bar and bound; pandera's own report follows.

    time: (T,) of the frame's rows, which are by bar and then by symbol.
    """
    cases = error.failure_cases
    row = cases.sort_values("schema_context", kind="stable").iloc[0]  # "Column" comes before "DataFrameSchema"
    at = row["index"]
    where = ""
    if at is not None and at == at:
        bar, symbol = divmod(int(at), len(symbols))
        where = f" of {symbols[symbol]} at {stamp(time[bar])}"
    return (
        f"{row['column']}{where} is {row['failure_case']}; the {domain} boundary says {row['check']} "
        f"({len(cases)} such values in this chunk)\n{error}"
    )


def validate_run(plan: Plan, domain: str, model: type[Boundary], values: Mapping[str, Any]) -> None:
    """Whole-run validation by pandera itself. values: outputs by node over all bars. Raises pandera's SchemaErrors."""
    from dataflows.boundary import promise_of

    columns = columns_of(plan, domain, widths_of(plan, values))
    bars, symbols = _shape(columns, values)
    schema = promise_of(model, {c.name: c.kind for c in columns}).schema
    schema.validate(frame_of(columns, values, bars, symbols), lazy=True)


def _shape(columns: Sequence[Column], values: Mapping[str, Any]) -> tuple[int, int]:
    for c in columns:
        if c.kind.axes:
            shape: tuple[int, ...] = leaf_of(values, c).shape
            return shape[0], shape[1]
    return len(leaf_of(values, columns[0])), 1
