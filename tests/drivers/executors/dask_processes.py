"""A Dask scheduler and workers as processes of their own, as on several machines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from drivers.executors.cluster import Cluster, ClusterError

ROOT = Path(__file__).parents[3]


class Processes:
    """Of a cluster. address: of its scheduler."""

    def __init__(self, folder: Path) -> None:
        self._file, self._folder = folder / "scheduler.json", folder
        self._begun: list[subprocess.Popen[bytes]] = []
        self._start("scheduler", "--host", "127.0.0.1", "--port", "0")
        until = time.monotonic() + 30
        while not self._file.exists() and time.monotonic() < until:
            time.sleep(0.05)
        self.address: str = json.loads(self._file.read_text())["address"]

    def _start(self, command: str, *words: str, env: Mapping[str, str] | None = None) -> None:
        code = f"import sys; sys.argv[0] = 'dask-{command}'; from distributed.cli.dask_{command} import main; main()"
        line = [sys.executable, "-P", "-c", code, *words, "--no-dashboard", "--scheduler-file", str(self._file)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **(env or {})}
        self._begun.append(
            subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment, cwd=self._folder)
        )

    def worker(self, *, threads: int = 1, env: Mapping[str, str] | None = None) -> None:
        """Starts a worker. env: of its environment."""
        self._start("worker", "--nthreads", str(threads), "--no-nanny", env=env)

    def end_last(self) -> None:
        """Ends the worker that was started last."""
        process = self._begun.pop()
        process.kill()
        process.wait()

    def cluster(self, workers: int, alike: Callable[[], Mapping[str, str]]) -> Cluster:
        """The cluster, once it has so many workers. Raises ClusterError for any that is refused."""
        until = time.monotonic() + 60
        while True:
            try:
                made = Cluster(self.address, alike)
                if made.workers == workers:
                    return made
                made.__exit__(None, None, None)
            except ClusterError as error:
                if "no workers" not in str(error):
                    raise
            assert time.monotonic() < until, "the workers did not come"
            time.sleep(0.2)

    def end(self) -> None:
        """Ends all of them."""
        while self._begun:
            self.end_last()


@contextmanager
def processes(folder: Path) -> Iterator[Processes]:
    """A scheduler without workers; what was started is ended afterwards."""
    made = Processes(folder)
    try:
        yield made
    finally:
        made.end()
