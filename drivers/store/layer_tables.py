"""What layers say, as the columns of one table of results.

Outputs are taken as pieces: arrays whose last axis is rows, as they lie in memory. Successive pieces are joined, and become
columns only when a row group is full. What a piece costs is paid for each day and column, so it is little.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import cached_property
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa

from dataflows.panel import Bools, Ints
from drivers.graph.columns import Leaf, epoch_names, epoch_rows, leaves_of
from drivers.store.columns import TIME, EpochLayer, flat_rows, is_small, leaf_columns
from drivers.store.kept import REPORTED, Features
from drivers.store.parquet import ParquetFile

Pieces: TypeAlias = dict[Hashable, Any]
"""Arrays by a name within their table; the last axis of each is rows, or bars."""

LEDGER: Final = "l97_ledger"
"""The layer whose values have a table of their own, too."""

_AT, _OF = "time", "symbol"
_TYPES: Final = {"f8": np.float64, "i8": np.int64, "small": np.int64}


class Index:
    """The first two columns of a table: time and symbol of each row."""

    def __init__(self, symbols: Sequence[str]) -> None:
        self._symbols = tuple(symbols)

    @cached_property
    def _names(self) -> pa.Array:  # made beside the bars: Arrow imports pandas for the first array that it makes
        return pa.array(self._symbols, pa.string())

    def columns(self, time: Ints, symbol: Ints) -> dict[str, Any]:
        """time: (rows,) UTC ns. symbol: (rows,) which of the symbols."""
        codes = pa.array(symbol, pa.int32())
        stamps = pa.array(time, pa.int64()).cast(TIME)
        return {"timestamp": stamps, "symbol": pa.DictionaryArray.from_arrays(codes, self._names)}

    def of_bars(self, time: Ints) -> dict[str, Any]:
        """Every symbol at every bar. time: (T,)."""
        many = len(self._symbols)
        return self.columns(np.repeat(time, many), np.tile(np.arange(many, dtype=np.int32), len(time)))


class LayerTable:
    """The recorded values of some layers, at every bar and symbol or at some of them.

    leaves: those of one layer side by side. prefixed: columns are named `<layer>.<field>`, else by the field alone.
    """

    def __init__(self, leaves: Sequence[Leaf], symbols: Sequence[str], *, prefixed: bool = True) -> None:
        self.leaves, self._symbols, self._index = tuple(leaves), len(symbols), Index(symbols)
        self._named = [leaf.name if prefixed else ".".join(leaf.path) for leaf in leaves]
        self._takers = [(node, _taker([leaf.path for leaf in own])) for node, own in groupby(leaves, lambda leaf: leaf.node)]
        self._groups = ["small" if is_small(leaf.kind) else leaf.kind.dtype for leaf in leaves]
        self._places: list[tuple[str, str, int]] = []  # of `some`: the name, the group and the row of each column
        self._counts: dict[str, int] = {}

    def _arrays(self, outputs: Mapping[str, Any]) -> list[Any]:
        return [array for node, take in self._takers for array in take(outputs[node])]

    def every(self, outputs: Mapping[str, Any], time: Ints) -> Pieces:
        """All rows of successive bars. Panels stay where they are."""
        made: Pieces = {_AT: time}
        for i, (leaf, array) in enumerate(zip(self.leaves, self._arrays(outputs), strict=True)):
            if array is not None:
                made[i] = flat_rows(leaf.kind, array)
        return made

    def columns_of_every(self, pieces: Pieces) -> dict[str, Any]:
        """What `every` gave as columns (T * N,), by bar then symbol."""
        columns = self._index.of_bars(pieces[_AT])
        for i, (name, leaf) in enumerate(zip(self._named, self.leaves, strict=True)):
            if i in pieces:
                columns.update(leaf_columns(name, leaf.kind, pieces[i], self._symbols))
        return columns

    def some(self, outputs: Mapping[str, Any], time: Ints, rows: Ints) -> Pieces:
        """Some rows of successive bars. rows: bar * N + symbol."""
        arrays, bars = self._arrays(outputs), rows // self._symbols
        if not self._places:
            self._lay_out(arrays)
        made = {group: np.empty((many, len(rows)), _TYPES[group]) for group, many in self._counts.items()}
        rest = {group: iter(into) for group, into in made.items()}
        for leaf, group, array in zip(self.leaves, self._groups, arrays, strict=True):
            if array is None:
                continue
            axes = leaf.kind.axes
            if len(axes) == 1:
                array.take(rows, None, next(rest[group]), "clip")  # with a bound to check, NumPy copies once more
            elif not axes:
                next(rest[group])[:] = np.asarray(array)[bars]
            else:
                for column in array.reshape(-1, array.shape[2])[rows].T:
                    next(rest[group])[:] = column
        pieces: Pieces = {_AT: time[bars], _OF: rows % self._symbols}
        return pieces | made

    def _lay_out(self, arrays: Sequence[Any]) -> None:
        for name, leaf, group, array in zip(self._named, self.leaves, self._groups, arrays, strict=True):
            if array is None:
                continue
            wide = len(leaf.kind.axes) > 1
            for column in [f"{name}.{leaf.kind.part(k)}" for k in range(array.shape[2])] if wide else [name]:
                at = self._counts.get(group, 0)
                self._places.append((column, group, at))
                self._counts[group] = at + 1

    def columns_of_some(self, pieces: Pieces) -> dict[str, Any]:
        """What `some` gave as columns (rows,)."""
        if "small" in pieces:
            pieces = {**pieces, "small": pieces["small"].astype(np.int8)}
        columns = self._index.columns(pieces[_AT], pieces[_OF])
        return columns | {name: pieces[group][at] for name, group, at in self._places}


class LayerFiles:
    """The tables of what layers said at bars: `features/` and `decided/` by domain (`drivers.store.kept`), and the ledger.

    leaves: by domain. file: makes the file of a table, given its name and what makes its columns.
    """

    def __init__(
        self, leaves: Mapping[str, Sequence[Leaf]], symbols: Sequence[str], features: Features, file: Callable[..., ParquetFile]
    ) -> None:
        self._symbols = len(symbols)
        self._every: list[tuple[LayerTable, ParquetFile]] = []
        self._some: list[tuple[LayerTable, ParquetFile]] = []
        for domain, own in leaves.items():
            kept = own if features == "all" else [leaf for leaf in own if leaf.name in REPORTED]
            if features == "all" or (kept and features == "decisions"):
                table = LayerTable(kept, symbols)
                self._every.append((table, file(f"features/{domain}.parquet", table.columns_of_every)))
            if features == "decisions":
                table = LayerTable(own, symbols)
                self._some.append((table, file(f"decided/{domain}.parquet", table.columns_of_some)))
        if ledger := [leaf for own in leaves.values() for leaf in own if leaf.node == LEDGER]:
            table = LayerTable(ledger, symbols, prefixed=False)
            self._every.append((table, file("ledger.parquet", table.columns_of_every)))

    def write(self, outputs: Mapping[str, Any], time: Ints, noted: Bools | None) -> None:
        """Takes successive bars. noted: (T, N), the rows of `decided/`."""
        for table, file in self._every:
            file.add(table.every(outputs, time), len(time) * self._symbols)
        rows = np.zeros(0, np.int64) if noted is None else np.flatnonzero(noted)
        for table, file in self._some:
            if len(rows) or not file.begun:
                file.add(table.some(outputs, time, rows), len(rows))

    def files(self) -> list[ParquetFile]:
        """All of them."""
        return [file for _, file in (*self._every, *self._some)]


class EpochFiles:
    """The tables of what epoch layers returned, by domain: `epochs/`. file: as of `LayerFiles`."""

    def __init__(self, layers: Sequence[EpochLayer], symbols: Sequence[str], file: Callable[..., ParquetFile]) -> None:
        self._symbols, self._start = len(symbols), {layer.name: layer.start for layer in layers}
        self._tables: list[tuple[EpochTable, ParquetFile]] = []
        for domain in dict.fromkeys(layer.domain for layer in layers):
            own = [layer for layer in layers if layer.domain == domain]
            leaves = [leaf for layer in own for leaf in leaves_of(layer.name, layer.annotation, epoch=True)]
            table = EpochTable(leaves, symbols)
            self._tables.append((table, file(f"epochs/{domain}.parquet", table.columns)))

    def write(self, made: Mapping[str, Any], time: int) -> None:
        """Takes what the layers returned, by name. time: of the first bar from which it holds."""
        for table, file in self._tables:
            file.add(table.rows(made, time), self._symbols)

    def begin(self) -> None:
        """The tables stand there also where no epoch has ended."""
        for table, file in self._tables:
            file.flush(pa.table(table.columns(table.rows(self._start, 0))).schema)

    def files(self) -> list[ParquetFile]:
        """All of them."""
        return [file for _, file in self._tables]


class EpochTable:
    """What epoch layers returned, N rows of the first bar from which it holds. Hundreds of columns.

    leaves: of all layers of the table.
    """

    def __init__(self, leaves: Sequence[Leaf], symbols: Sequence[str]) -> None:
        self.leaves, self._symbols, self._index = tuple(leaves), len(symbols), Index(symbols)
        self._names: dict[str, list[str]] = {}  # of each type's columns
        self._order: list[str] = []

    def rows(self, made: Mapping[str, Any], time: int) -> Pieces:
        """made: by layer. time: of that bar."""
        arrays = [leaf.of(made[leaf.node]) for leaf in self.leaves]
        if not self._order:
            for leaf, array in zip(self.leaves, arrays, strict=True):
                names = epoch_names(leaf, array)
                self._order += names
                self._names.setdefault(leaf.kind.dtype, []).extend(names)
        found: dict[str, list[Any]] = {dtype: [] for dtype in self._names}
        for leaf, array in zip(self.leaves, arrays, strict=True):
            found[leaf.kind.dtype].append(epoch_rows(leaf, array, self._symbols))
        pieces = {dtype: np.concatenate(parts) for dtype, parts in found.items()}
        index: Pieces = {_AT: np.full(self._symbols, time), _OF: np.arange(self._symbols)}
        return index | pieces

    def columns(self, pieces: Pieces) -> dict[str, Any]:
        """What `rows` gave as columns (rows,)."""
        told = {name: row for dtype, names in self._names.items() for name, row in zip(names, pieces[dtype], strict=True)}
        return self._index.columns(pieces[_AT], pieces[_OF]) | {name: told[name] for name in self._order}


def _taker(paths: Sequence[tuple[str, ...]]) -> Callable[[Any], Sequence[Any]]:
    """What takes the arrays at these paths out of a layer's output."""
    if not all(paths):
        return lambda value: (value,)
    take = attrgetter(*(".".join(path) for path in paths))
    return take if len(paths) > 1 else lambda value: (take(value),)
