"""Trees of downloads and archives are read in place: nothing is unpacked to disk, and nothing outside is touched."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from drivers.feeds.errors import DataError
from drivers.feeds.importing import ImportRequest, ImportResult, packed, plan_import, run_import

HEAD = "time,open,high,low,close,volume\n"
KLINE = "{},10,12,9,11,100,{},1100,7,40,440,0\n"


def imported(out: Path, *sources: Path, **asked: Any) -> ImportResult:
    return run_import(plan_import(ImportRequest(sources, out, **asked)))


def bars(out: Path) -> list[list[Any]]:
    frame = pd.read_parquet(out / "bars.parquet")
    return [[f"{t:%m-%d %H:%M}", *rest] for t, *rest in frame[["timestamp", "symbol", "close"]].values.tolist()]


def archive(path: Path, **entries: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, text in entries.items():
            made.writestr(name, text)
    return path


def row(day: int, minute: int = 0, close: float = 11) -> str:
    return f"2024-03-{day:02}T00:{minute:02}Z,10,12,9,{close},100\n"


def test_a_tree_of_downloads_is_read_with_all_below_it(tmp_path: Path) -> None:
    root = tmp_path / "data"
    for symbol in ("BTCUSDT", "ETHUSDT"):
        for day in (1, 2):
            name, at = f"{symbol}-1d-2024-03-{day:02}", 1709251200000 + (day - 1) * 86_400_000
            path = root / "spot" / "daily" / "klines" / symbol / "1d" / f"{name}.zip"
            archive(path, **{f"{name}.csv": KLINE.format(at, at + 86_399_999)})
            path.with_suffix(".zip.CHECKSUM").write_text("0  x", encoding="utf-8")
    (root / ".cache").mkdir()
    (root / ".cache" / "old.csv").write_text("not, a table\n", encoding="utf-8")
    imported(tmp_path / "out", root)
    assert bars(tmp_path / "out") == [[f"03-{d:02} 00:00", s, 11.0] for d in (1, 2) for s in ("BTCUSDT", "ETHUSDT")]


def test_an_archive_of_many_tables_and_the_ones_that_are_meant(tmp_path: Path) -> None:
    rows = "{},10,12,9,{},100,3\n"
    entries = {
        f"Kraken/{symbol}_{minutes}.csv": "".join(rows.format(1709164800 + i * minutes * 60, close) for i in range(3))
        for symbol, close in (("XBTUSD", 11), ("ETHUSD", 10))
        for minutes in (1, 5)
    }
    path = archive(tmp_path / "Kraken_OHLCVT.zip", **entries, **{"__MACOSX/._XBTUSD_5.csv": "x", "readme.pdf": "x"})
    imported(tmp_path / "out", path, preset="kraken-ohlcvt", only="*_5.csv")
    assert bars(tmp_path / "out") == [
        [f"02-29 00:{m:02}", s, c] for m in (0, 5, 10) for s, c in (("ETHUSD", 10.0), ("XBTUSD", 11.0))
    ]
    with pytest.raises(DataError, match=r"--only \*_7.csv: no file in Kraken_OHLCVT.zip is called so; there is e.g. "):
        imported(tmp_path / "no", path, only="*_7.csv")


def test_names_in_an_archive_are_no_paths(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    path = archive(inner / "evil.zip", **{"../../EVIL.csv": HEAD + row(1), "/etc/PASSWD.csv": HEAD + row(1, close=10)})
    before = sorted(tmp_path.rglob("*"))
    imported(inner / "out", path, clock="1m")
    assert bars(inner / "out") == [["03-01 00:00", "EVIL", 11.0], ["03-01 00:00", "PASSWD", 10.0]]
    assert sorted(p for p in tmp_path.rglob("*") if inner / "out" not in (p, *p.parents)) == before


def test_a_link_out_of_the_tree_is_not_followed(tmp_path: Path) -> None:
    root, outside = tmp_path / "data", tmp_path / "outside"
    root.mkdir(), outside.mkdir()
    (root / "BTC.csv").write_text(HEAD + row(1) + row(2), encoding="utf-8")
    (outside / "ETH.csv").write_text(HEAD + row(1), encoding="utf-8")
    (root / "more").symlink_to(outside, target_is_directory=True)
    imported(tmp_path / "out", root)
    assert {symbol for _, symbol, _ in bars(tmp_path / "out")} == {"BTC"}


@pytest.mark.parametrize("suffix", ["zip", "csv.gz"])
def test_what_unpacks_to_far_more_than_market_data_is_refused(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packed, "_BOMB_BYTES", 1 << 16)
    text, path = HEAD + row(1) * 100_000, tmp_path / f"BOMB.{suffix}"
    if suffix == "zip":
        archive(path, **{"BOMB.csv": text})
    else:
        path.write_bytes(gzip.compress(text.encode()))
    assert len(text) > 200 * path.stat().st_size
    with pytest.raises(DataError, match=rf"BOMB.{suffix}: unpacks to more than 200 times its size, as no market data does"):
        imported(tmp_path / "out", path)
    assert not (tmp_path / "out").exists()


def test_an_archive_without_tables_or_locked_or_cut_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"A.zip: holds no csv, txt or json file; unpack it"):
        imported(tmp_path / "out", archive(tmp_path / "A.zip", **{"deeper.zip": "x"}))
    path = archive(tmp_path / "B.zip", **{"B.csv": HEAD + row(1)})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"B.zip: is not a whole zip file .*half-written"):
        imported(tmp_path / "out", path)
    locked = bytearray(whole)
    locked[6] |= 1  # the flag of encryption, in the entry and in the directory
    locked[whole.index(b"PK\x01\x02") + 8] |= 1
    path = tmp_path / "C.zip"
    path.write_bytes(bytes(locked))
    with pytest.raises(DataError, match=r"C.zip: B.csv is encrypted; unpack it"):
        imported(tmp_path / "out", path)


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "zip"])
def test_a_large_file_is_read_in_pieces_and_tells_how_far_it_is(suffix: str, tmp_path: Path) -> None:
    times = pd.date_range("2024-01-01", periods=100_000, freq="s", tz="UTC").strftime("%Y-%m-%dT%H:%M:%SZ")
    text, path = HEAD + "".join(f"{t},10,12,9,11,100\n" for t in times), tmp_path / f"BTC.{suffix}"
    if suffix == "zip":
        archive(path, **{"BTC.csv": text})
    else:
        path.write_bytes(text.encode() if suffix == "csv" else gzip.compress(text.encode(), 1))
    told: list[float] = []
    plan = plan_import(ImportRequest((path,), tmp_path / "out"))
    run_import(plan, lambda share, what: told.append(share) if what.startswith("Reading") else None)
    assert told == sorted(told)
    assert told[0] < 0.5 < told[-1]


def test_bars_of_two_lengths_are_not_mixed(tmp_path: Path) -> None:
    def rows(minutes: int, first: int = 1709164800) -> str:
        return "".join(f"{first + i * minutes * 60},10,12,9,11,100,3\n" for i in range(30))

    path = archive(tmp_path / "Kraken.zip", **{"XBTUSD_1.csv": rows(1), "XBTUSD_5.csv": rows(5), "ETHUSD_5.csv": rows(5)})
    said = r"XBTUSD_1.csv has bars of XBTUSD 1m apart, and XBTUSD_5.csv 5m apart at the same time; import one of them"
    with pytest.raises(DataError, match=said):
        imported(tmp_path / "out", path, preset="kraken-ohlcvt")
    assert not (tmp_path / "out").exists()
    imported(tmp_path / "one", path, preset="kraken-ohlcvt", only="*_5.csv")
    later = archive(tmp_path / "months.zip", **{"XBTUSD_1.csv": rows(1), "a/XBTUSD_1.csv": rows(2, 1709200800)})
    imported(tmp_path / "sparse", later, preset="kraken-ohlcvt")  # a month in which less was traded
