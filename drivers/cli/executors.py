"""Where the commands that compute in parallel find their processes."""

from __future__ import annotations

from typing import Annotated

import typer

from drivers.executors.protocol import Executor

Workers = Annotated[int | None, typer.Option(min=1, help="Processes of this machine. Without it: one for each core.")]
ClusterAddress = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="ADDRESS",
        help="Workers of a Dask cluster instead: tcp://host:8786 of its scheduler, or local:2. Every worker needs the data "
        "under the same path.",
    ),
]


def executor_of(cluster: str | None, workers: int | None, module: str) -> Executor:
    """The workers that the options name. module: of the tasks; processes of this machine import it as they start. Raises
    ClusterError."""
    if cluster is not None and workers is not None:
        raise typer.BadParameter("a cluster has its own workers; leave one of them out", param_hint="--workers")
    if cluster is None:
        from drivers.executors.local import LocalPool

        return LocalPool(workers or 0, modules=[module])
    from drivers.evaluation.machine import machine
    from drivers.executors.cluster import Cluster

    return Cluster(cluster, machine)
