"""What the domains promise, as numbers: bounds of columns and rules across them, from the boundary models.

pandera takes half a second to import and to build the schemas that say it, so it is kept in the cache under the code.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from dataflows.panel import Kind
from dataflows.rules import Rule
from dataflows.runtime.kept import kept, sources

if TYPE_CHECKING:
    import pandera.pandas as pa

    from dataflows.boundary import Boundary


class BoundaryError(ValueError):
    """A value is outside what its domain promises. Names layer, field, symbol, bar and bound; pandera's report follows."""


class Bounds(NamedTuple):
    """What a column may hold: `low` <= x <= `high`, and NaN where `nullable`."""

    low: float
    high: float
    nullable: bool


class Promised(NamedTuple):
    """What a domain promises: bounds by column, and the rules across columns."""

    bounds: dict[str, Bounds]
    rules: tuple[Rule, ...]


class Models(Mapping[str, "type[Boundary]"]):
    """Boundary models by domain, each imported when it is asked for. places: import paths by domain."""

    def __init__(self, places: Mapping[str, str]) -> None:
        self.places = dict(places)

    def __getitem__(self, domain: str) -> type[Boundary]:
        module, _, attribute = self.places[domain].rpartition(".")
        found: type[Boundary] = getattr(importlib.import_module(module), attribute)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.places)

    def __len__(self) -> int:
        return len(self.places)


def promised(models: Mapping[str, type[Boundary]], kinds: Mapping[str, Mapping[str, Kind]]) -> dict[str, Promised]:
    """What the models of these domains promise of their columns. kinds: by domain and column name.

    Raises BoundaryError for a check that has no compiled form.
    """

    def make() -> dict[str, Any]:
        return {domain: _taken(models[domain], columns) for domain, columns in kinds.items()}

    places = models.places if isinstance(models, Models) else {}
    if all(places.get(domain, "").startswith("dataflows.") for domain in kinds):
        asked = {domain: [places[domain], *((n, k.dtype, k.within) for n, k in kinds[domain].items())] for domain in kinds}
        made = kept(f"promises {sources()} {version('pandera')} {version('pandas')} {asked}", make)
    else:
        made = make()
    return {domain: _promised(*said) for domain, said in made.items()}


def _promised(bounds: Mapping[str, Any], rules: Any) -> Promised:
    of_columns = {name: Bounds(low, high, nullable) for name, (low, high, nullable) in bounds.items()}
    return Promised(of_columns, tuple(Rule(kind, tuple(columns), *numbers) for kind, columns, *numbers in rules))


def _taken(model: type[Boundary], columns: Mapping[str, Kind]) -> tuple[dict[str, Bounds], list[tuple[Any, ...]]]:
    from dataflows.boundary import promise_of  # brings pandas and pandera

    promise = promise_of(model, columns)
    return bounds_of(promise.schema), [(r.kind, r.columns, r.value, r.tolerance) for r in promise.rules]


def bounds_of(schema: pa.DataFrameSchema) -> dict[str, Bounds]:
    """Every column's bounds out of its pandera checks. Raises BoundaryError for a check that has no compiled form."""
    bounds = {}
    for name, column in schema.columns.items():
        low, high = -math.inf, math.inf
        for check in column.checks:
            s = check.statistics
            if check.name == "greater_than_or_equal_to":
                low = max(low, float(s["min_value"]))
            elif check.name == "greater_than":
                low = max(low, math.nextafter(float(s["min_value"]), math.inf))
            elif check.name == "less_than_or_equal_to":
                high = min(high, float(s["max_value"]))
            elif check.name == "less_than":
                high = min(high, math.nextafter(float(s["max_value"]), -math.inf))
            elif check.name == "in_range":
                low, high = max(low, float(s["min_value"])), min(high, float(s["max_value"]))
            elif check.name == "isin" and _run(s["allowed_values"]):
                low, high = float(min(s["allowed_values"])), float(max(s["allowed_values"]))
            else:
                raise BoundaryError(
                    f"{name}: the check {check.name} has no compiled form; use ge, gt, le, lt or isin of a run of codes"
                )
        bounds[str(name)] = Bounds(low, high, bool(column.nullable))
    return bounds


def _run(values: Any) -> bool:
    ordered = sorted(values)
    return all(b - a == 1 for a, b in pairwise(ordered))
