"""Results behind a URL: whole or not at all, and every command reads them there as it does in a folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import fsspec
import pandas as pd
import pytest
from typer.testing import CliRunner

import stratoquant as sq
from drivers.cli.main import app
from drivers.feeds.errors import DataError
from drivers.feeds.partitioned.place import Place
from drivers.feeds.source import Url
from drivers.store.errors import StoreError, TakenError
from drivers.store.published import holds_run, publishing, results_folder
from drivers.store.reader import RecordedError
from tests.drivers.object_store import object_store
from tests.drivers.small_market import EARLY, folder


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies of results go to a cache of the test; machine code stays where it is."""
    monkeypatch.setattr("drivers.store.published.make_cache_root", lambda: tmp_path / "cache")
    monkeypatch.setattr("drivers.store.published.cache_root", lambda: tmp_path / "cache")


@pytest.fixture
def url(tmp_path: Path) -> Url:
    return Url(f"memory://{tmp_path.name}/runs/mine")


def put(
    url: Url,
    marks: str,
    *,
    overwrite: bool = False,
    files: tuple[str, ...] = ("log.jsonl", "features/risk.parquet"),
    tell: Callable[[str], None] = pytest.fail,
) -> None:
    with publishing(url, overwrite=overwrite, tell=tell) as made:
        for name in files:
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            (made / name).write_text(marks)
        (made / "run.json").write_text(json.dumps({"symbols": ["AAA"], "marks": marks}))


def test_what_was_put_comes_back_as_a_folder(url: Url) -> None:
    put(url, "one")
    found = results_folder(str(url))
    assert found.name == "mine"
    assert sorted(p.relative_to(found).as_posix() for p in found.rglob("*") if p.is_file()) == [
        "features/risk.parquet", "log.jsonl", "run.json",
    ]  # fmt: skip
    assert (found / "log.jsonl").read_text() == "one"
    (found / "log.jsonl").write_text("read twice")  # the copy is used again
    assert results_folder(url) == found and (results_folder(url) / "log.jsonl").read_text() == "read twice"
    assert results_folder(found) == found


def test_results_are_replaced_only_when_asked_and_leave_nothing_of_the_old(url: Url) -> None:
    put(url, "one")
    before = results_folder(url)
    with pytest.raises(TakenError, match="holds the results of a run already; name another place, or give --overwrite"):
        put(url, "two")
    put(url, "two", overwrite=True, files=("log.jsonl",))
    assert Place(url).names() == ["log.jsonl", "run.json"]
    assert (results_folder(url) / "log.jsonl").read_text() == "two"
    assert not before.exists()


def test_what_no_run_writes_is_never_removed(url: Url) -> None:
    Place(url).write("thesis.txt", b"mine")
    for overwrite in (False, True):
        with pytest.raises(TakenError, match=r"holds thesis.txt, which no run writes; name another place"):
            put(url, "one", overwrite=overwrite)
    assert Place(url).names() == ["thesis.txt"]


def test_an_upload_that_ends_halfway_is_no_run_and_the_results_stay_here(url: Url, monkeypatch: pytest.MonkeyPatch) -> None:
    put(url, "old")
    whole = Place.put

    def failing(self: Place, file: Path, name: str) -> None:
        if name == "log.jsonl":
            raise DataError(f"{self.source}: cannot be read or written (the line is dead)")
        whole(self, file, name)

    monkeypatch.setattr(Place, "put", failing)
    with pytest.raises(StoreError, match=r"the line is dead\). The results of this run are whole, in (/.*/mine)") as raised:
        put(url, "new", overwrite=True)
    kept = Path(str(raised.value).rpartition(" in ")[2])
    assert json.loads((kept / "run.json").read_text())["marks"] == "new"
    assert Place(url).names() == ["features/risk.parquet"] and not holds_run(url)
    with pytest.raises(RecordedError, match=r"mine has no run.json, so it holds no finished run"):
        results_folder(url)
    monkeypatch.undo()


def test_an_upload_that_is_stopped_says_where_the_results_stay(url: Url, monkeypatch: pytest.MonkeyPatch) -> None:
    put(url, "old")
    said: list[str] = []

    def stopped(self: Place, file: Path, name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Place, "put", stopped)
    with pytest.raises(KeyboardInterrupt):
        put(url, "new", overwrite=True, tell=said.append)
    assert Place(url).names() == [] and len(said) == 1
    kept = Path(said[0].removeprefix("The results of this run are whole, in ").partition(";")[0])
    assert json.loads((kept / "run.json").read_text())["marks"] == "new"
    assert (kept / "log.jsonl").read_text() == "new"


def test_a_run_that_fails_puts_nothing(url: Url) -> None:
    folders: list[Path] = []
    with pytest.raises(ZeroDivisionError), publishing(url, overwrite=False, tell=pytest.fail) as made:
        folders.append(made)
        made.mkdir()
        (made / "log.jsonl").write_text("half")
        raise ZeroDivisionError
    assert Place(url).names() == [] and not folders[0].parent.exists()


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("published") / "market", 420)


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[str]:
    with object_store(tmp_path / "buckets") as address:
        yield address


def test_a_run_goes_to_a_bucket_and_every_command_reads_it_there(market: Path, tmp_path: Path, bucket: str) -> None:
    believing = {"fusion.prior_slope_bps": 800, "fusion.prior_strength": 100_000}
    settings = {**dict(text.split("=") for text in EARLY), **believing}
    url = f"{bucket}/runs/mine"
    run = sq.run(market, out=url, set=settings, trial=False)
    assert run.folder.is_relative_to(tmp_path / "cache") and len(run.orders) > 0
    again = sq.load_run(url)
    pd.testing.assert_frame_equal(again.ledger, run.ledger)
    order = run.orders["order_id"].iloc[0]
    assert str(sq.explain(url, order)) == str(run.explain(order))
    command = CliRunner()
    for words, shown in (
        (["explain", url, order], order),
        (["logs", url, "--event", "order", "--limit", "1"], order.split("-")[0]),
        (["report", url, "-o", str(tmp_path / "page.html")], "page.html"),
        (["report", url, "--json"], '"run": "mine"'),
        (["domain", "run", "kinematics", "--from", url, "--out", str(tmp_path / "alone"), "--json"], '"domain": "kinematics"'),
    ):
        done = command.invoke(app, words)
        assert done.exit_code == 0 and shown in done.output, done.output
    assert "<html" in (tmp_path / "page.html").read_text().lower()
    with pytest.raises(TakenError, match="holds the results of a run already"):
        sq.run(market, out=url, trial=False)


def test_commands_say_in_a_sentence_what_a_url_lacks(tmp_path: Path) -> None:
    command = CliRunner()
    done = command.invoke(app, ["explain", f"memory://{tmp_path.name}/none", "AAA-1"])
    assert done.exit_code == 2 and "has no run.json, so it holds no finished run" in " ".join(done.output.split())
    done = command.invoke(app, ["stream", "--out", f"memory://{tmp_path.name}/none"])
    assert done.exit_code == 2 and "this command writes to a folder" in " ".join(done.output.replace("│", " ").split())
    assert not fsspec.filesystem("memory").exists(f"/{tmp_path.name}/none")
