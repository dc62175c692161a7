"""A worker of the local pool: takes tasks on its standard input, one at a time, and answers on its standard output."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import threading
from queue import SimpleQueue
from typing import IO, Any

from drivers.executors.local import receive, send
from drivers.executors.protocol import attempt


def main() -> None:
    """Runs tasks until there are no more. Ends at once where the parent is gone. `sys.argv[1:]`: modules to import before the
    first task comes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends us
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a task prints is no answer
    tasks: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, tasks), daemon=True).start()
    for module in sys.argv[1:]:
        importlib.import_module(module)
    while True:
        function, argument = tasks.get()
        send(answers, attempt(function, argument))


def _listen(inward: IO[bytes], tasks: SimpleQueue[Any]) -> None:
    while True:
        try:
            tasks.put(receive(inward))
        except EOFError:
            os._exit(0)
