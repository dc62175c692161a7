"""A partitioned data set gives what its folder gives, to the bit, however it was put together; and refuses what does not fit."""

from __future__ import annotations

import json
from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pytest

from dataflows.data.types import Instruments
from drivers.feeds.dataset import Dataset, open_dataset
from drivers.feeds.errors import DataError
from drivers.feeds.partitioned import blocks
from drivers.feeds.partitioned.folder import partition_folder
from drivers.feeds.source import Url, source_of
from drivers.files.atomic import write_atomic_bytes
from tests.drivers.feeds.folders import NOW, START, bars, book, trades, write

AB = ("BTCUSDT", "ETHUSDT")
SPAN = {"start": START.value + 4 * 60 * 10**9, "end": START.value + 15 * 60 * 10**9}


def same(one: Dataset, other: Dataset) -> None:
    assert one.symbols == other.symbols
    assert (one.step, one.depth, one.calendar, one.clock) == (other.step, other.depth, other.calendar, other.clock)
    assert one.unknown_funding == other.unknown_funding
    for name, a, b in zip(Instruments._fields, one.instruments, other.instruments, strict=True):
        np.testing.assert_array_equal(a, b, err_msg=name)
        assert a.dtype == b.dtype
    for most in (3, len(one)):
        for p, q in zip(one.deliver(most=most), other.deliver(most=most), strict=True):
            assert set(p.inputs) == set(q.inputs)
            for key in p.inputs:
                for name, a, b in zip(p.inputs[key]._fields, p.inputs[key], q.inputs[key], strict=True):
                    np.testing.assert_array_equal(a, b, err_msg=name)
                    assert a.dtype == b.dtype
                    assert a.flags.c_contiguous == b.flags.c_contiguous


def rich(tmp_path: Path) -> Path:
    """Bars with gaps, a late symbol and a repeated row, a book, trades, funding, an alpha, facts of the symbols."""
    frame = bars(symbols=("BTCUSDT", "ETHUSDT", "SOL/USD"))
    late = (frame["symbol"] == "SOL/USD") & (frame["timestamp"] < START + pd.Timedelta("6min"))
    gap = (frame["symbol"] == "BTCUSDT") & frame["timestamp"].between(
        START + pd.Timedelta("7min"), START + pd.Timedelta("9min")
    )
    frame = frame[~late & ~gap].reset_index(drop=True)
    frame = pd.concat([frame, frame.iloc[[10]]]).sort_values(["timestamp", "symbol"], kind="stable")
    funding = pd.DataFrame({"timestamp": [START + pd.Timedelta("5min")], "symbol": ["BTCUSDT"], "funding_rate": [1e-4]}).astype(
        {"timestamp": "datetime64[ns, UTC]"}
    )
    stated = [START - pd.Timedelta("2min"), START + pd.Timedelta("3min"), START + pd.Timedelta("11min")]
    alpha = pd.DataFrame({"timestamp": stated, "symbol": ["ETHUSDT", "BTCUSDT", "ETHUSDT"], "value": [0.5, -1.0, 0.25]})
    about = "clock: 1m\nkind: perpetual\nfunding_interval: 8h\nlot_size: {BTCUSDT: 0.001, ETHUSDT: 0.01}\ntick_size: 0.01\n"
    return write(
        tmp_path / "rich",
        description=about,
        bars=frame,
        book=book(),
        trades=trades(),
        funding=funding,
        alpha=alpha.astype({"timestamp": "datetime64[ns, UTC]"}),
    )


@pytest.mark.parametrize("block_bars", [4, 4096])
@pytest.mark.parametrize("asked", [{}, SPAN, {"symbols": ["SOL/USD"]}, {"symbols": ["ETHUSDT"], **SPAN}])
def test_it_gives_what_the_folder_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: dict[str, object], block_bars: int
) -> None:
    monkeypatch.setattr(blocks, "BLOCK_BARS", block_bars)
    folder, out = rich(tmp_path), tmp_path / "parts"
    added = partition_folder(folder, out, now=NOW)
    assert (added.symbols, added.parts) == (3, 3)
    one, other = open_dataset(folder, now=NOW, **asked), open_dataset(out, **asked)  # type: ignore[arg-type]
    same(one, other)


def test_months_end_with_their_last_bar_and_blocks_hold_a_stretch_of_the_clock() -> None:
    minute = 60 * 10**9
    midnight = pd.Timestamp("2026-02-01T00:00Z").value
    closes = midnight + minute * np.arange(-3, 5, dtype=np.int64)
    assert [str(m) for m in blocks.months(closes)] == ["2026-01"] * 4 + ["2026-02"] * 4
    assert blocks.edges(closes, minute).tolist() == [0, 4, 8]


