"""A request to end: raised where nothing is half done, held back elsewhere, and never lost."""

from __future__ import annotations

import gc
import signal
import sys
import threading
import time

import pytest

from drivers.engine.interrupts import SIGNALS, deferred, graceful, handled, interrupted, safe_point


@pytest.mark.parametrize("number", SIGNALS)
def test_every_signal_is_a_keyboard_interrupt_and_the_handlers_are_given_back(number: signal.Signals) -> None:
    before = [signal.getsignal(n) for n in SIGNALS]
    with pytest.raises(KeyboardInterrupt), handled():
        signal.raise_signal(number)
    assert [signal.getsignal(n) for n in SIGNALS] == before


@pytest.mark.parametrize("number", SIGNALS)
def test_a_deferred_section_is_completed_and_then_interrupted(number: signal.Signals) -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt), handled():
        with deferred():
            signal.raise_signal(number)
            with deferred():
                steps.append("inner")
            steps.append("outer")
        steps.append("after")
    assert steps == ["inner", "outer"]


def test_a_safe_point_ends_a_deferred_section() -> None:
    with pytest.raises(KeyboardInterrupt), deferred():
        signal.raise_signal(signal.SIGINT)
        safe_point()
        pytest.fail("the safe point did not raise")
    safe_point()  # raised once, not again


def test_in_a_graceful_section_the_second_request_raises() -> None:
    with pytest.raises(KeyboardInterrupt), graceful() as requests:
        assert not requests.asked
        signal.raise_signal(signal.SIGTERM)
        safe_point()
        assert requests.asked
        signal.raise_signal(signal.SIGTERM)
        pytest.fail("the second request did not raise")
    with graceful() as requests:
        assert not requests.asked


def test_a_second_request_in_a_deferred_part_of_a_graceful_section_waits_for_its_end() -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt), graceful():
        with deferred():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            steps.append("completed")
        steps.append("after")
    assert steps == ["completed"]


def test_a_signal_that_the_process_was_started_to_ignore_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        with handled():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_another_thread_may_use_the_sections_and_raises_nothing() -> None:
    found: list[object] = []

    def work() -> None:
        with deferred(), graceful():
            safe_point()
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [signal.getsignal(signal.SIGTERM)]


def test_what_a_library_makes_of_an_interrupt_is_recognised() -> None:
    try:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as error:
            raise SystemError("returned a result with an exception set") from error
    except SystemError as error:
        assert interrupted(error)
    assert not interrupted(SystemError("of its own"))


class _Dies:
    def __del__(self) -> None:
        signal.raise_signal(signal.SIGINT)


def test_a_request_in_a_destructor_is_raised_when_that_is_left() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), handled():
        dies = _Dies()
        del dies
        done.append("dropped")  # Python raises nothing where a destructor was called
        while time.process_time() < 1e9:
            pass
    assert done == ["dropped"]


def test_a_request_that_python_has_dropped_is_raised_soon() -> None:
    """In a callback of the garbage collector nothing says that an exception would be dropped."""

    def collected(phase: str, about: dict[str, int]) -> None:
        if phase == "stop":
            gc.callbacks.remove(collected)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt), handled():
        gc.callbacks.append(collected)
        gc.collect()
        with deferred():
            pass
        pytest.fail("the request was lost")


def test_other_errors_in_a_destructor_go_where_they_went() -> None:
    class Fails:
        def __del__(self) -> None:
            raise ValueError("elsewhere")

    seen: list[str] = []
    before, sys.unraisablehook = sys.unraisablehook, lambda about: seen.append(str(about.exc_value))
    try:
        with handled():
            fails = Fails()
            del fails
    finally:
        sys.unraisablehook = before
    assert seen == ["elsewhere"]
