"""What a gateway must not forget: the short lists say what going through everything would say, also after a restart."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.exchanges.legs import DONE, ENTRY, OPEN, SENT, UNKNOWN, Book, Leg
from drivers.exchanges.state import State

SYMBOLS = ("BTCUSDT", "ETHUSDT")
NUMBERS = st.integers(0, 5)
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("book"), NUMBERS, st.sampled_from([-1, 2, 4])),
        st.tuples(
            st.just("leg"), NUMBERS, st.sampled_from([SENT, OPEN, UNKNOWN, DONE]), st.sampled_from(["", "closed", "+closed"]),
            st.sampled_from(["0", "1"]), st.sampled_from([0, 7]),
        ),
        st.just(("prune",)),
    ),
    max_size=40,
)  # fmt: skip


def book(number: int, ends: int) -> Book:
    return Book(
        id=number, symbol=SYMBOLS[number % 2], role=ENTRY, kind="limit", quantity="1", limit="9", trigger="", tif="GTC", parent=0,
        decided=0, expires=0, bracket_stop="", bracket_limit="", bracket_target="", price=9.0, ends=ends,
    )  # fmt: skip


def leg(number: int, state: str, ended: str, filled: str, ask: int) -> Leg:
    return Leg(
        f"c{number}", number // 2, SYMBOLS[number // 2 % 2], "limit", "buy", "1", "9", "", "GTC", 0, state=state, ended=ended,
        filled=filled, stated="1", ask=ask,
    )  # fmt: skip


def agree(state: State) -> None:
    for symbol in SYMBOLS:
        live = [found for found in state.legs.values() if found.symbol == symbol and found.live]
        assert sorted(found.client for found in state.live(symbol)) == sorted(found.client for found in live)
        books = {found.id for found in state.books.values() if found.symbol == symbol and found.live}
        assert {found.id for found in state.live_books(symbol)} == books
    open_ = {found.client for found in state.legs.values() if found.ask or not found.done_with}
    assert {found.client for found in state.under_way()} == open_
    for each in state.books.values():
        mine = {found.client for found in state.legs.values() if found.owner == each.id and found.client in open_}
        assert {found.client for found in state.legs_of(each)} == mine


@settings(max_examples=150, deadline=None)
@given(CHANGES)
def test_the_short_lists_say_what_is_so_after_any_changes_and_a_restart(changes: list[tuple[Any, ...]]) -> None:
    state, follower = State("nonce"), State("")
    for kind, *about in changes:
        if kind == "prune":
            state.prune()
        elif kind == "book":
            there = state.books.get(about[0]) or book(*about)
            there.ends = about[1]  # it may come back to life
            state.touch(there)
        else:
            made = leg(*about)
            known = state.legs.get(made.client) or made
            known.state, known.ended, known.filled, known.ask = made.state, made.ended, made.filled, made.ask
            state.touch(known)
        agree(state)
        follower.take(state.change())
        agree(follower)
    again = State("")
    again.take(state.memory())
    agree(again)
