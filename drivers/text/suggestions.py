"""Names that somebody probably meant by a wrong one. Every command and every file is answered by the same rule."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from typing import Final

_CUTOFF: Final = 0.5
_SHOWN: Final = 12


def nearest(wrong: str, known: Iterable[str]) -> list[str]:
    """The known names that `wrong` probably means, the likeliest first; none when nothing is near.

    Letter case, hyphens, dots and spaces do not count. The same name written otherwise comes first; then up to three names
    that contain every part of `wrong` (`rsi` finds `l15_rsi_short`); then the one that is spelled most alike.
    """
    names = list(known)
    folded = [_folded(name) for name in names]
    sought = _folded(wrong)
    same = [name for name, form in zip(names, folded, strict=True) if form == sought]
    if same:
        return same[:1]
    parts = set(sought.split("_"))
    containing = [name for name, form in zip(names, folded, strict=True) if parts <= set(form.split("_"))]
    if containing:
        return containing[:3]
    alike = difflib.get_close_matches(sought, folded, n=1, cutoff=_CUTOFF)
    return [names[folded.index(alike[0])]] if alike else []


def did_you_mean(wrong: str, known: Iterable[str], otherwise: str = "") -> str:
    """`did you mean NAME?`; when nothing is near, `otherwise`, or else all known names: `there are: a, b and 5 more.`"""
    names = list(known)
    near = nearest(wrong, names)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return otherwise or f"there are: {listed(names)}."


def layer_named(wanted: str, names: Sequence[str]) -> str | None:
    """The layer given as `L12`, `l12`, `12` or by its full name; None when there is no such layer."""
    text = _folded(wanted)
    number = re.fullmatch(r"l?0*(\d+)", text)
    sought = f"l{number[1]}" if number else text
    return next((name for name in names if sought in (name, name.partition("_")[0])), None)


def layer_hint(wanted: str, names: Sequence[str]) -> str:
    """What to write instead of a layer that does not exist: the nearest name, or the nearest number."""
    number = re.fullmatch(r"l?0*(\d+)", _folded(wanted))
    numbers = {name: int(found[1]) for name in names if (found := re.match(r"l(\d+)(_|$)", name))}
    if number is not None and numbers:
        closest = min(numbers, key=lambda name: (abs(numbers[name] - int(number[1])), numbers[name]))
        return f"the nearest is L{numbers[closest]} {closest}."
    return did_you_mean(wanted, names, "`stratoquant layers` lists them.")


def listed(names: Sequence[str]) -> str:
    """`a, b and 5 more`, or `none`."""
    rest = len(names) - _SHOWN
    return (", ".join(names[:_SHOWN]) or "none") + (f" and {rest} more" if rest > 0 else "")


def _folded(name: str) -> str:
    return re.sub(r"[-. /]", "_", name.strip().lower())
