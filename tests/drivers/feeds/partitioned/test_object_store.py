"""A partitioned data set in an object store: a local S3 server, spoken to as the real one is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.feeds.dataset import open_dataset
from drivers.feeds.errors import DataError
from drivers.feeds.partitioned.folder import partition_folder
from drivers.feeds.partitioned.place import Place
from drivers.feeds.source import source_of
from tests.drivers.feeds.folders import NOW, bars, write
from tests.drivers.feeds.partitioned.test_partitioned import same
from tests.drivers.object_store import object_store


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a bucket."""
    with object_store(tmp_path_factory.mktemp("buckets")) as url:
        yield url


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
    with pytest.raises(DataError, match=r"s3://nobody/market: cannot be read or written"):
        Place(source_of("s3://nobody/market")).write("name", b"content")


@pytest.mark.parametrize("kind", ["folder", "file", "memory", "s3"])
def test_a_place_holds_files_by_name(tmp_path: Path, bucket: str, kind: str) -> None:
    url = {"file": f"file://{tmp_path}/file", "memory": f"memory://{tmp_path.name}/held", "s3": f"{bucket}/held"}.get(kind)
    place = Place(source_of(url) if url else tmp_path / "held")
    assert place.names() == [] and place.read("a/b.bin") is None
    large = tmp_path / "large"
    large.write_bytes(b"0123456789" * 1_200_000)  # more than a part of an upload in parts
    place.write("a/b.bin", b"small")
    place.put(large, "a/c/large.bin")
    place.write("a/b.bin", b"changed")
    assert place.names() == ["a/b.bin", "a/c/large.bin"]
    assert place.read("a/b.bin") == b"changed"
    place.get("a/c/large.bin", tmp_path / "back" / "large")
    assert (tmp_path / "back" / "large").read_bytes() == large.read_bytes()
    place.remove("a/c", "nothing", "a/b.bin")
    assert place.names() == []
