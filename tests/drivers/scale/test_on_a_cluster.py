"""A run and the features of a universe on a Dask cluster: a scheduler and two workers as separate processes, data and results in
an object store. Every value is that of one process."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from typer.testing import CliRunner

from drivers.cli.main import app
from drivers.evaluation.machine import machine
from drivers.feeds.partitioned.folder import partition_folder
from drivers.feeds.partitioned.place import Place
from drivers.feeds.source import source_of
from drivers.run.batch import run_batch
from drivers.run.request import RunRequest
from drivers.scale.features import FeaturesRequest, features
from drivers.store.published import results_folder
from tests.drivers.executors.dask_processes import processes
from tests.drivers.object_store import object_store
from tests.drivers.scale.test_features import SYMBOLS, Here
from tests.drivers.scale.test_run import BELIEF, tables
from tests.drivers.small_market import market


@pytest.mark.long
def test_a_cluster_gives_the_bits_of_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRATOQUANT_THREADS", "1")
    monkeypatch.setattr("drivers.store.published.make_cache_root", lambda: tmp_path / "cache")
    monkeypatch.setattr("drivers.store.published.cache_root", lambda: tmp_path / "cache")
    (tmp_path / "folder").mkdir()
    market(300, SYMBOLS).to_parquet(tmp_path / "folder" / "bars.parquet")
    (tmp_path / "folder" / "dataset.yml").write_text("clock: 1m\nlot_size: 0.001\n", encoding="utf-8")
    settings = [word for text in BELIEF for word in ("--set", text)]
    with object_store(tmp_path / "buckets") as bucket, processes(tmp_path) as begun:
        begun.worker()
        begun.worker()
        data = source_of(f"{bucket}/market")
        partition_folder(tmp_path / "folder", data)
        run_batch(
            RunRequest(data=data, out=tmp_path / "one", overrides=BELIEF, report=False, trial=False), Console(file=StringIO())
        )
        features(FeaturesRequest(data, source_of(f"{bucket}/one"), overrides=BELIEF, shard=3), Here())
        with begun.cluster(2, machine):
            pass
        for words in (["run", "--no-report", "--no-trial"], ["features", "--shard", "1"]):
            out = f"{bucket}/{words[0]}"
            command = [*words, "--data", str(data), "--out", out, "--cluster", begun.address, *settings]
            done = CliRunner().invoke(app, command)
            assert done.exit_code == 0, done.output
        one, other = tables(tmp_path / "one"), tables(results_folder(f"{bucket}/run"))
        assert set(one) == set(other) and len(one["orders.parquet"])
        for name, table in one.items():
            pd.testing.assert_frame_equal(table, other[name], check_exact=True, obj=name)
        whole, parts = (Place(source_of(f"{bucket}/{name}")).names() for name in ("one", "features"))
        assert len(whole) > 10 and not [name for name in parts if name.startswith("handed")]
    for table in {name.rpartition("/")[0] for name in whole if "/" in name}:
        frames = [
            pd.concat(
                pd.read_parquet(tmp_path / "buckets" / bucket[5:] / where / n) for n in names if n.startswith(f"{table}/")
            )
            .astype({"symbol": str})
            .sort_values(["timestamp", "symbol"], ignore_index=True)
            for where, names in (("one", whole), ("features", parts))
        ]
        pd.testing.assert_frame_equal(*frames, check_exact=True, obj=table)
