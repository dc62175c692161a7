"""Reads what a sweep has made: one layer's values as a table."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from drivers.feeds.partitioned.place import Place
from drivers.feeds.source import Source
from drivers.scale.features import ABOUT
from drivers.scale.sweep import ScaleError
from drivers.store.columns import TIME
from drivers.text.suggestions import layer_hint, layer_named

_FILE: Final = re.compile(r"features/[a-z_]+\.\d+x?/\d{6}-(\d{4,}|all)\.parquet")
_INDEX: Final = ["timestamp", "symbol"]


def read_features(
    source: Source, layer: str, *, symbols: Sequence[str] | None = None, start: int | None = None, end: int | None = None
) -> pd.DataFrame:
    """What a layer gave: one row a bar and symbol, in order of both; one column a field.

    layer: a name or an id (`L12`). start, end: UTC ns; the bars whose close lies in (start, end]. Only what is asked for is
    kept in memory. Raises ScaleError for a place without features, a layer that is not there, and a damaged `features.json`.
    """
    place = Place(source)
    content = place.read(ABOUT)
    if content is None:
        raise ScaleError(f"{source}: holds no {ABOUT}: it is no result of `stratoquant features`, or is not complete")
    try:
        about = json.loads(content)
        layers, files = dict(about["layers"]), list(about["files"])
    except (ValueError, KeyError, TypeError):
        raise ScaleError(f"{source}/{ABOUT}: is damaged; compute the features again") from None
    name = layer_named(layer, list(layers))
    if name is None:
        raise ScaleError(f"{source} holds no layer {layer!r}; {layer_hint(layer, list(layers))}")
    own = [file for file in files if _FILE.fullmatch(file) and file.startswith(f"features/{layers[name]}/")]
    parts = [part for file in sorted(own) if (part := _read(place, file, name, symbols, start, end)).num_rows]
    if not parts:
        raise ScaleError(f"{source}: no bar of {name} lies in what was asked for")
    frame: pd.DataFrame = pa.concat_tables(parts, promote_options="permissive").to_pandas()
    frame["symbol"] = frame["symbol"].astype(str)
    frame.columns = [column.removeprefix(f"{name}.") for column in frame.columns]
    return frame.sort_values(_INDEX, kind="stable").set_index(_INDEX)


def _read(place: Place, file: str, name: str, symbols: Sequence[str] | None, start: int | None, end: int | None) -> pa.Table:
    content = place.read(file)
    if content is None:
        raise ScaleError(f"{place.source} lacks {file}; compute the features again")
    opened = pq.ParquetFile(io.BytesIO(content))
    columns = [c for c in opened.schema_arrow.names if c == name or c.startswith(f"{name}.")]
    table = opened.read(columns=[*_INDEX, *columns])
    keep: Any = None
    for bound, compare in ((start, pc.greater), (end, pc.less_equal)):
        if bound is not None:
            test = compare(table["timestamp"], pa.scalar(bound, pa.int64()).cast(TIME))
            keep = test if keep is None else pc.and_(keep, test)
    if symbols is not None:
        test = pc.is_in(table["symbol"].cast(pa.string()), pa.array(symbols, pa.string()))
        keep = test if keep is None else pc.and_(keep, test)
    return table if keep is None else table.filter(keep)