def test_symbols_and_later_bars_are_added(tmp_path: Path) -> None:
    frame = bars(40)
    whole = write(tmp_path / "whole", description="clock: 1m\n", bars=frame)
    cut = START + pd.Timedelta("17min")
    pieces = {
        "late": frame[(frame["timestamp"] >= cut) & (frame["symbol"] == "ETHUSDT")],
        "btc": frame[frame["symbol"] == "BTCUSDT"],
        "eth": frame[(frame["timestamp"] < cut) & (frame["symbol"] == "ETHUSDT")],
    }
    out = tmp_path / "parts"
    for name in ("btc", "eth", "late"):
        partition_folder(write(tmp_path / name, description="clock: 1m\n", bars=pieces[name]), out, now=NOW)
    same(open_dataset(whole, now=NOW), open_dataset(out))
    assert open_dataset(out).quality.missing == 0
    other = tmp_path / "other"
    for name in ("eth", "late", "btc"):
        partition_folder(tmp_path / name, other, now=NOW)
    assert open_dataset(other).digest == open_dataset(out).digest


def test_a_market_that_closes_keeps_its_sessions(tmp_path: Path) -> None:
    days = pd.date_range("2025-01-02", "2025-03-28", freq="B", tz="UTC")
    daily = [
        pd.DataFrame({"timestamp": days, "symbol": s, "open": p, "high": p + 1, "low": p - 1, "close": p, "volume": 5.0})
        for s, p in (("AAA", 50.0), ("BBB", 70.0))
    ]
    for calendar in ("calendar: XNYS\n", ""):
        frame = pd.concat(daily).sort_values(["timestamp", "symbol"]).astype({"timestamp": "datetime64[ns, UTC]"})
        root = tmp_path / (calendar[:3] or "rhythm")
        whole = write(root / "whole", description=f"clock: 1d\n{calendar}", bars=frame)
        partition_folder(whole, root / "once", now=NOW)
        same(open_dataset(whole, now=NOW), open_dataset(root / "once"))
        same(open_dataset(whole, now=NOW, symbols=["BBB"]), open_dataset(root / "once", symbols=["BBB"]))
        for part in (frame[frame["symbol"] == "AAA"], frame[frame["symbol"] == "BBB"]):
            piece = write(root / str(part["symbol"].iloc[0]), description=f"clock: 1d\n{calendar}", bars=part)
            partition_folder(piece, root / "twice", now=NOW)
        same(open_dataset(whole, now=NOW), open_dataset(root / "twice"))


def test_a_url_holds_the_same(tmp_path: Path) -> None:
    folder, place = rich(tmp_path), Url(f"memory://{tmp_path.name}/market")
    partition_folder(folder, place, now=NOW)
    same(open_dataset(folder, now=NOW), open_dataset(place))
    assert source_of("memory://a/market/") == Url("memory://a/market")
    assert source_of("a/market") == Path("a/market")
    fsspec.filesystem("memory").rm(f"/{tmp_path.name}", recursive=True)
    with pytest.raises(DataError, match=r"market: holds no manifest.json; make the data set with"):
        open_dataset(place)


def test_pandas_reads_it_as_one_table(tmp_path: Path) -> None:
    frame = bars()
    partition_folder(write(tmp_path / "f", description="clock: 1m\n", bars=frame), tmp_path / "parts", now=NOW)
    table = pd.read_parquet(tmp_path / "parts" / "symbol=BTCUSDT")
    np.testing.assert_array_equal(table["close"], frame.loc[frame["symbol"] == "BTCUSDT", "close"])
    assert set(table.columns) == {"timestamp", "open", "high", "low", "close", "volume", "month"}


