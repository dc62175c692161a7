"""`manifest.json` of a partitioned data set: what there is, where it lies and what it hashes to."""

from __future__ import annotations

import hashlib
import io
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dataflows.spans import BarClock
from drivers.feeds.aligned import QualityCounts
from drivers.feeds.errors import DataError
from drivers.feeds.partitioned.place import Place
from drivers.feeds.trading_time import TradingTime, always

NAME: Final = "manifest.json"
Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="constants")


class Part(_Model):
    """One file: some bars of one symbol within a month."""

    month: str = Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")
    sha256: Hash
    bytes: int = Field(gt=0)
    rows: int = Field(gt=0)
    first: int  # UTC ns, close of its first bar
    last: int


class Held(_Model):
    """One symbol: its facts, as `Instruments` has them, and its parts in order of time."""

    facts: dict[str, float | int]
    listed: tuple[int, int] | None  # UTC ns, closes of the first and the last bar in which it is listed
    observed: int = Field(ge=0)  # bars with a price
    unknown_funding: tuple[int, int] | None  # missing, expected
    alpha_age: tuple[int, float] | None  # a close, UTC ns, and the age in bars of what was stated before it
    parts: tuple[Part, ...]


class Manifest(_Model):
    """A partitioned data set.

    step: ns. first, last: UTC ns, closes of its first and last bar. axis: hash of the file with the bars of a market that
    closes. depth: levels of the book. columns: which observations there are. quality: what was found when the parts were made,
    of all of them. leader: the symbol that dataset.yml names.
    """

    format: Literal[1] = 1
    step: int = Field(gt=0)
    calendar: str
    clock: BarClock
    first: int
    last: int
    axis: Hash | None
    depth: int = Field(ge=1)
    columns: tuple[str, ...]
    quality: QualityCounts
    source: str
    licence: str
    leader: str
    symbols: dict[str, Held]

    def text(self) -> str:
        """As it stands in the file: the same data, the same text, in whatever order they were added."""
        ordered = self.model_copy(update={"symbols": dict(sorted(self.symbols.items()))})
        return ordered.model_dump_json(indent=1) + "\n"

    @property
    def digest(self) -> str:
        """SHA-256 of the text, and so of all content."""
        return hashlib.sha256(self.text().encode()).hexdigest()


def path_of(symbol: str, part: Part) -> str:
    """The file of a part below the data set. It is made of names, never taken from the manifest: it cannot lead elsewhere."""
    return f"symbol={quote(symbol, safe='')}/month={part.month}/{part.sha256[:16]}.parquet"


def load(place: Place) -> Manifest | None:
    """The manifest of a place; None where there is none. Raises DataError for one that is broken."""
    content = place.read(NAME)
    if content is None:
        return None
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(
            f"{place.source}/{NAME}: {where or 'the file'} is not as it was written ({first['msg']}); restore the file, or "
            "make the data set anew with `stratoquant data partition`"
        ) from None


def checked(place: Place, name: str, sha256: str) -> bytes:
    """A file's content, which must hash to what the manifest says. Raises DataError where it is gone or another."""
    content = place.read(name)
    if content is None:
        raise DataError(f"{place.source}/{name}: is not there, but the manifest names it; restore it, or partition again")
    if hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(
            f"{place.source}/{name}: is damaged or changed: its hash is not the manifest's; restore it, or partition again"
        )
    return content


def table_bytes(table: pa.Table) -> bytes:
    """A small table as a Parquet file."""
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def axis_name(sha256: str) -> str:
    """The file of the market's bars."""
    return f"axis-{sha256[:16]}.parquet"


def axis_table(time: TradingTime) -> pa.Table:
    """The market's bars as a table."""
    return pa.table({name: pa.array(values) for name, values in time._asdict().items()})


def trading_time_of(place: Place, manifest: Manifest) -> TradingTime:
    """All bars of the data set's market."""
    if manifest.axis is None:
        return always(manifest.first, manifest.last, manifest.step)
    table = pq.read_table(io.BytesIO(checked(place, axis_name(manifest.axis), manifest.axis)))
    return TradingTime(*(np.ascontiguousarray(table[name].to_numpy(), np.int64) for name in TradingTime._fields))


def facts_of(instruments: Any, column: int) -> dict[str, float | int]:
    """One symbol's facts as plain numbers. The leader is not one: it depends on who else is there."""
    return {name: values[column].item() for name, values in instruments._asdict().items() if name != "leader"}
