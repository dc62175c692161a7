"""The JSON Schema of the mirror: the full record, one a bar and symbol, and the compact profile that a chart reads."""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from dataflows.execution.types import Mirror
from dataflows.panel import Within, fields_of, kind_of
from dataflows.regime.types import REGIMES
from dataflows.risk.types import KILL_REASONS, LEVELS, REASONS, VERDICTS
from drivers.pine.payload import CRC_FACTOR, CRC_MODULUS, FILLS, MOST, STATES, TRIPS, UNKNOWN

_NAMED: Final = {"regime": REGIMES, "chart_regime": REGIMES, "risk_state": LEVELS, "verdict": VERDICTS}
_MASKS: Final = {"reasons": REASONS, "kill_reasons": KILL_REASONS}
_ABOUT: Final = {
    "signal": "L3's side: -1 short, 0 flat, 1 long, 2 unknown",
    "score": "L7's score of all sources, -1 to 1",
    "side": "sign of the weight that L4 approved",
    "target_weight": "signed fraction of equity",
    "throttle": "L91's factor on size",
    "halt_entries": "1: L92 lets nothing grow until its period ends",
    "day_pnl": "profit and loss of the UTC day, a fraction of equity",
    "position": "base units, signed",
    "weight": "of the position, signed fraction of equity",
    "average_price": "quote currency; null while flat",
    "stop": "L94's stop of the position; null while flat",
    "target": "L94's target of the position; null while flat",
    "equity": "the account's currency",
    "peak": "the account's currency",
    "close": "quote currency",
    "return_1": "log return of the bar",
    "atr": "quote currency",
    "sigma": "log price per bar",
    "trend_z": "L11: fast less slow average, in ATR",
    "direction": "L60: -1 down, 0 sideways, 1 up",
    "chart_regime": "from the chart's bars alone",
    "chart_side": "of the trend, from the chart's bars alone",
    "comparable": "1: a chart with the same bars must agree",
}


def schema() -> dict[str, Any]:
    """JSON Schema, draft 2020-12: a record or a payload."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "StratoQuant's mirror on a chart",
        "oneOf": [{"$ref": "#/$defs/record"}, {"$ref": "#/$defs/payload"}],
        "$defs": {"record": _record(), "payload": _payload()},
    }


def schema_text() -> str:
    """The schema as it is checked in."""
    return json.dumps(schema(), indent=2) + "\n"


def _record() -> dict[str, Any]:
    fields = {name: _field(name, annotation) for name, annotation in fields_of(Mirror).items()}
    symbol = {"type": "string", "minLength": 1, "maxLength": 64}
    return {
        "description": "What was decided and is held at the close of a bar, and what a chart can compute to compare. L99.",
        "type": "object",
        "properties": {"symbol": symbol, **fields},
        "required": ["symbol", *fields],
        "additionalProperties": False,
    }


def _field(name: str, annotation: Any) -> dict[str, Any]:
    if name == "time":
        return {"description": "close of the bar, UTC", "type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"}
    if name in _NAMED:
        return {"enum": [*_NAMED[name], None]}
    if name in _MASKS:
        return {"type": "array", "items": {"enum": list(_MASKS[name])}, "uniqueItems": True}
    kind = kind_of(annotation)
    found: dict[str, Any] = {"description": _ABOUT[name], "type": "integer" if kind.dtype == "i8" else ["number", "null"]}
    within = next((meta for meta in getattr(annotation, "__metadata__", ()) if isinstance(meta, Within)), None)
    bounds = {"minimum": within.low, "maximum": within.high} if within else {}
    return found | {key: bound for key, bound in bounds.items() if abs(bound) < sys.float_info.max}


def _payload() -> dict[str, Any]:
    def rows(columns: tuple[str, ...], about: str, least: int) -> dict[str, Any]:
        items = [{"title": name, "type": "integer"} for name in columns]
        row = {"type": "array", "prefixItems": items, "items": False, "minItems": len(items)}
        return {"description": about, "type": "array", "items": row, "minItems": least}

    whole = {"type": "integer"}
    fields = {
        "sq": {"const": 1, "description": "version of the profile"},
        "m": {**whole, "description": "hash of the settings; a script made with others says so", "minimum": 0},
        "n": {**whole, "description": "rows of s", "minimum": 1},
        "t0": {**whole, "description": "open of the first bar, seconds since 1970"},
        "t1": {**whole, "description": "open of the last bar"},
        "dt": {**whole, "description": "seconds of a bar", "minimum": 1},
        "e": {**whole, "description": "prices are in units of 10^-e", "minimum": 0, "maximum": 15},
        "tk": {**whole, "description": "tick size in these units; 0 unknown", "minimum": 0},
        "sd": {"enum": [-1, 0, 1], "description": "chart side before the first bar"},
        "crc": {
            **whole,
            "description": f"from 1, for every number x in the order m, n, t0, t1, dt, e, tk, st, sd, s, p, f: crc = (crc * "
            f"{CRC_FACTOR} + |x| mod {CRC_MODULUS} + (1 if x < 0)) mod {CRC_MODULUS}",
            "minimum": 0,
        },
        "st": {
            "description": "chart regime before the first bar", "type": "array",
            "items": {**whole, "minimum": -1, "maximum": 4}, "minItems": 1, "maxItems": 1,
        },
        "s": rows(STATES, f"what holds from a bar on, and what was measured at it; {UNKNOWN}: not known", 1),
        "p": rows(TRIPS, "positions", 0),
        "f": rows(FILLS, "fills, one row for each side of a bar", 0),
    }  # fmt: skip
    return {
        "description": "Keys in this order, no blanks, integers only: Pine reads it by splitting text. The first column of a "
        f"row counts bars since the row before. At most {MOST} characters.",
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }
