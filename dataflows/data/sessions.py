"""The sessions of a market that never closes: UTC days."""

from __future__ import annotations

from typing import Final

from dataflows.panel import Ints

_DAY: Final = 86_400 * 1_000_000_000


def utc_days(time: Ints, step: int) -> dict[str, Ints]:
    """`session`, `bar_of_session`, `is_last` and `ordinal` of Observations, (T,) each. time: closes, UTC ns; step: ns of a bar.

    The bar that closes at 00:00 is the last of its day.
    """
    session = (time - 1) // _DAY
    return {
        "session": session,
        "bar_of_session": ((time - 1) % _DAY) // step,
        "is_last": ((time + step - 1) // _DAY != session).astype("int64"),
        "ordinal": (time - 1) // step,
    }
