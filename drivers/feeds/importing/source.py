"""A file of rows whose columns are known, as a stream of record batches."""

from __future__ import annotations

import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from drivers.feeds.errors import DataError
from drivers.feeds.importing.packed import Origin
from drivers.feeds.importing.presets import Preset
from drivers.feeds.tables import BATCH_ROWS, broken

EMPTY: Final = "the file is empty; it needs at least one row"
READ_ERRORS: Final = (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError, EOFError, zipfile.BadZipFile)


@dataclass
class Source(ABC):
    """A file whose columns are known. about: what the file itself says, e.g. `source` and `licence` (Parquet's metadata)."""

    origin: Origin
    columns: tuple[str, ...]
    types: dict[str, Any]  # column -> its type; of a CSV file, as its first rows look
    about: dict[str, str]
    done: float = 0.0  # how much of it has been read, 0 to 1
    as_text: frozenset[str] = frozenset()  # columns whose digits must stay what they are, not become floats
    symbol: str | None = None  # where the file names it outside of its rows
    repeats: int = 0  # how often its header came again, so far
    layout: Preset | None = None  # where the file's name tells what its columns are

    kind = "CSV"

    @property
    def name(self) -> str:
        """The file's name, as messages give it."""
        return self.origin.name

    def row(self, index: int) -> str:
        """`bars.csv, row 3`: rows count from 1 without the header."""
        return f"{self.name}, row {index + 1}"

    def batches(self, columns: Sequence[str], rows: int = BATCH_ROWS) -> Iterator[tuple[int, pa.RecordBatch]]:
        """(index of the first row, batch) of the named columns. Raises DataError when the file is broken."""
        start = 0
        try:
            for batch in self._raw(list(columns), rows):
                for at in range(0, batch.num_rows, rows):
                    part = batch.slice(at, rows)
                    yield start, part
                    start += part.num_rows
        except READ_ERRORS as error:
            raise DataError(f"{self.name}: {broken(error, self.kind)}") from None
        self.done = 1.0

    @abstractmethod
    def _raw(self, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]: ...


def types_of(schema: pa.Schema) -> dict[str, Any]:
    """Column to its type."""
    return {field.name: field.type for field in schema}
