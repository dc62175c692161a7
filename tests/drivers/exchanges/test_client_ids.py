"""Client ids can be read back, fit every exchange, and are no stranger's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.exchanges.client_ids import LENGTH, new_nonce, read, written

NONCE = st.text("0123456789abcdefghijklmnopqrstuvwxyz", min_size=5, max_size=5)


@given(st.integers(0, 1295), st.integers(0, 2**63 - 1), st.integers(0, 46_655), NONCE)
def test_what_is_written_is_read(place: int, order_id: int, attempt: int, nonce: str) -> None:
    client = written(place, order_id, attempt, nonce)
    assert len(client) == LENGTH == 18 and client.isalnum() and client.isascii() and client == client.lower()
    assert read(client) == (place, order_id & 0xFFFFFFFF, attempt, nonce)


@given(st.text(max_size=40))
def test_any_text_is_read_or_is_a_strangers(client: str) -> None:
    said = read(client)
    assert said is None or written(said.place, said.sequence, said.attempt, said.nonce) == client


def test_ids_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="attempt 46656"):
        written(0, 4, 46_656, "abcde")
    with pytest.raises(ValueError, match="symbol 1296"):
        written(1_296, 4, 0, "abcde")
    assert read(None) is None and read("x" * 18) is None and read("szzzzzzzzzzzzzzzzz") is None


def test_two_runs_do_not_share_their_ids() -> None:
    assert len({new_nonce() for _ in range(1_000)}) > 990
