"""Tables in memory as a folder of market data: pandas, polars or Arrow, one for all symbols or one a symbol."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from drivers.feeds.errors import DataError
from drivers.feeds.importing.plan import ImportRequest, plan_import
from drivers.feeds.importing.run import run_import
from drivers.files.atomic import write_atomic_bytes

Stamp = Literal["open", "close"]


def is_table(value: Any) -> bool:
    """True for a pandas or polars DataFrame, an Arrow table, and for a dict."""
    return isinstance(value, (pd.DataFrame, pa.Table, Mapping)) or hasattr(value, "to_arrow")


def write_market(
    data: Any,
    out: Path,
    *,
    alpha: Any = None,
    stamp: Stamp | None = None,
    clock: str | None = None,
    calendar: str | None = None,
) -> Path:
    """Writes bars (and a signal of the user's own) as a folder of market data, by the rules of `stratoquant data import`.

    data: bars with a time (column, or index of times), open, high, low, close, volume and, in one table for all, symbol; or a
    dict {symbol: bars}. alpha: a table of timestamp, symbol, value; a pandas table whose columns are symbols; or a dict
    {symbol: Series}. stamp: which end of its bar a time names. out must not exist.
    Raises DataError with one sentence; nothing is left behind then.
    """
    with tempfile.TemporaryDirectory(prefix="stratoquant-") as place:
        pq.write_table(_bars(data), Path(place) / "bars.parquet")
        request = ImportRequest((Path(place) / "bars.parquet",), out, kind="bars", stamp=stamp, clock=clock, calendar=calendar)
        signal = None if alpha is None else _signal(alpha)
        run_import(plan_import(request))
    if signal is not None:
        sink = pa.BufferOutputStream()
        pq.write_table(signal, sink)
        write_atomic_bytes(out / "alpha.parquet", sink.getvalue().to_pybytes())
    return out


def _bars(data: Any) -> pa.Table:
    if not isinstance(data, Mapping):
        return _arrow("the bars", data)
    if not data:
        raise DataError("the dict of bars is empty; give {symbol: table}")
    parts = []
    for symbol, frame in data.items():
        table = _arrow(f"the bars of {symbol}", frame)
        if "symbol" in table.column_names:
            table = table.drop_columns(["symbol"])
        parts.append(table.append_column("symbol", pa.array([str(symbol)] * table.num_rows, pa.string())))
    try:
        return pa.concat_tables(parts, promote_options="permissive")
    except pa.ArrowException as error:
        raise DataError(f"the tables of {', '.join(map(str, data))} do not fit together: {error}") from None


def _arrow(what: str, data: Any) -> pa.Table:
    """Any of the known tables as Arrow; an index of times of a pandas table becomes its column `timestamp`."""
    if isinstance(data, pa.Table):
        return data
    if isinstance(data, (pd.DataFrame, pd.Series)):
        frame = data.to_frame("value") if isinstance(data, pd.Series) else data
        if isinstance(frame.index, pd.MultiIndex):
            frame = frame.reset_index()
        elif isinstance(frame.index, pd.DatetimeIndex):
            frame = frame.rename_axis("timestamp").reset_index()
        if any(isinstance(column, tuple) for column in frame.columns):
            raise DataError(f"{what} have columns of several levels; give a dict {{symbol: table}} with one level each")
        return pa.Table.from_pandas(frame.rename(columns=str), preserve_index=False)
    if hasattr(data, "to_arrow"):  # polars
        made: pa.Table = data.to_arrow()
        return made
    raise DataError(f"{what} are a {type(data).__name__}; give a pandas or polars DataFrame, or an Arrow table")


def _signal(alpha: Any) -> pa.Table:
    """timestamp, symbol, value of a signal."""
    if isinstance(alpha, Mapping):
        if not alpha:
            raise DataError("the dict of signals is empty; give {symbol: Series}")
        alpha = pd.concat({str(s): _series(str(s), values) for s, values in alpha.items()}, axis=1)
    if isinstance(alpha, pd.DataFrame) and isinstance(alpha.index, pd.DatetimeIndex) and "value" not in alpha.columns:
        alpha = alpha.rename_axis("timestamp").reset_index().melt("timestamp", var_name="symbol", value_name="value").dropna()
    table = _arrow("the signal", alpha)
    lacking = [name for name in ("timestamp", "symbol", "value") if name not in table.column_names]
    if lacking:
        raise DataError(
            f"the signal has no column {lacking[0]}; give timestamp, symbol and value, or a pandas DataFrame with an index of "
            "times and a column a symbol"
        )
    table = table.select(["timestamp", "symbol", "value"])
    time = table["timestamp"]
    if not pa.types.is_timestamp(time.type):
        raise DataError(f"the signal's timestamp is {time.type}; give times, e.g. pandas.to_datetime(..., utc=True)")
    utc = time.cast(pa.timestamp("ns", time.type.tz or "UTC")).cast(pa.timestamp("ns", "UTC"))
    return table.set_column(0, "timestamp", utc)


def _series(symbol: str, values: Any) -> pd.Series[Any]:
    if isinstance(values, pd.Series) and isinstance(values.index, pd.DatetimeIndex):
        return values
    raise DataError(f"the signal of {symbol} is no pandas Series with an index of times")
