"""Files of delimited text: where the table begins, what its columns are called, how it is encoded.

1. The encoding: a byte order mark, UTF-8, or the one that was asked for. A header of names in two languages, `side/...`, of
   which only the part before the slash is readable, is taken by that part when all rows are plain ASCII.
2. Lines before the table (an address, a title, `sep=;`) have no delimiter where the next line has several; they are skipped.
3. The first line is a header when it holds a name; a line of numbers, dates and sides is data. `header` names the columns of
   such a file, and replaces a header that is there.
4. Lines before the first row that come again below are left out: files were joined with their headers.
5. Downloads of yfinance have three lines of header: columns, tickers, and the name of the index.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.csv

from drivers.feeds.errors import DataError
from drivers.feeds.importing.packed import Origin, Unjoined, refuse_bomb
from drivers.feeds.importing.presets import Preset, of_width, recognised_rows
from drivers.feeds.importing.source import EMPTY, Source, types_of
from drivers.feeds.time_forms import is_time

_HEAD: Final = 1 << 20
_MOST_LINES_BEFORE: Final = 20
_MARKS: Final = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8"}


class Shape(NamedTuple):
    """How a file of text is to be read. names: of its columns, None where the line after `skip` lines holds them."""

    encoding: str = "utf-8"
    delimiter: str = ","
    skip: int = 0
    names: tuple[str, ...] | None = None
    symbol: str | None = None  # where the lines before the table name it
    layout: Preset | None = None  # by which rows without a header are named
    before: bytes = b""  # the lines before the first row


_PLAIN: Final = Shape()


@dataclass
class Delimited(Source):
    """A file of delimited text. shape: how it is read."""

    shape: Shape = _PLAIN

    def row(self, index: int) -> str:
        """`bars.csv, row 3 (line 4)`."""
        return f"{self.name}, row {index + 1} (line {index + self.shape.skip + (1 if self.shape.names else 2)})"

    def _raw(self, columns: list[str], rows: int) -> Iterator[pa.RecordBatch]:
        types = {name: pa.string() if name in self.as_text else _stable(self.types[name]) for name in columns}
        convert = _conversion(column_types=types, include_columns=columns)
        size, read = max(self.origin.size, 1), 0
        with ExitStack() as stack:
            text, packed = self.origin.open(stack)
            text = Unjoined(text, self.shape.before)
            reader = stack.enter_context(
                pa.csv.open_csv(
                    text,
                    read_options=_reading(self.shape, block_size=1 << 21),  # pyarrow reads 32 blocks ahead
                    parse_options=pa.csv.ParseOptions(delimiter=self.shape.delimiter),
                    convert_options=convert,
                )
            )
            for batch in reader:
                yield batch
                read += batch.nbytes
                refuse_bomb(self.origin, read, size)
                self.done, self.repeats = packed.tell() / size, text.repeats


def open_delimited(
    path: Origin, preset: Preset | None, header: Sequence[str], skip: int | None = None, encoding: str | None = None
) -> tuple[Source, int]:
    """The file with its columns known, and how many rows its beginning has. skip: lines before the table, None finds them.

    Raises DataError naming the option to give where the file does not say what it is.
    """
    with ExitStack() as stack:
        head = path.open(stack)[0].read(_HEAD)
    cut = len(head) == _HEAD
    mark = next((name for bytes_, name in _MARKS.items() if head.startswith(bytes_)), None)
    chosen = encoding or mark or "utf-8"
    readable, text = _decoded(path, head[: head.rfind(b"\n") + 1] if cut and chosen != "utf-16" else head, chosen)
    lines = text.splitlines()[: 60 if not cut else -1][:60]
    if skip is None:
        skip, delimiter = _table_begins(lines)
    else:
        delimiter = max(",;\t|", key=lines[skip].count) if skip < len(lines) else ","
    lines = lines[skip:]
    if not lines or not lines[0].strip():
        raise DataError(f"{path.name}: {EMPTY}")
    shape = _shape(path, lines, preset, header, Shape(chosen, delimiter, skip), readable)
    whole_end = shape.skip + (0 if shape.names else 1)
    if whole_end >= len(text.splitlines()):
        raise DataError(f"{path.name}: the file is empty below its first line ({lines[0][:60]}); it needs at least one row")
    if not chosen.lower().startswith("utf-16"):
        first_lines = head.removeprefix(b"\xef\xbb\xbf").splitlines(keepends=True)[:whole_end]
        shape = shape._replace(before=b"".join(first_lines))
    body = head[: head.rfind(b"\n") + 1] if cut and chosen != "utf-16" else head
    table = pa.csv.read_csv(
        Unjoined(io.BytesIO(body or head), shape.before),
        read_options=_reading(shape),
        parse_options=pa.csv.ParseOptions(delimiter=shape.delimiter),
        convert_options=_conversion(),
    )
    return Delimited(
        path, tuple(table.schema.names), types_of(table.schema), {}, symbol=shape.symbol, layout=shape.layout, shape=shape
    ), table.num_rows


def _reading(shape: Shape, **options: Any) -> Any:
    names = list(shape.names) if shape.names else None
    return pa.csv.ReadOptions(use_threads=False, column_names=names, skip_rows=shape.skip, encoding=shape.encoding, **options)


def _conversion(**options: Any) -> Any:
    """Texts stay what they are: NA and null are tickers, and missing only where a number is wanted."""
    return pa.csv.ConvertOptions(strings_can_be_null=False, **options)


def _decoded(path: Origin, head: bytes, encoding: str) -> tuple[bool, str]:
    """Whether all of the text is readable in that encoding, and the text. Raises DataError for one that does not fit."""
    try:
        return True, head.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except LookupError:
        raise DataError(f"--encoding {encoding}: no such encoding; write a name like gbk, latin-1 or utf-16") from None
    except UnicodeDecodeError:
        if encoding != "utf-8":
            raise DataError(f"{path.name}: is not text in {encoding}; name another --encoding") from None
        return False, head.decode("utf-8", errors="replace")


def _table_begins(lines: Sequence[str]) -> tuple[int, str]:
    """How many lines stand before the table, and its delimiter."""
    for i, line in enumerate(lines[:_MOST_LINES_BEFORE]):
        delimiter = max(",;\t|", key=line.count)
        after = next((other for other in lines[i + 1 :] if other.strip()), "")
        if line.strip().lower().startswith("sep=") or (i and not line.strip()):
            continue
        if line.count(delimiter) or max(after.count(mark) for mark in ",;\t|") < 3:
            return i, delimiter
    return 0, max(",;\t|", key=lines[0].count) if lines else ","


def _shape(
    path: Origin, lines: Sequence[str], preset: Preset | None, header: Sequence[str], shape: Shape, readable: bool
) -> Shape:
    """The names of the columns, from the first lines of the table."""
    first = next(csv.reader([lines[0]], delimiter=shape.delimiter))
    if _is_data(first):
        if not readable:
            raise _unreadable(path)
        layout = preset or (None if header else recognised_rows(path.names, len(first)))
        return shape._replace(names=names_of_rows(path, len(first), layout, header), layout=layout)
    if header:  # in place of the one that is there
        if len(header) != len(first):
            raise DataError(f"{path.name}: has {len(first)} columns ({lines[0][:60]}), and --header names {len(header)}")
        return shape._replace(skip=shape.skip + 1, names=tuple(header), encoding=shape.encoding if readable else "latin-1")
    if not readable:
        plain = [cell.partition("/")[0].strip() for cell in first]
        rest_is_plain = all(line.isascii() for line in lines[1:])
        if not rest_is_plain or not all(re.fullmatch(r"[A-Za-z_][A-Za-z0-9_ ]*", cell) for cell in plain):
            raise _unreadable(path)
        return shape._replace(skip=shape.skip + 1, names=tuple(plain), encoding="latin-1")
    return _three_lines(path, lines, shape) or shape


def _three_lines(path: Origin, lines: Sequence[str], shape: Shape) -> Shape | None:
    """yfinance: `Price,Close,High,...`, `Ticker,AAPL,AAPL,...`, `Date,,,...`."""
    rows = [next(csv.reader([line], delimiter=shape.delimiter)) for line in lines[:3]]
    if len(rows) < 3 or rows[0][0] != "Price" or rows[1][0] != "Ticker" or rows[2][0] not in ("Date", "Datetime"):
        return None
    tickers = list(dict.fromkeys(cell for cell in rows[1][1:] if cell))
    if len(tickers) != 1:
        raise DataError(
            f"{path.name}: has the columns of {len(tickers)} tickers ({', '.join(tickers[:4])}) side by side; save each by "
            "itself, e.g. yf.Ticker(name).history(...).to_csv(...)"
        )
    return shape._replace(skip=shape.skip + 3, names=(rows[2][0], *rows[0][1:]), symbol=tickers[0])


def _unreadable(path: Origin) -> DataError:
    return DataError(
        f"{path.name}: is not text in UTF-8; name its encoding with --encoding, e.g. gbk or latin-1, or name its columns with "
        "--header A,B,..."
    )


def _stable(kind: Any) -> Any:
    """The type to read a whole column in, from that of its first rows: whole numbers may go on with fractions, or as text."""
    return pa.float64() if pa.types.is_floating(kind) else pa.string()


def _is_data(cells: Sequence[str]) -> bool:
    """Whether a first line holds values: numbers and dates, and beside them at most words that are no names of columns."""
    if all(_is_value(cell) for cell in cells):
        return True
    return sum(_is_number(cell) or is_time(cell) for cell in cells) * 2 > len(cells)


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"[+-]?\d[\d.,]*(e[+-]?\d+)?[kmb%]?", cell.strip().lower()))


def _is_value(cell: str) -> bool:
    plain = cell.strip().lower()
    return plain in ("", "true", "false", "nan", "null", "buy", "sell") or _is_number(cell) or is_time(cell)


def names_of_rows(path: Origin, width: int, preset: Preset | None, header: Sequence[str]) -> tuple[str, ...]:
    """Names for rows without a header, in delimited text or JSON."""
    if header:
        if len(header) != width:
            raise DataError(f"{path.name}: has {width} columns, and --header names {len(header)}")
        return tuple(header)
    if preset is None or not preset.order:
        fits = of_width(width)
        among = f" (of as many columns: {', '.join(fits)})" if fits else ""
        raise DataError(
            f"{path.name}: the first line holds values, not names; name the {width} columns with --header A,B,..., or choose a "
            f"--preset{among}"
        )
    found = preset.header(width)
    if found is None:
        raise DataError(f"{path.name}: has {width} columns, and the preset {preset.name} has {', '.join(preset.order)}")
    return found
