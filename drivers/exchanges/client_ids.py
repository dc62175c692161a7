"""Client order ids: ours, written so that every exchange takes them and that they can be read back.

18 characters of 0-9 and a-z, as many as Kraken takes: who wrote it (`s`: the stream, `w`: its watchdog), the place of the
symbol (2), the sequence of our id (7), the attempt (3), and the nonce of the account's run (5). An id is never used twice: each
attempt at an order has its own, and a fresh run has another nonce.
"""

from __future__ import annotations

import secrets
from typing import Final, NamedTuple

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_PLACE, _SEQUENCE, _ATTEMPT, NONCE = 2, 7, 3, 5  # characters
STREAM, WATCHDOG = "s", "w"
LENGTH: Final = 1 + _PLACE + _SEQUENCE + _ATTEMPT + NONCE


class ClientId(NamedTuple):
    """What a client id says. place: of the symbol in the run's list. sequence: the lower 32 bits of our id; the upper ones are
    the symbol's."""

    place: int
    sequence: int
    attempt: int
    nonce: str


def new_nonce() -> str:
    """Five random characters."""
    return "".join(secrets.choice(_DIGITS) for _ in range(NONCE))


def written(place: int, order_id: int, attempt: int, nonce: str, by: str = STREAM) -> str:
    """The client id of an attempt at an order. by: STREAM or WATCHDOG. Raises ValueError beyond 1,296 symbols or 46,656
    attempts."""
    if not (0 <= attempt < 36**_ATTEMPT and 0 <= place < 36**_PLACE):
        raise ValueError(f"attempt {attempt} at an order of symbol {place}: there is no client id for it")
    return f"{by}{_base36(place, _PLACE)}{_base36(order_id & 0xFFFFFFFF, _SEQUENCE)}{_base36(attempt, _ATTEMPT)}{nonce}"


def read(client: str | None, by: str = STREAM) -> ClientId | None:
    """What a client id says; None where it is none of ours, or another than `by` wrote it."""
    if client is None or len(client) != LENGTH or client[0] != by or not set(client) <= set(_DIGITS):
        return None
    at, parts = 1, []
    for length in (_PLACE, _SEQUENCE, _ATTEMPT):
        parts.append(int(client[at : at + length], 36))
        at += length
    place, sequence, attempt = parts
    return ClientId(place, sequence, attempt, client[at:]) if sequence < 2**32 else None


def _base36(number: int, length: int) -> str:
    text = ""
    for _ in range(length):
        number, digit = divmod(number, 36)
        text = _DIGITS[digit] + text
    return text
