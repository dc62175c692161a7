"""Requests to end the process: Ctrl-C (SIGINT), SIGTERM (docker stop, systemd, job schedulers), SIGHUP (a closed terminal).

The three mean the same. A request raises KeyboardInterrupt in the main thread, at a point where that is safe:

- Inside `deferred()` the exception waits for the end of the section, or for the next `safe_point()` in it. Sections are what an
  exception would leave half done: the start of a thread, a compiled layer, a rename.
- Inside `graceful()` the first request only sets `asked`, for a loop that finishes its bar; the second raises.
- Elsewhere it is raised at once, unless that would be in a destructor, where Python drops it, or in LLVM's bindings, which
  would free memory twice: then it is raised as soon as these are left.

Handlers run in the main thread only. In other threads the context managers change nothing.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from sys import UnraisableHookArgs
    from types import FrameType

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
AGAIN: Final = 0.005
"""Processor seconds after which a request that could not be raised is looked at again."""


class Requests:
    """What has been asked for so far. asked: at least one request has come."""

    def __init__(self) -> None:
        self.asked = False
        self._due = False  # KeyboardInterrupt is to be raised at the next safe point
        self._deferred = self._graceful = self._installed = 0
        self._before: dict[int, Any] = {}
        self._terminals: list[int] = []
        self._hook: Any = sys.unraisablehook

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """The handler."""
        if number == signal.SIGHUP:
            self._leave_terminal()
        first, self.asked = not self.asked, True
        if self._graceful and first:
            return
        self._due = True
        self._raise_in(frame)

    def on_timer(self, number: int, frame: FrameType | None) -> None:
        """The handler of what `_again` has ordered."""
        self._raise_in(frame)

    def _raise_in(self, frame: FrameType | None) -> None:
        """Raises a request that is due, where nothing stands against it."""
        if self._deferred:
            return
        if _delicate(frame):
            self._again()
        else:
            self.safe_point()

    def _again(self) -> None:
        """A request that is due is looked at again soon."""
        signal.setitimer(signal.ITIMER_VIRTUAL, AGAIN)

    def safe_point(self) -> None:
        """Raises KeyboardInterrupt where one is due."""
        if self._due and threading.current_thread() is threading.main_thread():
            self._due = False
            raise KeyboardInterrupt

    def on_dropped(self, about: UnraisableHookArgs) -> None:
        """What Python does with an exception that it cannot raise where it came up: a request is kept."""
        if issubclass(about.exc_type, KeyboardInterrupt):
            self._due = True
            self._again()
        else:
            self._hook(about)

    def _leave_terminal(self) -> None:
        """The terminal is gone: what is still printed to it goes nowhere, instead of failing."""
        if self._terminals:
            nowhere = os.open(os.devnull, os.O_RDWR)
            for handle in self._terminals:
                os.dup2(nowhere, handle)
            os.close(nowhere)
            self._terminals = []

    def install(self) -> None:
        """Takes the signals over; one that the process was started to ignore (nohup) stays ignored."""
        self._installed += 1
        if self._installed == 1:
            self.asked = self._due = False
            self._terminals = [handle for handle in (0, 1, 2) if _is_terminal(handle)]
            self._hook, sys.unraisablehook = sys.unraisablehook, self.on_dropped
            self._before[signal.SIGVTALRM] = signal.signal(signal.SIGVTALRM, self.on_timer)
            for number in SIGNALS:
                before = signal.getsignal(number)
                if before not in (signal.SIG_IGN, None):
                    self._before[number] = signal.signal(number, self.on_signal)

    def remove(self) -> None:
        """Gives the signals back."""
        self._installed -= 1
        if self._installed == 0:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
            for number, before in self._before.items():
                signal.signal(number, before)
            self._before = {}
            sys.unraisablehook = self._hook

    @contextmanager
    def section(self, *, deferred: bool = False, graceful: bool = False) -> Iterator[Requests]:
        """Handlers in place, in one of the modes."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        self._deferred += deferred  # before the handler: from here on nothing is raised
        self._graceful += graceful
        try:
            self.install()
            yield self
        finally:
            self.remove()
            self._deferred -= deferred
            self._graceful -= graceful
        if not self._deferred:
            self.safe_point()


_requests: Final = Requests()


def handled() -> AbstractContextManager[Requests]:
    """A context in which every request raises KeyboardInterrupt, at a safe point."""
    return _requests.section()


def deferred() -> AbstractContextManager[Requests]:
    """A context in which no KeyboardInterrupt is raised; one that was requested is raised at its end."""
    return _requests.section(deferred=True)


def graceful() -> AbstractContextManager[Requests]:
    """A context whose value says in `asked` that a request has come. The second request raises KeyboardInterrupt."""
    return _requests.section(graceful=True)


def safe_point() -> None:
    """Raises the KeyboardInterrupt that a deferred section holds back; call it where nothing is half done."""
    _requests.safe_point()


def ignore() -> None:
    """The process is about to end: what is asked for from here on changes nothing, its exit code neither."""
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def interrupted(error: BaseException) -> bool:
    """Whether an exception comes from a request: a KeyboardInterrupt, or what a library made of one (a SystemError)."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, KeyboardInterrupt):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _delicate(frame: FrameType | None) -> bool:
    """Whether an exception that is raised in a frame would be dropped, or leave LLVM's objects half freed."""
    while frame is not None:
        if frame.f_code.co_name == "__del__" or frame.f_globals.get("__name__", "").startswith("llvmlite."):
            return True
        frame = frame.f_back
    return False


def _is_terminal(handle: int) -> bool:
    try:
        return os.isatty(handle)
    except OSError:
        return False
