"""The engine's outputs as flat columns of Arrow arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from dataflows.panel import Floats, Ints, Kind
from drivers.graph.columns import leaves_of

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
        array = leaf.of(value)
        if array is not None:
            name = leaf.name if node else ".".join(leaf.path)
            found.update(leaf_columns(name, leaf.kind, flat_rows(leaf.kind, array), symbols))
    return found


def flat_rows(kind: Kind, array: Any) -> Any:
    """A leaf's array with rows last: a series (T,), a panel (T * N,), by bar then symbol, a stack (K, T * N). No copy."""
    if len(kind.axes) > 1:
        return array.reshape(-1, array.shape[2]).T
    return np.asarray(array, kind.numpy).reshape(-1)


def leaf_columns(name: str, kind: Kind, rows: Any, symbols: int) -> dict[str, Any]:
    """The columns (T * N,) of `flat_rows`."""
    if len(kind.axes) > 1:
        return {f"{name}.{kind.part(k)}": column for k, column in enumerate(np.ascontiguousarray(rows))}
    column = rows.astype(np.int8) if is_small(kind) else rows
    return {name: column if kind.axes else np.repeat(column, symbols)}


def is_small(kind: Kind) -> bool:
    """Whether a byte holds every code that is promised."""
    return kind.dtype == "i8" and kind.within is not None and -128 <= kind.within.low and kind.within.high <= 127


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