@pytest.mark.parametrize(
    ("description", "change", "says"),
    [
        ("clock: 5m\n", "timestamp", "its bars are 5m long, those of .* 1m"),
        ("clock: 1m\ntick_size: 0.5\n", "timestamp", r"tick_size of BTCUSDT is 0.5, and .* has 0.0; make them the same"),
        ("clock: 1m\ncalendar: XNYS\n", "timestamp", "goes by XNYS, and .* by 24/7"),
        ("clock: 1m\n", "", r"BTCUSDT is there until .*00:20.* and .* begins at .*00:01.*--start"),
        ("clock: 1m\nleader: BTCUSDT\n", "timestamp", "names BTCUSDT as the leader, and .* names ETHUSDT"),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(tmp_path: Path, description: str, change: str, says: str) -> None:
    out = tmp_path / "parts"
    first = write(tmp_path / "first", description="clock: 1m\nleader: ETHUSDT\n", bars=bars())
    partition_folder(first, out, now=NOW)
    before = sorted(p.name for p in out.rglob("*")), (out / "manifest.json").read_bytes()
    frame = bars()
    if change:
        later = frame["timestamp"] - START
        factor = 5 if "5m" in description else 1
        frame["timestamp"] = pd.Timestamp("2026-03-02T15:00Z") + later * factor
        frame["timestamp"] = frame["timestamp"].astype("datetime64[ns, UTC]")
    with pytest.raises(DataError, match=says):
        partition_folder(write(tmp_path / "second", description=description, bars=frame), out, now=NOW)
    assert before == (sorted(p.name for p in out.rglob("*")), (out / "manifest.json").read_bytes())


def test_prices_on_a_basis_of_their_own_are_not_continued(tmp_path: Path) -> None:
    frame, out = bars(), tmp_path / "parts"
    partition_folder(write(tmp_path / "one", description="clock: 1m\n", bars=frame), out, now=NOW)
    later = frame.assign(timestamp=(frame["timestamp"] + pd.Timedelta("1h")).astype("datetime64[ns, UTC]"))
    split = pd.DataFrame({"timestamp": [START + pd.Timedelta("70min")], "symbol": ["BTCUSDT"], "ratio": [2.0]})
    split = split.astype({"timestamp": "datetime64[ns, UTC]"})
    folder = write(tmp_path / "two", description="clock: 1m\n", bars=later, splits=split)
    with pytest.raises(DataError, match=r"BTCUSDT has splits or dividends.*partition the whole history at once"):
        partition_folder(folder, out, now=NOW)


def test_damage_is_named(tmp_path: Path) -> None:
    out = tmp_path / "parts"
    partition_folder(write(tmp_path / "f", description="clock: 1m\n", bars=bars()), out, now=NOW)
    (file,) = (out / "symbol=ETHUSDT").rglob("*.parquet")
    whole = file.read_bytes()
    file.write_bytes(whole[:100] + b"x" + whole[101:])
    with pytest.raises(DataError, match=r"symbol=ETHUSDT/.*is damaged or changed: its hash is not the manifest's"):
        open_dataset(out).rows(0, 3)
    open_dataset(out, symbols=["BTCUSDT"]).rows(0, 3)
    file.unlink()
    with pytest.raises(DataError, match=r"is not there, but the manifest names it"):
        open_dataset(out).rows(0, 3)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["symbols"]["BTCUSDT"]["parts"][0].update(month="../../etc"),
        lambda m: m["symbols"]["BTCUSDT"]["parts"][0].update(sha256="../x"),
        lambda m: m.update(axis="../x"),
        lambda m: m.update(format=2),
        lambda m: m.update(more=1),
    ],
)
def test_a_manifest_leads_nowhere_else(tmp_path: Path, change: object) -> None:
    out = tmp_path / "parts"
    partition_folder(write(tmp_path / "f", description="clock: 1m\n", bars=bars()), out, now=NOW)
    manifest = json.loads((out / "manifest.json").read_text())
    change(manifest)  # type: ignore[operator]
    (out / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match=r"manifest.json: .* is not as it was written .*; restore the file, or make"):
        open_dataset(out)


def test_a_symbol_named_like_a_path_stays_inside(tmp_path: Path) -> None:
    frame = bars(symbols=("../../up", "A B/é"))
    partition_folder(write(tmp_path / "f", description="clock: 1m\n", bars=frame), tmp_path / "in" / "parts", now=NOW)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["f", "in"]
    assert sorted(p.name for p in (tmp_path / "in").iterdir()) == ["parts"]
    assert open_dataset(tmp_path / "in" / "parts").symbols == ("../../up", "A B/é")


def test_an_addition_that_fails_leaves_the_set_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "parts"
    partition_folder(write(tmp_path / "f", description="clock: 1m\n", bars=bars(symbols=("AAA",))), out, now=NOW)
    digest, real = open_dataset(out).digest, write_atomic_bytes

    def full(path: Path, content: bytes) -> None:
        if path.name == "manifest.json":
            raise OSError(28, "No space left on device", str(path))
        real(path, content)

    monkeypatch.setattr("drivers.feeds.partitioned.place.write_atomic_bytes", full)
    more = write(tmp_path / "g", description="clock: 1m\n", bars=bars(symbols=("BBB",)))
    with pytest.raises(DataError, match="No space left on device"):
        partition_folder(more, out, now=NOW)
    assert open_dataset(out).digest == digest
    monkeypatch.undo()
    partition_folder(more, out, now=NOW)
    assert open_dataset(out).symbols == ("AAA", "BBB")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("s3://key:secret@host/market", "bears a password"),
        ("nowhere://x/y", "cannot be read or written"),
    ],
)
def test_a_bad_address_is_one_sentence(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(DataError, match=says) as raised:
        open_dataset(source_of(text))
    assert "secret" not in str(raised.value)


def test_an_unknown_symbol_is_named(tmp_path: Path) -> None:
    partition_folder(write(tmp_path / "f", description="clock: 1m\n", bars=bars()), tmp_path / "parts", now=NOW)
    with pytest.raises(DataError, match="symbol BTCUSD is not in the data; did you mean BTCUSDT"):
        open_dataset(tmp_path / "parts", symbols=["BTCUSD"])
    with pytest.raises(DataError, match=r"no bar of BTCUSDT, ETHUSDT lies between .* and the last; they span"):
        open_dataset(tmp_path / "parts", start=NOW)
