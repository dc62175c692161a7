"""The engine's outputs as flat columns of Arrow arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from dataflows.panel import Floats, Ints, Kind
from drivers.graph.columns import Leaf, epoch_columns, leaves_of

TIME: Final = pa.timestamp("ns", "UTC")

NAME: Final = pa.dictionary(pa.int32(), pa.string())

SIDES: Final = ("SHORT", "FLAT", "LONG", "UNKNOWN")  # of a proposal, from -1

ORDERS: Final = pa.schema(
    [
        ("order_id", pa.string()),
        ("parent_id", pa.string()),
        ("timestamp", TIME),
        ("symbol", NAME),
        ("side", NAME),
        ("type", NAME),
        ("quantity", pa.float64()),
        ("limit_price", pa.float64()),
        ("stop_price", pa.float64()),
        ("reduce_only", pa.bool_()),
        ("status", NAME),
        ("filled_quantity", pa.float64()),
        ("average_price", pa.float64()),
        ("fee", pa.float64()),
        ("reason", NAME),
        ("end_reason", NAME),
        ("ended", TIME),
        ("decision_price", pa.float64()),
    ]
)
"""timestamp: the close that decided, or of the opening fill for a stop or target. reason: why it was sent (the gate's reasons).
end_reason: the venue's word on a refusal, a cancel or an expiry. Where a value does not apply it is null."""

FILLS: Final = pa.schema(
    [
        ("fill_id", pa.string()),
        ("order_id", pa.string()),
        ("timestamp", TIME),
        ("symbol", NAME),
        ("side", NAME),
        ("price", pa.float64()),
        ("quantity", pa.float64()),
        ("fee", pa.float64()),
        ("fee_base", pa.float64()),
        ("liquidity", NAME),
        ("reference_price", pa.float64()),
    ]
)
"""quantity: units, positive. fee: in the account's currency. fee_base: units of a purchase that the fee took. reference_price:
what the price would be without slippage."""


class EpochLayer(NamedTuple):
    """An epoch layer whose results are recorded. start: a value of the shape of what it returns."""

    name: str
    domain: str
    annotation: Any
    start: Any


def columns_of(node: str, value: Any, annotation: Any, symbols: int) -> dict[str, Any]:
    """The recorded leaves of a node's output as flat columns (T * N,), by bar then symbol, named `<node>.<field>`.

    A panel stays as it lies in memory; a series is repeated for every symbol; a place of a stack is a column with the name of
    its member, or with its number; codes whose range fits are int8. node: "" leaves the prefix out.
    """
    found: dict[str, Any] = {}
    for leaf in leaves_of(node, annotation):
        found.update(columns_maker(leaf, symbols, prefixed=bool(node))(value, None))
    return found


def columns_maker(leaf: Leaf, symbols: int, *, prefixed: bool = True) -> Callable[[Any, Ints | None], dict[str, Any]]:
    """What makes the columns of one leaf of a node's outputs, as `columns_of`. It takes an output, and the positions
    (bar * N + symbol) to take of it, where None takes all."""
    take: Callable[[Any], Any] = attrgetter(".".join(leaf.path)) if leaf.path else lambda value: value
    name, kind, small = leaf.name if prefixed else ".".join(leaf.path), leaf.kind, _is_small(leaf.kind)

    def series(value: Any, rows: Ints | None) -> dict[str, Any]:
        array = take(value)
        if array is None:
            return {}
        column = np.asarray(array, kind.numpy)
        column = np.repeat(column, symbols) if rows is None else column[rows // symbols]
        return {name: column.astype(np.int8) if small else column}

    def panel(value: Any, rows: Ints | None) -> dict[str, Any]:
        array = take(value)
        if array is None:
            return {}
        column = np.ascontiguousarray(array).reshape(-1)
        if rows is not None:
            column = column[rows]
        return {name: column.astype(np.int8) if small else column}

    def stack(value: Any, rows: Ints | None) -> dict[str, Any]:
        array = take(value)
        if array is None:
            return {}
        flat = array.reshape(-1, array.shape[2])
        wide = np.ascontiguousarray((flat if rows is None else flat[rows]).T)
        return {f"{name}.{kind.part(k)}": column for k, column in enumerate(wide)}

    return (series, panel, stack)[min(len(kind.axes), 2)]


def _is_small(kind: Kind) -> bool:
    """Whether a byte holds every code that is promised."""
    return kind.dtype == "i8" and kind.within is not None and -128 <= kind.within.low and kind.within.high <= 127


def closed_columns(leaves: Sequence[Leaf], value: Any, symbols: int) -> dict[str, Any]:
    """What an epoch layer returned when an epoch closed, as columns (N,)."""
    return {name: row for leaf in leaves for name, row in epoch_columns(leaf, leaf.of(value), symbols).items()}


def enum(codes: Ints, names: Sequence[str], none: int = -1) -> pa.DictionaryArray:
    """Codes 0, 1, … as names; null where the code is `none`."""
    return pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32(), mask=codes == none), pa.array(names, pa.string()))


def masks(bits: Ints, names: Sequence[str]) -> pa.DictionaryArray:
    """Bit masks as names joined by `|`; no bit is an empty string."""
    distinct, codes = np.unique(bits, return_inverse=True)
    texts = [mask_text(int(mask), names) for mask in distinct]
    return pa.DictionaryArray.from_arrays(pa.array(codes.reshape(-1), pa.int32()), pa.array(texts, pa.string()))


def mask_text(mask: int, names: Sequence[str]) -> str:
    """The names of a mask's bits, joined by `|`."""
    return "|".join(name for i, name in enumerate(names) if mask >> i & 1)


def known(x: Floats) -> pa.Array:
    """NaN as null."""
    return pa.array(x, pa.float64(), mask=np.isnan(x))
