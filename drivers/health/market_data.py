"""Market data: which there is, whether it can be read, how old it is, and whether its clock is the wiring's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from drivers.health.context import Context, parse_age
from drivers.health.registry import Found, check, fail, ok, warn
from drivers.text.counts import plural
from drivers.text.times import duration, parse_duration, parse_utc

TABLES: Final = ("bars", "book", "trades", "funding")


@check("feeds")
def feeds(context: Context) -> Iterator[Found]:
    """Which market data a run would take."""
    from drivers.feeds.description import read_description
    from drivers.feeds.tables import find_table

    if not context.data:
        yield _sample(context)
    for folder in context.data:
        if not folder.is_dir():
            what = "is a file" if folder.exists() else "does not exist"
            yield fail(f"{folder} {what}; market data are a folder.", "Give --data the folder that holds bars.* or trades.*.")
            continue
        about = read_description(folder)
        found = {stem: find_table(folder, stem, about.timezone) for stem in TABLES}
        files = [table.path.name for table in found.values() if table is not None]
        if found["bars"] is None and found["trades"] is None:
            yield fail(
                f"{folder} holds neither bars nor trades.",
                "Put bars.parquet (.csv, .csv.gz, .feather) there, or `stratoquant data import` your own files.",
            )
        else:
            yield ok(f"{folder} holds {', '.join(files)}.")


def _sample(context: Context) -> Found:
    none = "No --data is named: `stratoquant run` takes the built-in sample market"
    if (context.sample / "dataset.yml").is_file():
        return ok(f"{none}, which is in {context.sample}.")
    return ok(f"{none}, which the first run simulates into {context.sample.parent}, in a few seconds.")


@check("data")
def data(context: Context) -> Iterator[Found]:
    """Whether the market data can be read, and what `stratoquant data check` has against them."""
    if not context.reports:
        yield ok("There is no market data to read yet." if not context.data else "None of the named folders can be read.")
    for folder, report in context.reports.items():
        look = f"`stratoquant data check {folder}` lists everything."
        if report.faults:
            rows = sum(fault.count for fault in report.faults)
            first = report.faults[0].sentence
            first = first if first.startswith(f"{folder.name}:") else f"{context.named(folder)}: {first}"
            more = f" ({plural(len(report.faults), 'kind')} of fault, {plural(rows, 'row')})" if rows > 1 else ""
            yield fail(f"{first}{more}", f"A run refuses this; {look}")
            continue
        missing = sum(s.missing for s in report.symbols)
        bars = sum(s.bars for s in report.symbols)
        outliers = sum(s.outliers for s in report.symbols)
        detail = (
            f"{context.named(folder)}: {bars} bars of {report.clock} of {plural(len(report.symbols), 'symbol')}, "
            f"{report.start} to {report.end}; {missing} missing, {plural(outliers, 'outlier')}"
        )
        if not bars:
            yield fail(f"{context.named(folder)} has no bars.", f"A run would have nothing to do; {look}")
        elif report.notes:
            yield warn(f"{detail}. {'; '.join(report.notes)}.", look)
        else:
            yield ok(f"{detail}.")


@check("fresh")
def fresh(context: Context) -> Iterator[Found]:
    """How old the newest bar is. A recording has no age to keep; a feed that is being written has, which --max-age says."""
    now = time.time_ns() if context.now is None else context.now
    told = False
    for folder, report in context.reports.items():
        last = {s.symbol: parse_utc(s.last) for s in report.symbols if s.last}
        if not last:
            continue
        told = True
        newest = max(last.values())
        age = f"{context.named(folder)}: the newest bar closed at {report.end}, {_ago(now - newest)}"
        if context.max_age is None:
            yield ok(f"{age}; taken for a recording, which does not age (--max-age 2h makes this a check of a feed).")
            continue
        limit = parse_age(context.max_age, parse_duration(report.clock))
        late = [f"{name} since {_ago(now - at)}" for name, at in last.items() if now - at > limit]
        if late:
            yield fail(
                f"{age}; older than {context.max_age}: {_few(late)}.",
                "See that what writes this folder is running; leave --max-age out where it is a recording.",
            )
        else:
            yield ok(f"{age}; every symbol within {context.max_age}.")
    if not told:
        yield ok("There is no bar whose age could be told.")


@check("clock")
def clock(context: Context) -> Iterator[Found]:
    """Whether the configuration's times make sense at the clock of the data."""
    from dataflows.config import ConfigError
    from dataflows.spans import MINUTES
    from drivers.feeds.dataset import open_dataset
    from drivers.project.configs import load_configs

    clocks = {context.named(f): open_dataset(f).clock for f, report in context.reports.items() if report.clock}
    for name, at in (clocks or {"no data": MINUTES}).items():
        try:
            load_configs(context.project, clock=at)
            yield ok(f"The configuration's times fit bars of {at} ({name}).")
        except ConfigError as error:
            yield fail(f"The configuration does not fit bars of {at} ({name}): {error}", "Change the key that it names.")


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _ago(ns: int) -> str:
    """An age in its two largest units: `3d4h ago`."""

    if ns < 0:
        return f"{duration(-ns)} from now"
    seconds = ns // 1_000_000_000
    coarse = next((size for size in (86_400, 3_600, 60) if seconds >= 24 * size), 1)
    return f"{duration(seconds // coarse * coarse * 1_000_000_000) if seconds else 'a moment'} ago"
