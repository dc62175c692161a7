"""Counted things, with the noun in the right number."""

from __future__ import annotations


def plural(n: int, one: str, many: str = "") -> str:
    """`1 fill`, `62,123 fills`, `2 libraries`."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"
