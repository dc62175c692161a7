"""Limits of an exchange as token buckets."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from drivers.exchanges.limits import GUESS, RESERVE, SECOND, Bucket, Limits, Used, used

MINUTE = 60 * SECOND


def test_headers_say_what_was_used() -> None:
    assert used({}) == Used()
    assert used({"X-MBX-USED-WEIGHT-1M": "17", "x-mbx-order-count-10s": "3"}) == Used(weight=17, orders=3)
    bybit = {"X-Bapi-Limit-Status": "0", "X-Bapi-Limit": "10", "X-Bapi-Limit-Reset-Timestamp": "1700000000500"}
    assert used(bybit) == Used(left=0, most=10, anew=1_700_000_000_500)
    assert used({"x-mbx-used-weight-1m": "many", "x-bapi-limit": "-5"}) == Used(), "nonsense says nothing"


def test_a_quarter_is_left_for_exits_and_time_fills_it_again() -> None:
    limits = Limits(100.0)
    limits.learn(0, Used(weight=80))
    assert limits.may_call(0, urgent=True) and not limits.may_call(0, urgent=False)
    limits.learn(0, Used(weight=100))
    assert not limits.may_call(0, urgent=True)
    assert limits.may_call(SECOND, urgent=True), "100 a minute are more than one a second"
    assert limits.may_call(MINUTE // 3, urgent=False)


def test_a_call_counts_before_its_answer_is_there() -> None:
    limits, calls = Limits(100.0), 0
    while limits.may_call(0, urgent=False):
        limits.called(0, order=False)
        calls += 1
    assert calls == round(100.0 * (1.0 - RESERVE) / GUESS)


def test_orders_have_a_bucket_of_their_own() -> None:
    limits = Limits(6_000.0, orders=8.0)
    for _ in range(6):
        assert limits.may_order(0, urgent=False)
        limits.called(0, order=True)
    assert not limits.may_order(0, urgent=False) and limits.may_order(0, urgent=True) and limits.may_call(0, urgent=False)
    assert limits.may_order(5 * SECOND, urgent=False)


def test_a_small_limit_of_entries_holds_up_no_stop_and_no_cancel() -> None:
    limits = Limits(6_000.0, orders=1.0)
    assert limits.may_order(0, urgent=False)
    limits.called(0, order=True)
    limits.learn(0, Used(orders=40))  # the exchange counts stops and exits too
    assert limits.may_order(0, urgent=True) and not limits.may_order(0, urgent=False)


def test_an_exchange_that_has_no_call_left_is_left_alone_until_it_says_and_no_longer_than_a_minute() -> None:
    limits = Limits(100.0)
    limits.learn(0, Used(left=0, most=10, anew=2_000))
    assert not limits.may_call(2 * SECOND - 1, urgent=True) and limits.may_call(2 * SECOND, urgent=True)
    limits.learn(0, Used(left=0, most=10, anew=10**15))
    assert limits.may_call(MINUTE, urgent=True)


@given(st.lists(st.tuples(st.integers(0, 10_000_000_000), st.booleans()), max_size=300), st.integers(5, 50))
def test_no_span_of_a_minute_sees_more_than_twice_the_limit_and_no_long_one_more_than_its_share(
    steps: list[tuple[int, bool]], most: int
) -> None:
    bucket, now, taken = Bucket(float(most), MINUTE), 0, list[int]()
    for step, urgent in steps:
        now += step
        if bucket.has(now, urgent):
            bucket.take(now, 1.0)
            taken.append(now)
    for i, first in enumerate(taken):
        inside = sum(1 for at in taken[i:] if at < first + MINUTE)
        assert inside <= 2 * most, "a full bucket, and what came into it meanwhile"
    if taken:
        assert len(taken) <= most * (1.0 + (taken[-1] - taken[0]) / MINUTE) + 1


@given(st.lists(st.integers(-(10**10), 10**10), max_size=50))
def test_a_clock_that_jumps_fills_no_more_than_the_bucket(jumps: list[int]) -> None:
    bucket, now = Bucket(10.0, MINUTE), 0
    for jump in jumps:
        now += jump
        bucket.fill(now)
        assert 0.0 <= bucket.level <= 10.0
