"""Written forms of dates and times. A form that can be read in two ways is never guessed."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

import numpy as np

from dataflows.panel import Ints

EARLIEST: Final = 10**8 * 10**9
"""Numbers that mean a time before March 1973, in ns, are hardly times: prices of that age are written as dates."""
_CLOCK: Final = {
    "": "",
    r"[ T]\d{1,2}:\d{2}": " %H:%M",
    r"[ T]\d{1,2}:\d{2}:\d{2}": " %H:%M:%S",
    r"[ T]\d{1,2}:\d{2}:\d{2}\.\d{1,9}": " %H:%M:%S.%f",
    r"[ T]\d{6}": " %H%M%S",
    r"[ T]\d{6}\d{3}": " %H%M%S%f",
    r"[ T]\d{4}": " %H%M",
    r"[ T]\d{1,2}-[AP]M": " %I-%p",
    r"[ T]\d{1,2}:\d{2}(?::\d{2})? ?[AP]M": " %I:%M:%S %p",
}
_DATES: Final = {
    r"(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])": "%Y%m%d",
    r"\d{4}\.\d{2}\.\d{2}": "%Y.%m.%d",
    r"\d{4}/\d{2}/\d{2}": "%Y/%m/%d",
    r"\d{1,2}\.\d{1,2}\.\d{4}": "%d.%m.%Y",
    r"[A-Z][a-z]{2} \d{1,2}, \d{4}": "%b %d, %Y",
    r"\d{1,2}-[A-Z][a-z]{2}-\d{4}": "%d-%b-%Y",
    r"\d{4}-\d{2}-\d{2}": "%Y-%m-%d",
}
_ZONE: Final = r"(?P<zone>Z| ?UTC| ?GMT| ?(?:GMT|UTC)?[+-]\d{2}:?\d{2})?"
_TWO_WAYS: Final = re.compile(r"\d{1,2}[/-]\d{1,2}[/-](?:\d{4}|\d{2})(?:[ T].*)?")


class Form(NamedTuple):
    """A written form. strptime: its format, the zone left out; zoned: an offset from UTC follows."""

    strptime: str
    zoned: bool = False


def form_of(text: str) -> Form | None:
    """The form of a date with or without a time of day that is not ISO 8601; None where it is another, or could be two.

    Eight digits are a day only where they are one of the years 1900 to 2099, twelve and fourteen a day with its time.
    """
    if re.fullmatch(r"\d{12}|\d{14}", text) and form_of(text[:8]) is not None:
        return Form("%Y%m%d%H%M" if len(text) == 12 else "%Y%m%d%H%M%S")
    for date, date_form in _DATES.items():
        for clock, clock_form in _CLOCK.items():
            match = re.fullmatch(date + clock + _ZONE, text)
            if match is None:
                continue
            if date_form == "%Y-%m-%d" and "%p" not in clock_form:
                return None  # ISO 8601: read as such
            if "%p" in clock_form and text.count(":") == 1:
                clock_form = clock_form.replace(":%S", "")
            return Form(date_form + clock_form, match["zone"] is not None)
    return None


def two_ways(text: str) -> bool:
    """Whether a date names day and month by their place alone, as 03/04/2024 does."""
    return _TWO_WAYS.fullmatch(text) is not None


def is_time(text: str) -> bool:
    """Whether a cell is a date or a time rather than a name."""
    plain = text.strip()
    iso = re.fullmatch(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}.*)?", plain)
    clock = re.fullmatch(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?", plain)
    return bool(iso or clock) or form_of(plain) is not None or two_ways(plain)


def parsed(texts: list[str], form: Form) -> tuple[Ints, int]:
    """UTC ns of texts in a form (local time where it has no zone), and the index of the first that does not have it, or -1."""
    import pandas as pd  # most data have times that need no reading of texts

    series = pd.Series(texts, dtype=object).str.strip().str.replace(r"(?<=\d)T(?=\d)", " ", regex=True)
    if "%p" in form.strptime:
        series = series.str.replace(r" ?([AP]M)", r" \1" if " %p" in form.strptime else r"\1", regex=True)
    offset: Any = 0
    if form.zoned:
        zone = r"(?:Z|UTC|GMT)?(?:(?P<sign>[+-])(?P<hours>\d{2}):?(?P<minutes>\d{2}))?"
        found = series.str.extract(rf"^(?P<rest>.*?) ?{zone}$")
        series = found["rest"].fillna("")
        minutes = pd.to_numeric(found["hours"]).fillna(0) * 60 + pd.to_numeric(found["minutes"]).fillna(0)
        offset = np.where(found["sign"] == "-", -1, 1) * minutes.to_numpy(np.int64) * 60 * 10**9
    times = pd.to_datetime(series, format=form.strptime, errors="coerce")
    wrong = np.asarray(times.isna())
    ns = np.array(pd.DatetimeIndex(times).as_unit("ns").asi8, np.int64) - offset
    return ns, int(np.argmax(wrong)) if wrong.any() else -1


def day_in_1970(ns: Ints) -> tuple[int, str] | None:
    """Index and text of the first instant that is a day like 20240307 which was counted from 1970, in s, ms, us or ns."""
    for index in np.flatnonzero((ns > 0) & (ns < 10**8 * 10**9))[:1].tolist():
        digits = str(int(ns[index])).rstrip("0").ljust(8, "0")
        if len(digits) == 8 and form_of(digits) is not None:
            return index, digits
    return None


def short_days(numbers: Ints) -> bool:
    """Whether whole numbers of ten digits, read as seconds since 1970 without a doubt, could all be YYMMDDHHMM as well.

    Three and more of them, over more than an hour: seconds that follow each other soon have no such minute or hour.
    """
    found = np.unique(numbers)
    if len(found) < 3 or found[0] < 10**9 or found[-1] >= 10**10 or found[-1] - found[0] < 100:
        return False
    month, day, hour, minute = (found // 10**k % 100 for k in (6, 4, 2, 0))
    return bool(((month >= 1) & (month <= 12) & (day >= 1) & (day <= 31) & (hour < 24) & (minute < 60)).all())


def days_of(numbers: Ints) -> Ints | None:
    """UTC ns of whole numbers that are all written YYYYMMDD (or with HHMM or HHMMSS after it); None where one is not."""
    if not len(numbers):
        return None
    digits = len(str(abs(int(numbers[0]))))
    form = form_of(str(int(numbers[0])))
    if form is None or (numbers <= 0).any() or (numbers >= 10**digits).any() or (numbers < 10 ** (digits - 1)).any():
        return None
    days, index = np.unique(numbers, return_inverse=True)
    ns, wrong = parsed([str(int(day)) for day in days], form)
    return ns[index] if wrong < 0 else None
