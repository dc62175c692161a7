"""The Pine scripts from their templates."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any, Final

import jinja2

from dataflows.regime.types import CHAOTIC, REGIMES
from dataflows.risk.types import KILL_REASONS, LEVELS, REASONS
from drivers.pine.payload import CRC_FACTOR, CRC_MODULUS, FILLS, LITERAL, STATES, TRIPS, UNKNOWN
from drivers.pine.settings import Settings
from drivers.text.inert import shown

HERE: Final = Path(__file__).parent
MIRROR, STRATEGY = "stratoquant_mirror.pine", "stratoquant_strategy.pine"
_TEMPLATES: Final = {MIRROR: "mirror.pine.j2", STRATEGY: "strategy.pine.j2"}
SCRIPTS: Final = tuple(_TEMPLATES)
CAPITAL: Final = 100_000.0
COMMISSION: Final = 0.05
"""Percent of each fill, where a run does not say."""


def script(
    name: str,
    settings: Settings,
    *,
    symbol: str = "",
    payload: str = "",
    capital: float = CAPITAL,
    commission: float = COMMISSION,
) -> str:
    """One of SCRIPTS as text. payload: what its input field holds at first; one that is too long for a literal is left out.

    commission: percent. No name of a symbol can end a string or a comment of the script.
    """
    made = _environment().get_template(_TEMPLATES[name])
    kind = "mirror" if name == MIRROR else "strategy"
    return made.render(
        s=settings,
        codes=_CODES,
        title=f"StratoQuant {kind}{': ' * bool(symbol)}{shown(symbol, lines=False)}",
        symbol_comment=_one_line(symbol) if symbol else "a run",
        symbol_json=json.dumps(symbol),
        payload=payload if len(payload) <= LITERAL else "",
        capital=capital,
        commission=commission,
    )


def literal(text: str) -> str:
    """A string of Pine. Only quotes, backslashes and line breaks mean anything in one; what steers is shown as an escape."""
    return '"' + shown(text, lines=False).replace("\\", "\\\\").replace('"', '\\"') + '"'


def number(x: float) -> str:
    """A number that Pine reads as the same float: the shortest digits that give it back."""
    text = repr(float(x))
    if "e" not in text:
        return text
    mantissa, _, exponent = text.partition("e")
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{int(exponent)}"


def _one_line(symbol: str) -> str:
    return shown(symbol, lines=False)


_CODES: Final[dict[str, Any]] = {
    "chaotic": CHAOTIC,
    "regimes": REGIMES,
    "levels": LEVELS,
    "reasons": REASONS,
    "kills": KILL_REASONS,
    "state_columns": len(STATES),
    "trip_columns": len(TRIPS),
    "fill_columns": len(FILLS),
    "crc_factor": CRC_FACTOR,
    "crc_modulus": CRC_MODULUS,
    "unknown": UNKNOWN,
}


@functools.cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters |= {"literal": literal, "number": number}
    return made
