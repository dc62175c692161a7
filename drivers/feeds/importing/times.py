"""Any column of times as UTC nanoseconds: datetimes, dates, numbers told apart by magnitude, ISO texts with or without zone."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from dataflows.panel import Ints
from drivers.feeds.errors import DataError
from drivers.feeds.time_forms import EARLIEST, Form, day_in_1970, days_of, form_of, parsed, short_days, two_ways
from drivers.text.times import utc

UNITS: Final = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}
_NUMBER: Final = r"^[+-]?\d+(\.\d*)?$"
_DATE: Final = r"^\d{4}-\d{2}-\d{2}$"
_LOCAL_MIDNIGHT: Final = r"^\d{4}-\d{2}-\d{2}[ T]00:00(:00(\.0+)?)?[+-](0[1-9]|1[0-4]):?\d{2}$"
_ZONED: Final = r"(Z|[+-]\d{2}:?\d{2})$"
_DAY: Final = 86_400 * 10**9
_SECOND: Final = 10**9
_LAST: Final = (10**6, 10**3, 1)
"""ns before a second ends, of times in ms, us and ns."""
_LARGEST: Final = np.iinfo(np.int64).max


def check_zone(zone: str | None) -> None:
    """Raises DataError for a time zone that does not exist."""
    if zone is not None:
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise DataError(
                f"--timezone {zone}: no such zone; write a name like UTC, Europe/Berlin or America/New_York"
            ) from None


@dataclass
class Times:
    """Reads the times of one file, batch by batch. row: index to `file, row n`; unit: of UNITS, None by magnitude.

    zone: what a time without one means; None refuses such text, and takes datetimes and dates for UTC, as they are stored.
    form: how texts are written, for strptime; None recognises the forms that can be read in one way only. day: YYYYMMDD, where
    times are milliseconds of that day. ends: times are ends of bars; those written as the last instant of a second,
    00:00:59.999, are the next second.
    """

    row: Callable[[int], str]
    unit: str | None = None
    zone: str | None = None
    form: str | None = None
    day: str | None = None
    ends: bool = False
    _scale: int = field(default=0, repr=False)
    _form: Form | None = field(default=None, repr=False)
    _days: bool = field(default=True, repr=False)  # every time so far was 00:00:00 without a zone
    _local_midnight: bool = field(default=True, repr=False)  # every text so far was 00:00:00 with an offset from UTC

    def read(self, column: Any, start: int) -> Ints:
        """UTC ns of a batch (M,). start: index of its first row. Raises DataError naming the row at fault."""
        ns = self._read(column, start)
        if self.ends:
            short = -ns % _SECOND
            ns = np.where(np.isin(short, _LAST), ns + short, ns)
        return ns

    def _read(self, column: Any, start: int) -> Ints:
        if isinstance(column, pa.DictionaryArray):
            column = column.dictionary_decode()
        if pa.types.is_string(column.type):
            column = pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
        if column.null_count:
            index = int(np.argmax(column.is_null().to_numpy(zero_copy_only=False)))
            raise DataError(f"{self.row(start + index)}: the time is missing; remove the row or give its time")
        kind = column.type
        if self.day is not None:
            return self._of_day(column, start)
        if self.form is not None and not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
            column, kind = column.cast(pa.string()), pa.string()
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return self._text(pc.utf8_trim_whitespace(column.cast(pa.string())), start)
        if pa.types.is_integer(kind):
            return self._whole(_ints(column.cast(pa.int64())), start)
        if pa.types.is_floating(kind):
            return self._float(np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64), start)
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            return self._stored(column, start)
        raise DataError(f"{self.row(start)}: the time is of type {kind}; it must be a datetime, a number or an ISO text")

    def _of_day(self, column: Any, start: int) -> Ints:
        """Milliseconds since the midnight that begins `day` on the clocks of the zone."""
        try:
            since = np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
        except pa.ArrowInvalid:
            since = np.full(len(column), np.nan)
        wrong = ~((since >= 0.0) & (since < 86_400_000.0))
        if wrong.any():
            index = int(np.argmax(wrong))
            raise DataError(f"{self.row(start + index)}: the time {column[index].as_py()!r} is not a millisecond of a day")
        midnight = np.datetime64(f"{self.day[:4]}-{self.day[4:6]}-{self.day[6:]}", "ns").astype(np.int64) if self.day else 0
        return self._from_local(midnight + np.rint(since * 1e6).astype(np.int64), start)

    def _stored(self, column: Any, start: int) -> Ints:
        kind = column.type
        try:
            plain = column.cast(pa.timestamp("ns", getattr(kind, "tz", None)))
        except pa.ArrowInvalid:
            raise DataError(f"{self.row(start)}: a time of this batch lies outside the years 1678 to 2262; mend it") from None
        ns = _ints(plain.cast(pa.int64()))
        if (day := day_in_1970(ns)) is not None:
            raise DataError(
                f"{self.row(start + day[0])}: the time {utc(int(ns[day[0]]))} is {day[1]}, counted from 1970; write it as "
                "a date"
            )
        local = pa.types.is_timestamp(kind) and kind.tz is None
        return self._from_local(ns, start) if local and self.zone is not None else ns

    def _text(self, text: Any, start: int) -> Ints:
        if self.form is not None:
            self._form = self._form or Form(self.form.removesuffix("%z").rstrip(), self.form.endswith("%z"))
        elif self._form is None and len(text):
            self._form = form_of(text[0].as_py())
            if self._form is None and two_ways(text[0].as_py()):
                raise DataError(
                    f"{self.row(start)}: the time {text[0].as_py()!r} may name the day or the month first; say which with "
                    "--time-format, e.g. '%d/%m/%Y' or '%m/%d/%Y %H:%M'"
                )
        if self._form is not None:
            return self._written(text, self._form, start)
        number = np.asarray(pc.match_substring_regex(text, _NUMBER).to_numpy(zero_copy_only=False), bool)
        if number.any() and not number.all():
            index = int(np.argmax(number != number[0]))
            raise DataError(
                f"{self.row(start + index)}: the time {text[index].as_py()!r} is not written like those before it; write "
                "all of them alike, as numbers or like 2026-03-01T12:00:00Z"
            )
        if number.all():
            parts = pc.extract_regex(text, r"^(?P<whole>[+-]?\d+)(?:\.(?P<rest>\d*))?$")
            whole = self._whole(_ints(pc.struct_field(parts, "whole").cast(pa.int64())), start)
            rest = pc.utf8_slice_codeunits(pc.utf8_rpad(pc.struct_field(parts, "rest"), 9, "0"), 0, 9)
            return whole + _ints(rest.cast(pa.int64())) * self._scale // 10**9
        if pc.all(pc.match_substring_regex(text, _DATE)).as_py():
            return self._cast(text, "ns", None, start)
        text = pc.replace_substring_regex(text, r" ?UTC$", "Z")
        zoned = np.asarray(pc.match_substring_regex(text, _ZONED).to_numpy(zero_copy_only=False), bool)
        dates = np.asarray(pc.match_substring_regex(text, _DATE).to_numpy(zero_copy_only=False), bool)
        zoned &= ~dates  # the day of a date looks like an offset
        if zoned.all():
            return self._zoned(text, start)
        if zoned.any():
            index = int(np.argmax(zoned != zoned[0]))
            raise DataError(
                f"{self.row(start + index)}: the time {text[index].as_py()!r} {_named(zoned[index])}, and those before it "
                f"{_named(zoned[0], plural=True)}; write all of them alike"
            )
        local = self._cast(text, "ns", None, start)
        if self._are_days(local):
            return local
        if self.zone is None:
            raise DataError(f"{self.row(start)}: the time {text[0].as_py()!r} has no zone; say which with --timezone, e.g. UTC")
        return self._from_local(local, start)

    def _written(self, text: Any, form: Form, start: int) -> Ints:
        """Texts of a form other than ISO 8601."""
        ns, wrong = parsed(text.to_pylist(), form)
        if wrong >= 0:
            raise DataError(
                f"{self.row(start + wrong)}: the time {text[wrong].as_py()!r} is not written as {form.strptime}"
                f"{' with a zone' if form.zoned else ''}; write all of them alike, or give their form with --time-format"
            )
        if form.zoned or not re.search(r"%[HIMS]", form.strptime) or self._are_days(ns):
            return ns
        if self.zone is None:
            raise DataError(f"{self.row(start)}: the time {text[0].as_py()!r} has no zone; say which with --timezone, e.g. UTC")
        return self._from_local(ns, start)

    def _are_days(self, local: Ints) -> bool:
        """Whether all times so far that name no zone are midnight: then they are dates, of which the zone is not asked."""
        self._days &= self.zone is None and bool((local % _DAY == 0).all())
        return self._days

    def _zoned(self, text: Any, start: int) -> Ints:
        """Texts with their offset from UTC. Where all so far are midnight of such a zone, each names the day of its date."""
        self._local_midnight &= pc.all(pc.match_substring_regex(text, _LOCAL_MIDNIGHT)).as_py()
        if self._local_midnight:
            return self._cast(pc.utf8_slice_codeunits(text, 0, 10), "ns", None, start)
        return self._cast(text, "ns", "UTC", start)

    def _cast(self, text: Any, unit: str, zone: str | None, start: int) -> Ints:
        kind = pa.timestamp(unit, zone)
        try:
            return _ints(text.cast(kind).cast(pa.int64()))
        except pa.ArrowInvalid:
            for index in range(len(text)):
                try:
                    text.slice(index, 1).cast(kind)
                except pa.ArrowInvalid:
                    found = text[index].as_py()
                    raise DataError(
                        f"{self.row(start + index)}: {found!r} is not a time; it must be a number or like 2026-03-01T12:00:00Z"
                    ) from None
            raise

    def _from_local(self, local: Ints, start: int) -> Ints:
        zone = self.zone or "UTC"
        if zone == "UTC":
            return local
        index = pd.DatetimeIndex(local.view("M8[ns]"))
        asked: dict[str, Any] = {"ambiguous": "NaT", "nonexistent": "NaT"}
        made = index.tz_localize(zone, **asked)
        if made.isna().any():
            at = int(np.argmax(np.asarray(made.isna())))
            raise DataError(
                f"{self.row(start + at)}: {index[at]} is twice or never on the clocks of {zone}, which were changed; write the "
                "times in UTC"
            )
        return np.array(made.tz_convert("UTC").asi8, np.int64)

    def _whole(self, time: Ints, start: int) -> Ints:
        """Whole numbers in the unit said, or in that which their size tells: all of a file in one."""
        if self.unit is not None:
            self._scale = UNITS[self.unit]
        elif len(time):
            days = days_of(time)
            if days is not None:
                self._scale = 1
                return days
            if short_days(time):
                raise DataError(
                    f"{self.row(start)}: the time {time[0]} may be YYMMDDHHMM or seconds since 1970; say which with "
                    "--time-format %y%m%d%H%M or --time-unit s"
                )
            size = np.abs(time)
            scale = np.select([size < 10**11, size < 10**14, size < 10**17], [10**9, 10**6, 10**3], 1)
            self._scale = self._scale or int(scale[0])
            odd = scale != self._scale
            if odd.any():
                index = int(np.argmax(odd))
                raise DataError(
                    f"{self.row(start + index)}: the time {time[index]} is in another unit than those before it; write all of "
                    "them in one unit, or import the parts as files of their own"
                )
            early = size * scale < EARLIEST
            if early.any():
                index = int(np.argmax(early))
                raise DataError(
                    f"{self.row(start + index)}: the time {time[index]}, as {self._scale_name} since 1970, is "
                    f"{utc(int(time[index]) * self._scale)}; give its form with --time-format, e.g. %Y%m%d, or its unit with "
                    "--time-unit"
                )
        far = np.abs(time) > _LARGEST // max(self._scale, 1) - 1
        if far.any():
            index = int(np.argmax(far))
            raise DataError(
                f"{self.row(start + index)}: {time[index]} {self._scale_name} is beyond the year 2262; correct --time-unit"
            )
        return time * max(self._scale, 1)

    @property
    def _scale_name(self) -> str:
        return next(name for name, scale in UNITS.items() if scale == self._scale)

    def _float(self, time: Any, start: int) -> Ints:
        wrong = ~np.isfinite(time) | (np.abs(time) >= 2.0**63)
        if wrong.any():
            index = int(np.argmax(wrong))
            raise DataError(f"{self.row(start + index)}: the time is {time[index]:g}; remove the row or give its time")
        floor = np.floor(time)
        whole = self._whole(floor.astype(np.int64), start)
        # a float of today's seconds is good to a quarter of a microsecond: what lies below is no time
        micros = np.rint((time - floor) * (self._scale / 1e3)).astype(np.int64)
        return np.asarray(whole + micros * 1_000, np.int64)


def _named(zoned: Any, *, plural: bool = False) -> str:
    return f"{'have' if plural else 'has'} {'a' if zoned else 'no'} zone"


def _ints(column: Any) -> Ints:
    return np.array(column.to_numpy(zero_copy_only=False), np.int64)
