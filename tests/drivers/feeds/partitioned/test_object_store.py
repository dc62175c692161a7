"""A partitioned data set in an object store: a local S3 server, spoken to as the real one is."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from drivers.feeds.dataset import open_dataset
from drivers.feeds.errors import DataError
from drivers.feeds.partitioned.folder import partition_folder
from drivers.feeds.source import source_of
from tests.drivers.feeds.folders import NOW, bars, write
from tests.drivers.feeds.partitioned.test_partitioned import same


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    """`s3://wide` at a server of this machine, with keys of no worth in the environment."""
    for package in ("s3fs", "flask_cors", "moto"):
        pytest.importorskip(package, reason="a local S3 needs: pip install s3fs 'moto[s3]' flask-cors (not in the lock files)")
    server = importlib.import_module("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    with pytest.MonkeyPatch.context() as patch:
        server.start()
        host, port = server.get_host_and_port()
        for name, value in {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        }.items():
            patch.setenv(name, value)
        fsspec.filesystem("s3").mkdir("wide")
        yield "s3://wide"
        server.stop()


def test_what_is_in_a_bucket_is_what_is_in_the_folder(tmp_path: Path, bucket: str) -> None:
    frame = bars(40)
    folder = write(tmp_path / "folder", description="clock: 1m\n", bars=frame)
    early = write(tmp_path / "early", description="clock: 1m\n", bars=frame[frame["symbol"] == "BTCUSDT"])
    late = write(tmp_path / "late", description="clock: 1m\n", bars=frame[frame["symbol"] == "ETHUSDT"])
    place = source_of(f"{bucket}/market")
    partition_folder(early, place, now=NOW)
    partition_folder(late, place, now=NOW)
    same(open_dataset(folder, now=NOW), open_dataset(place))
    same(open_dataset(folder, now=NOW, symbols=["ETHUSDT"]), open_dataset(place, symbols=["ETHUSDT"]))


def test_a_bucket_that_is_not_there_is_one_sentence(bucket: str) -> None:
    with pytest.raises(DataError, match=r"s3://nobody/market: (holds no manifest|cannot be read)"):
        open_dataset(source_of("s3://nobody/market"))
