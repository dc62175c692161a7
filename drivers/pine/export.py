"""A run's mirror of one symbol as a payload, as full records, and as scripts that hold the payload."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from dataflows.execution.types import Mirror
from dataflows.panel import Ints
from dataflows.regime.types import REGIMES
from dataflows.risk.types import KILL_REASONS, LEVELS, REASONS, VERDICTS
from drivers.files.atomic import write_atomic
from drivers.files.json_values import json_values
from drivers.pine.payload import EVERY, MOST, UNKNOWN, USUAL, PayloadError, Row, pack, price_digits, scaled
from drivers.pine.recorded import Recorded, read_symbol
from drivers.pine.render import COMMISSION, SCRIPTS, script
from drivers.pine.settings import Settings, settings_of
from drivers.runlog.events import names_of
from drivers.store.reader import RecordedError, RecordedRun
from drivers.text.inert import json_text
from drivers.text.times import stamp

BARS: Final = 120
_HELD: Final = ("side", "regime", "chart_side", "chart_regime", "risk_state")
"""What begins a new row of the payload where it changes."""
_SHOWN: Final = ("reasons", "kill_reasons")


@dataclass(frozen=True)
class Exported:
    """What a chart of one symbol needs. bars: that the payload covers, of so many that were asked for."""

    symbol: str
    settings: Settings
    payload: str
    bars: int
    asked: int
    records: list[dict[str, Any]]
    scripts: dict[str, str]


def export(run: RecordedRun, symbol: str, bars: int | None = None) -> Exported:
    """The last bars of a run. bars: None for 120, or fewer where they would be longer than 4,000 characters.

    Raises PayloadError for a payload that no string of Pine holds, RecordedError where the run holds no mirror.
    """
    settings, found = settings_of(run.about), read_symbol(run, symbol)
    there = found.comparable
    if not len(there):
        raise RecordedError(f"{run.folder.name}: {symbol} has no bar that a chart could be compared with; give it more data")
    asked = min(bars or BARS, len(there))
    count = asked
    payload = payload_of(found, settings, there[-count:])
    if bars is None:
        while len(payload) > USUAL and count > 1:
            count = max(1, min(count - 1, count * USUAL // len(payload)))
            payload = payload_of(found, settings, there[-count:])
    if len(payload) > MOST:
        fits = max(1, count * MOST // len(payload))
        raise PayloadError(
            f"{count} bars make a payload of {len(payload):,} characters, and Pine takes {MOST:,}; --bars {fits}"
        )
    capital = float(run.about["configuration"]["execution"]["start_cash"])
    fees = (run.about.get("instruments") or {}).get("taker_fee_bps") or []
    n = run.symbols.index(symbol)
    commission = fees[n] / 100.0 if len(fees) > n and fees[n] is not None else COMMISSION
    made = {
        name: script(name, settings, symbol=symbol, payload=payload, capital=capital, commission=commission) for name in SCRIPTS
    }
    return Exported(symbol, settings, payload, count, asked, records_of(found, there[-count:]), made)


def records_of(found: Recorded, rows: Ints) -> list[dict[str, Any]]:
    """The full records of some bars, as the schema has them: names for codes, null for what is not known."""
    named: dict[str, Any] = {
        "regime": REGIMES, "chart_regime": REGIMES, "risk_state": LEVELS, "verdict": VERDICTS,
    }  # fmt: skip
    masks = {"reasons": REASONS, "kill_reasons": KILL_REASONS}

    def value(field: str, x: Any) -> Any:
        if field in named:
            return named[field][int(x)] if x >= 0 else None
        if field in masks:
            return names_of(int(x), masks[field])
        return stamp(int(x)) if field == "time" else x

    return [
        {
            "symbol": found.symbol,
            **json_values({field: value(field, found.column[field][t]) for field in Mirror._fields}),
        }
        for t in rows
    ]


def payload_of(found: Recorded, settings: Settings, rows: Ints) -> str:
    """The payload of successive comparable bars."""
    clock, column, opened = found.clock, found.column, found.opened
    first, last = int(opened[rows[0]]), int(opened[rows[-1]])
    if ((opened - first) % clock).any():
        raise PayloadError(
            f"{found.symbol}: its bars are not whole bars of the clock apart, as days of an exchange are not; the mirror takes "
            "such data at a clock within the day"
        )
    digits = price_digits(float(column["close"][rows[0]]), found.tick)
    known = {int(t) for trip in found.trips if math.isnan(trip.distance) for t in _bars_of(trip.began, trip.ends, opened)}
    states: list[Row] = []
    at, since = first, 0
    held: tuple[int, ...] = ()
    for i, t in enumerate(rows):
        now = tuple(int(column[name][t]) for name in _HELD)
        if now == held and since + 1 < EVERY and i + 1 < len(rows):
            since += 1
            continue
        bare = int(opened[t]) in known
        shown = (int(column[name][t]) for name in _SHOWN)
        states.append([(int(opened[t]) - at) // clock, *now, *shown, *_measured(column, int(t), digits, bare)])
        held, since, at = now, 0, int(opened[t])
    trips: list[Row] = []
    at = first
    for trip in found.trips:
        if trip.began > last or (trip.ends and trip.ends <= first):
            continue
        ends = trip.ends if trip.ends and trip.ends <= last else 0
        trips.append(
            [
                (trip.began - at) // clock,
                (trip.began - trip.decided) // clock,
                trip.side,
                scaled(trip.distance, 15) if not math.isnan(trip.distance) else 0,
                (ends - trip.began) // clock if ends else 0,
                int(trip.at_level),
                scaled(trip.weight, 4),
            ]
        )
        at = trip.began
    fills: list[Row] = []
    at = first
    for when, side, price in found.fills:
        if first <= when <= last:
            fills.append([(when - at) // clock, side, scaled(price, digits)])
            at = when
    before = int(rows[0]) - 1
    start = (int(column["chart_regime"][before]), int(column["chart_side"][before])) if before >= 0 else (-1, 0)
    head = {
        "m": settings.model, "t0": first, "t1": last, "dt": clock, "e": digits,
        "tk": scaled(found.tick, digits) if found.tick > 0.0 else 0, "st": start[0], "sd": start[1],
    }  # fmt: skip
    return pack(head, states, trips, fills)


def _bars_of(began: int, ends: int, opened: Ints) -> Ints:
    return opened[(opened >= began) & ((opened < ends) if ends else np.True_)]


def _measured(column: dict[str, Any], t: int, digits: int, bare: bool) -> Sequence[int]:
    """The numbers of a row behind the codes. bare: the position's levels are not told, since no distance is known."""

    def price(name: str) -> int:
        x = float(column[name][t])
        return scaled(x, digits) if math.isfinite(x) and not bare else 0

    peak, equity = float(column["peak"][t]), float(column["equity"][t])
    drawdown = max(0.0, 1.0 - equity / peak) if peak > 0.0 else math.nan
    return (
        scaled(float(column["return_1"][t]), 9),
        scaled(float(column["trend_z"][t]), 6),
        scaled(float(column["atr"][t]), digits),
        scaled(float(column["sigma"][t]), 9),
        price("stop"),
        price("target"),
        scaled(float(column["weight"][t]), 4),
        scaled(equity, 2),
        scaled(drawdown, 6),
        max(UNKNOWN, scaled(float(column["day_pnl"][t]), 6)),
    )


def folder_names(symbols: Sequence[str]) -> dict[str, str]:
    """A folder for each symbol: its name where that is letters, digits, `-` and `_`, else its number.

    No two differ by case only.
    """
    plain = [name if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name) else "" for name in symbols]
    seen = Counter(name.lower() for name in plain)
    return {
        symbol: name if name and seen[name.lower()] == 1 else f"symbol.{i + 1}"
        for i, (symbol, name) in enumerate(zip(symbols, plain, strict=True))
    }


def write(found: Exported, folder: Path) -> None:
    """The scripts, `payload.json` and `records.json` of one symbol."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {**found.scripts, "payload.json": found.payload, "records.json": json_text(found.records, indent=1) + "\n"}
    for name, text in texts.items():
        write_atomic(folder / name, text)
