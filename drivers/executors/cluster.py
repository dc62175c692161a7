"""Tasks on a cluster, by Dask distributed (extra `scale`).

A task is one Dask task, with no state of its own on a worker: the scheduler begins those of a dead worker again elsewhere. All
workers must give the same bits, so that one with other versions or another processor is refused by name.
"""

from __future__ import annotations

import importlib
import os
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final

from drivers.executors.protocol import Done, Task, Then, attempt, nothing_more, usable_cores

LOCAL: Final = "local:"
_TIMEOUT: Final = "15s"


class ClusterError(ValueError):
    """A cluster cannot be used. One sentence: why, and what to do."""


class Cluster:
    """Workers of a Dask cluster. address: `tcp://host:port` of a scheduler, or `local:2` for two processes of this machine.

    alike: a function of an importable module, whose values must be the same here and on every worker. Raises ClusterError where
    the cluster cannot be reached, or a worker differs.
    """

    def __init__(self, address: str, alike: Callable[[], Mapping[str, str]]) -> None:
        dask = _distributed()
        self.here = address.startswith(LOCAL)
        self._cluster: Any = None
        self._client: Any = None
        try:
            if self.here:
                count = _count(address)
                self._cluster = dask.LocalCluster(
                    n_workers=count,
                    threads_per_worker=1,
                    dashboard_address="127.0.0.1:0",
                    memory_limit=0,
                    silence_logs=40,
                    env={"STRATOQUANT_THREADS": str(max(1, usable_cores() // count))},
                )
            self._client = dask.Client(self._cluster or address, timeout=_TIMEOUT)
            self._check(alike)
        except ClusterError:
            self._close()
            raise
        except (OSError, ValueError) as error:
            self._close()
            raise ClusterError(
                f"no Dask scheduler answers at {address} ({' '.join(str(error).split())}); give tcp://host:port as `dask "
                "scheduler` prints it, or local:2"
            ) from None

    @property
    def workers(self) -> int:
        """How many there are now."""
        return len(self._about_workers())

    def _about_workers(self) -> dict[str, Any]:
        found: dict[str, Any] = self._client.scheduler_info(n_workers=-1)["workers"]
        return found

    def _check(self, alike: Callable[[], Mapping[str, str]]) -> None:
        workers = self._about_workers()
        if not workers:
            raise ClusterError("the cluster has no workers; start some: dask worker ADDRESS --nthreads 1")
        for name, about in workers.items():
            if about["nthreads"] != 1:
                raise ClusterError(
                    f"worker {name} runs {about['nthreads']} tasks in one process; start it with --nthreads 1, and "
                    "more of them with --nworkers"
                )
        own = alike()
        for name, found in self._client.run(_asked, alike).items():
            if isinstance(found, str):
                raise ClusterError(
                    f"worker {name} cannot run our code ({found}); install the same version of stratoquant there"
                )
            differ = [f"{key} is {found.get(key)}, here {value}" for key, value in own.items() if found.get(key) != value]
            if differ:
                raise ClusterError(f"worker {name} would give other bits: {'; '.join(differ)}; make it like this machine")

    def run(self, tasks: Sequence[Task], then: Then = nothing_more) -> Iterator[Done]:
        """See `Executor.run`."""
        mark = uuid.uuid4().hex[:8]
        futures: dict[Any, Task] = {}

        def submit(task: Task) -> Any:
            future = self._client.submit(
                attempt, task.function, task.argument, key=f"{task.name}-{mark}", pure=False, priority=-task.turn
            )
            futures[future] = task
            return future

        try:
            ended = _distributed().as_completed([submit(task) for task in tasks])
            for future in ended:
                task = futures.pop(future)
                if future.status == "finished":
                    value, error = future.result()
                else:
                    reason = " ".join(str(future.exception()).split()) or type(future.exception()).__name__
                    value, error = None, f"its workers died, or the cluster gave it up ({reason})"
                future.release()
                done = Done(task, value, error)
                for more in then(done):
                    ended.add(submit(more))
                yield done
        finally:
            self._client.cancel(list(futures))

    def processes(self) -> dict[str, int]:
        """Process ids of the workers, by address; one that is dying has none."""
        found: dict[str, int] = self._client.run(os.getpid, on_error="ignore")
        return found

    def _close(self) -> None:
        for part in (self._client, self._cluster):
            if part is not None:
                part.close()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()


def _asked(alike: Callable[[], Mapping[str, str]]) -> Mapping[str, str] | str:
    """What a worker is, or why it cannot say."""
    try:
        return dict(alike())
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def _distributed() -> Any:
    """Dask distributed, which only the extra brings; it has few types."""
    try:
        return importlib.import_module("distributed")
    except ImportError:
        raise ClusterError("--cluster needs Dask distributed: pip install 'stratoquant[scale]'") from None


def _count(address: str) -> int:
    text = address.removeprefix(LOCAL)
    if not text.isdigit() or not int(text):
        raise ClusterError(f"{address} names no number of processes; write local:2, or tcp://host:port")
    return int(text)
