"""The engine's outputs as flat columns of Arrow arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa

from dataflows.panel import Floats, Ints, Kind, walk

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
        ("liquidity", NAME),
        ("reference_price", pa.float64()),
    ]
)
"""quantity: base units, positive. reference_price: what the price would be without slippage."""


def columns_of(node: str, value: Any, annotation: Any, symbols: int) -> dict[str, Any]:
    """The recorded leaves of a node's output as flat columns (T * N,), by bar then symbol, named `<node>.<field>`.

    A panel stays as it lies in memory; a series is repeated for every symbol; level or source k of a stack is a column `.k`.
    node: "" leaves the prefix out.
    """
    found: dict[str, Any] = {}
    for path, kind in walk(annotation):
        leaf = value
        for name in path:
            leaf = getattr(leaf, name)
        name = ".".join([node, *path] if node else path)
        found.update(_flat(name, leaf, kind, symbols))
    return found


def _flat(name: str, leaf: Any, kind: Kind, symbols: int) -> dict[str, Any]:
    if leaf is None or not kind.recorded or "static" in kind.axes or "log" in kind.axes:
        return {}
    if kind.axes == ():
        return {name: np.repeat(np.asarray(leaf, kind.numpy), symbols)}
    if len(kind.axes) == 1:
        return {name: np.ascontiguousarray(leaf).reshape(-1)}
    return {f"{name}.{k}": leaf[:, :, k].reshape(-1) for k in range(leaf.shape[2])}


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
