"""Bad input to an import: each kind has its sentence, which names the file and the cure, and leaves nothing behind."""

from __future__ import annotations

import gzip
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from drivers.feeds.dataset import open_dataset
from drivers.feeds.errors import DataError
from drivers.feeds.importing import ImportRequest, ImportResult, plan_import, run_import
from tests.drivers.feeds.folders import bars, book, trades

HEADER = "time,open,high,low,close,volume\n"
ROWS = [
    "2026-03-01T00:00:00Z,10,12,9,11,100",
    "2026-03-01T00:01:00Z,11,11.5,10,10.5,50.25",
    "2026-03-01T00:02:00Z,10.5,11,10,11,7",
]


def csv(folder: Path, *rows: str, header: str = HEADER, name: str = "BTCUSDT.csv") -> Path:
    path = folder / name
    path.write_text(header + "\n".join(rows) + "\n", encoding="utf-8")
    return path


def imported(out: Path, *sources: Path, **asked: Any) -> ImportResult:
    return run_import(plan_import(ImportRequest(sources, out, **asked)))


def changed(row: int, old: str, new: str) -> list[str]:
    return [text.replace(old, new) if i == row else text for i, text in enumerate(ROWS)]


TEXTS: dict[str, tuple[list[str], dict[str, Any], str]] = {
    "no number": (changed(1, ",50.25", ",many"), {}, r"BTCUSDT.csv, row 2 \(line 3\): volume is 'many'; it must be a number"),
    "high below low": (
        changed(1, "11.5", "9.5"),
        {},
        r"nothing was written: BTCUSDT 2026-03-01T00:01:00Z: high 9.5 is below low 10",
    ),
    "negative price": (
        changed(2, "10.5", "-10.5"),
        {},
        "BTCUSDT 2026-03-01T00:02:00Z: open is -10.5; a price must be positive",
    ),
    "infinite price": (changed(2, "10.5", "inf"), {}, "BTCUSDT 2026-03-01T00:02:00Z: open is inf"),
    "one price missing": (changed(2, "10.5", "NaN"), {}, "open is nan while other prices of the bar are given"),
    "infinite volume": (changed(2, ",7", ",inf"), {}, "volume is inf; correct or remove the row"),
    "no time": (changed(1, "2026-03-01T00:01:00Z", ""), {}, r"BTCUSDT.csv, row 2 \(line 3\): the time is missing"),
    "no zone": (
        [r.replace("Z,", ",") for r in ROWS],
        {},
        r"row 1 \(line 2\): the time '2026-03-01T00:00:00' has no zone.*--timezone",
    ),
    "some zones": (
        changed(1, "Z,", ","),
        {},
        r"row 2 \(line 3\): the time '2026-03-01T00:01:00' has no zone, and those before it have a",
    ),
    "no such time": (changed(1, "03-01T", "03-41T"), {}, r"row 2 \(line 3\): '2026-03-41T00:01:00Z' is not a time"),
    "some numbers": (
        changed(1, "2026-03-01T00:01:00Z", "1772323260"),
        {},
        r"row 2 \(line 3\): the time '1772323260' is not written like those before it",
    ),
    "no time at all": (
        [r.replace("2026-03-01T", "first of March ") for r in ROWS],
        {},
        r"row 1 \(line 2\): 'first of March 00:00:00Z' is not a time; it must be a number or like 2026-03-01T12:00:00Z",
    ),
    "day or month first": (
        [r.replace("2026-03-01T", "01/03/2026 ") for r in ROWS],
        {},
        r"row 1 \(line 2\): the time '01/03/2026 00:00:00Z' may name the day or the month first; say which with --time-format",
    ),
    "numbers that are no epoch": (
        [r.replace("2026-03-01T00:0", "4608").replace(":00Z", "") for r in ROWS],
        {},
        r"row 1 \(line 2\): the time 46080, as s since 1970, is 1970-01-01T12:48:00Z; give its form with --time-format",
    ),
    "a comma of two meanings": (
        [r.replace(",100", ',"1,000"').replace(",50.25", ',"2,000"').replace(",7", ',"3,000"') for r in ROWS],
        {},
        r"row 1 \(line 2\): volume is '1,000', whose comma may be a decimal or a thousands mark; say which with --decimal",
    ),
    "drop without a clock": (ROWS, {"off_clock": "drop"}, "--off-clock drop needs the length of a bar: give --clock"),
    "no such encoding": (ROWS, {"encoding": "utf-99"}, "--encoding utf-99: no such encoding"),
    "unknown zone": (ROWS, {"timezone": "Mars/Base"}, "--timezone Mars/Base: no such zone"),
    "unknown unit": (ROWS, {"time_unit": "h"}, "--time-unit h: write one of s, ms, us, ns"),
    "unknown clock": (ROWS, {"clock": "7m"}, "'7m' is not a clock"),
    "off the clock": (changed(1, "01:00Z", "01:30Z"), {"clock": "1m"}, "is not on the clock of 1m"),
    "no such column": (
        ROWS,
        {"columns": {"volume": "vol"}},
        r"--column volume=vol: the file has no column vol; did you mean volume",
    ),
    "no such field": (
        ROWS,
        {"columns": {"volum": "volume"}},
        r"--column volum=volume: volum is none of our columns; did you mean volume",
    ),
    "price unknown": (ROWS, {"columns": {"open": "none"}}, "--column open=none: only side and volume may be unknown"),
    "no symbol": (ROWS, {"symbol": "{symbol}-x"}, r"BTCUSDT.csv: the name BTCUSDT does not fit --symbol '\{symbol\}-x'"),
    "header twice": (ROWS, {"header": ("a", "b")}, r"BTCUSDT.csv: has 6 columns \(time,open.*\), and --header names 2"),
    "wrong kind": (ROWS, {"kind": "trades"}, "no column is recognised as the price of trades"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_a_fault_of_the_text_has_its_sentence_and_leaves_nothing(name: str, tmp_path: Path) -> None:
    rows, asked, sentence = TEXTS[name]
    source = csv(tmp_path, *rows)
    with pytest.raises(ValueError, match=sentence) as told:
        imported(tmp_path / "out", source, **asked)
    assert "\n" not in str(told.value)
    assert sorted(tmp_path.iterdir()) == [source]


def test_all_four_prices_missing_is_a_missing_bar(tmp_path: Path) -> None:
    imported(tmp_path / "out", csv(tmp_path, ROWS[0], "2026-03-01T00:01:00Z,,NaN,,null,", ROWS[2]))
    rows = open_dataset(tmp_path / "out").rows(0, 3)
    assert np.isnan(rows.close[1, 0])
    assert np.isnan(rows.volume[1, 0])
    assert rows.close[2, 0] == 11.0


FILES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "empty": (lambda p: p.write_bytes(b""), "the file is empty; it needs at least one row"),
    "header only": (
        lambda p: p.write_text(HEADER),
        r"the file is empty below its first line \(time,open,high,low,close,volume\)",
    ),
    "no header": (lambda p: p.write_text("\n".join(f"{1772323200 + 60 * i},1,2,1,1,5" for i in range(3))), "--header A,B,..."),
    "two of one name": (lambda p: p.write_text("time,open,open\n1,2,3\n"), "two columns are called open"),
    "no table": (lambda p: p.write_text("<html>403 forbidden</html>"), r"empty below its first line \(<html>403"),
    "a word far down": (
        lambda p: p.write_text(
            HEADER + "\n".join([f"{1772323200 + 60 * i},1.5,2,1,1,5" for i in range(60_000)] + ["0,x,2,1,1,5"])
        ),
        "line 60002: 'x' is not a number; mend or remove that line",
    ),
    "ragged": (lambda p: p.write_text(HEADER + ROWS[0] + "\n" + ROWS[1] + ",9\n"), "Expected 6 columns, got 7"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_broken_csv_has_its_sentence(name: str, tmp_path: Path) -> None:
    path = tmp_path / "BTCUSDT.csv"
    write, sentence = FILES[name]
    write(path)
    with pytest.raises(DataError, match=rf"BTCUSDT\.csv: .*{sentence}"):
        imported(tmp_path / "out", path)
    assert sorted(tmp_path.iterdir()) == [path]


def test_half_written_files_are_told_as_such(tmp_path: Path) -> None:
    text = (HEADER + "\n".join(ROWS * 400)).encode()
    whole = gzip.compress(text)
    (tmp_path / "BTCUSDT.csv.gz").write_bytes(whole[: len(whole) // 2])
    bars(500).to_parquet(tmp_path / "ETHUSDT.parquet")
    whole = (tmp_path / "ETHUSDT.parquet").read_bytes()
    (tmp_path / "ETHUSDT.parquet").write_bytes(whole[: len(whole) // 2])
    bars(500).to_feather(tmp_path / "LTCUSDT.feather")
    whole = (tmp_path / "LTCUSDT.feather").read_bytes()
    (tmp_path / "LTCUSDT.feather").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "XRPUSDT.zip").write_bytes(b"PK\x03\x04 and no more")
    (tmp_path / "SOLUSDT.json").write_text("[[1709251200000, 1, 2, 1, 1", encoding="utf-8")
    for path in sorted(tmp_path.iterdir()):
        with pytest.raises(DataError, match=rf"{path.name}: .*it may be half-written: download or write it again"):
            imported(tmp_path / "out", path, preset="ccxt-ohlcv" if path.suffix == ".json" else None)
    assert len(list(tmp_path.iterdir())) == 5


def test_a_packed_file_that_ends_too_early_is_noticed_where_its_beginning_is_whole(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frame = bars(60_000, ("BTCUSDT",))
    frame["volume"] = rng.uniform(1.0, 9.0, len(frame))
    path = tmp_path / "BTCUSDT.csv.gz"
    frame.to_csv(path, index=False)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(DataError, match=r"BTCUSDT\.csv\.gz: .*it may be half-written"):
        imported(tmp_path / "out", path)
    assert list(tmp_path.iterdir()) == [path]


def test_mixed_units_in_one_file(tmp_path: Path) -> None:
    path = csv(tmp_path, "1772323200,1,2,1,1,5", "1772323260000,1,2,1,1,5")
    with pytest.raises(DataError, match=r"row 2 \(line 3\): the time 1772323260000 is in another unit than those before it"):
        imported(tmp_path / "out", path)
    with pytest.raises(DataError, match="1772323200000000000 s is beyond the year 2262; correct --time-unit"):
        imported(tmp_path / "out", csv(tmp_path, "1772323200000000000,1,2,1,1,5"), time_unit="s")


def test_columns_that_could_be_the_same_are_asked_about(tmp_path: Path) -> None:
    path = csv(tmp_path, "2026-03-01,2026-03-02,1,2,1,1,5", header="date,datetime,open,high,low,close,volume\n")
    with pytest.raises(DataError, match="date and datetime could all be the timestamp; say which with --column timestamp=date"):
        imported(tmp_path / "out", path)
    result = imported(tmp_path / "out", path, columns={"timestamp": "date"})
    assert result.kinds[0].written == 1


def test_a_file_of_two_kinds_is_asked_about(tmp_path: Path) -> None:
    header = "time,open,high,low,close,volume,price,size,side\n"
    path = csv(tmp_path, "1772323200,1,2,1,1,5,1,5,buy", header=header)
    with pytest.raises(DataError, match=r"could hold bars or trades; say which with --kind, e.g. --kind bars"):
        imported(tmp_path / "out", path)
    assert imported(tmp_path / "out", path, kind="bars").kinds[0].kind == "bars"


def test_duplicates_that_differ(tmp_path: Path) -> None:
    path = csv(tmp_path, *ROWS, ROWS[1].replace("10.5,", "10.75,"), ROWS[0])
    sentence = (
        r"BTCUSDT 2026-03-01T00:01:00Z appears twice with different values of close \(10.5, 10.75\).*--duplicates first or last"
    )
    with pytest.raises(DataError, match=sentence):
        imported(tmp_path / "out", path)
    for policy, close in (("first", 10.5), ("last", 10.75)):
        result = imported(tmp_path / policy, path, duplicates=policy)
        assert (result.kinds[0].read, result.kinds[0].written, result.kinds[0].repeated) == (5, 3, 2)
        assert open_dataset(tmp_path / policy).rows(0, 3).close[:, 0].tolist() == [11.0, close, 11.0]


def test_the_last_of_several_files_is_the_last(tmp_path: Path) -> None:
    one = csv(tmp_path, *ROWS, name="BTCUSDT-1.csv")
    other = csv(tmp_path, ROWS[2].replace(",11,7", ",10.25,7"), name="BTCUSDT-2.csv")
    imported(tmp_path / "out", one, other, symbol="BTCUSDT", duplicates="last")
    assert open_dataset(tmp_path / "out").rows(2, 3).close[0, 0] == 10.25
    imported(tmp_path / "back", other, one, symbol="BTCUSDT", duplicates="last")
    assert open_dataset(tmp_path / "back").rows(2, 3).close[0, 0] == 11.0


def test_unsorted_rows_are_sorted(tmp_path: Path) -> None:
    frame = bars(50)
    frame.sample(frac=1.0, random_state=3).to_csv(tmp_path / "mixed.csv", index=False)
    imported(tmp_path / "out", tmp_path / "mixed.csv")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "out" / "bars.parquet"), frame, check_exact=True)


def test_times_of_a_zone_and_the_hours_that_its_clocks_skip_or_repeat(tmp_path: Path) -> None:
    local = [r.replace("Z,", ",").replace("T", " ") for r in ROWS]
    imported(tmp_path / "out", csv(tmp_path, *local), timezone="America/New_York")
    assert str(pd.read_parquet(tmp_path / "out" / "bars.parquet")["timestamp"][0]) == "2026-03-01 05:00:00+00:00"
    for day in ("2026-03-29T02:30:00", "2026-10-25T02:30:00"):  # skipped, and twice, in Berlin
        with pytest.raises(DataError, match=r"row 1 \(line 2\): .* is twice or never on the clocks of Europe/Berlin"):
            imported(tmp_path / "no", csv(tmp_path, f"{day},10,12,9,11,100"), timezone="Europe/Berlin")


def test_fractions_of_a_second_stay_what_they_are(tmp_path: Path) -> None:
    header = "time,price,size,side,id\n"
    rows = ["1772323200.000000001,10,1,buy,900719925474099301", "1772323200.5,10,1,sell,2"]
    imported(tmp_path / "out", csv(tmp_path, *rows, header=header))
    made = pd.read_parquet(tmp_path / "out" / "trades.parquet")
    assert made["timestamp"].astype("int64").tolist() == [1772323200000000001, 1772323200500000000]
    assert made["trade_id"].tolist() == [900719925474099301, 2]


def test_a_side_that_is_none(tmp_path: Path) -> None:
    header = "time,price,size,side\n"
    with pytest.raises(DataError, match=r"BTCUSDT.csv, row 2 \(line 3\): side is 'long'; it must be buy or sell"):
        imported(tmp_path / "out", csv(tmp_path, "1772323200,10,1,Buy", "1772323201,10,1,long", header=header))
    imported(tmp_path / "out", csv(tmp_path, "1772323200,10,1,Buy", "1772323201,10,1,", header=header))
    assert pd.read_parquet(tmp_path / "out" / "trades.parquet")["side"].isna().tolist() == [False, True]


def test_levels_that_are_not_whole(tmp_path: Path) -> None:
    trades().to_parquet(tmp_path / "trades.parquet")
    book().drop(columns="ask_sz_1").to_parquet(tmp_path / "book.parquet")
    with pytest.raises(DataError, match="level 1 of the book has no ask size; name its column with --column ask_sz_1"):
        imported(tmp_path / "out", tmp_path / "trades.parquet", tmp_path / "book.parquet")
    frame = pd.DataFrame(
        {"timestamp": [1], "symbol": ["A"], "is_snapshot": [True], "side": ["bid"], "price": [1.0], "amount": [1.0]}
    )
    frame.to_csv(tmp_path / "incremental.csv", index=False)
    with pytest.raises(DataError, match="holds one row per level; a book is imported from snapshots only"):
        imported(tmp_path / "out", tmp_path / "incremental.csv")


BOOKS = {
    "tardis": "{side}s[{k}].{what}",
    "words": "{side}_price_{k}|{side}_size_{k}",
    "between": "{side}_{k}_price|{side}_{k}_size",
    "from one": "{Side}Price{k1}|{Side}Qty{k1}",
    "short": "{s}{k}p|{s}{k}q",
}


@pytest.mark.parametrize("style", BOOKS)
def test_levels_under_the_names_that_others_give_them(style: str, tmp_path: Path) -> None:
    frame = book()
    price, _, size = BOOKS[style].replace("s[{k}].{what}", "s[{k}].price|{side}s[{k}].amount").partition("|")
    names: dict[str, str] = {}
    for k in range(3):
        for side in ("bid", "ask"):
            words = {"side": side, "Side": side.title(), "s": side[0], "k": k, "k1": k + 1}
            names |= {f"{side}_px_{k}": price.format(**words), f"{side}_sz_{k}": size.format(**words)}
    frame.rename(columns=names).to_csv(tmp_path / "snapshots.csv", index=False)
    trades().to_csv(tmp_path / "trades.csv", index=False)
    imported(tmp_path / "out", tmp_path)
    pd.testing.assert_frame_equal(
        pd.read_parquet(tmp_path / "out" / "book.parquet")[list(frame.columns)], frame, check_exact=True, check_dtype=False
    )


# -- the folder ---------------------------------------------------------------------------------------------------------------


def test_an_existing_folder_is_left_alone(tmp_path: Path) -> None:
    source, out = csv(tmp_path, *ROWS), tmp_path / "out"
    imported(out, source)
    before = (out / "bars.parquet").read_bytes()
    with pytest.raises(DataError, match=r"out: exists already; name another folder, replace it with --overwrite, or add"):
        imported(out, source)
    with pytest.raises(DataError, match=r"out: holds bars.parquet already; import all bars at once"):
        imported(out, source, add=True)
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(DataError, match=r"holds notes.txt, which is no market data; name another folder"):
        imported(out, source, overwrite=True)
    (out / "notes.txt").unlink()
    with pytest.raises(DataError, match=r"high 9.5 is below low 10"):
        imported(out, csv(tmp_path, *changed(1, "11.5", "9.5")), overwrite=True)
    assert (out / "bars.parquet").read_bytes() == before
    imported(out, csv(tmp_path, *ROWS[:2]), overwrite=True)
    assert len(open_dataset(out)) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["BTCUSDT.csv", "out"]


def test_adding_keeps_what_is_there(tmp_path: Path) -> None:
    out = tmp_path / "out"
    bars().to_csv(tmp_path / "bars.csv", index=False)
    trades().to_csv(tmp_path / "trades.csv", index=False)
    imported(out, tmp_path / "bars.csv", licence="CC0", clock="1m")
    before = (out / "bars.parquet").read_bytes()
    with pytest.raises(DataError, match=r"dataset.yml says clock: 1m, and --clock 5m; they must agree"):
        imported(out, tmp_path / "trades.csv", add=True, clock="5m")
    imported(out, tmp_path / "trades.csv", add=True)
    assert (out / "bars.parquet").read_bytes() == before
    described = (out / "dataset.yml").read_text(encoding="utf-8")
    assert "licence: CC0" in described
    assert "imported from bars.csv; imported from trades.csv" in described
    assert np.isfinite(open_dataset(out).rows(0, 20).buy_volume).any()


def test_symbols_that_the_bars_do_not_have_are_told(tmp_path: Path) -> None:
    trades().to_csv(tmp_path / "trades.csv", index=False)
    bars(symbols=("BTC-PERP",)).to_csv(tmp_path / "bars.csv", index=False)
    sentence = (
        "nothing was written: the trades are of BTCUSDT, ETHUSDT, and the bars of BTC-PERP; name them alike with --symbol"
    )
    with pytest.raises(DataError, match=sentence):
        imported(tmp_path / "out", tmp_path)
    bars(symbols=("BTCUSDT", "LTCUSDT")).to_csv(tmp_path / "bars.csv", index=False)
    result = imported(tmp_path / "out", tmp_path)
    assert result.notes == ("trades of ETHUSDT will not be seen: the bars are of BTCUSDT, LTCUSDT",)


def test_faults_are_written_only_when_they_are_wanted(tmp_path: Path) -> None:
    result = imported(tmp_path / "out", csv(tmp_path, *changed(1, "11.5", "9.5")), allow_faults=True)
    assert not result.report.ok
    assert result.report.path == tmp_path / "out"
    assert (tmp_path / "out" / "bars.parquet").exists()


def test_steps_of_prices_and_sizes_are_guessed_when_asked(tmp_path: Path) -> None:
    imported(tmp_path / "out", csv(tmp_path, *ROWS), guess_ticks=True)
    instruments = open_dataset(tmp_path / "out").instruments
    assert (instruments.tick_size[0], instruments.lot_size[0]) == (0.5, 0.25)


def test_a_killed_import_leaves_nothing_under_its_name(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    close = 100.0 + rng.normal(0.0, 1.0, 150_000).cumsum() * 1e-3
    time_ = pd.date_range("2020-01-01", periods=150_000, freq="min", tz="UTC")
    frame = pd.DataFrame({"time": time_, "open": close, "high": close, "low": close, "close": close, "volume": 1.0})
    frame.to_csv(tmp_path / "BTCUSDT.csv", index=False)
    code = (
        "from pathlib import Path; from drivers.feeds.importing import *; import sys; d = Path(sys.argv[1]);"
        "p = plan_import(ImportRequest((d / 'BTCUSDT.csv',), d / 'out')); run_import(p, lambda s, w: print(s, flush=True))"
    )
    for kill, stays in ((signal.SIGINT, False), (signal.SIGKILL, True)):
        with subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as child:
            assert child.stdout is not None
            child.stdout.readline()  # it is at work
            os.kill(child.pid, kill)
        names = {p.name for p in tmp_path.iterdir()}
        assert "out" not in names
        assert any(name.endswith(".partial") for name in names) == stays
    time.sleep(0.01)
    imported(tmp_path / "out", csv(tmp_path, *ROWS))  # sweeps away what the killed one could not
    assert {p.name for p in tmp_path.iterdir()} == {"BTCUSDT.csv", "out"}


def test_one_choice_of_columns_serves_files_of_several_kinds(tmp_path: Path) -> None:
    bars().rename(columns={"open": "first", "timestamp": "when"}).to_csv(tmp_path / "bars.csv", index=False)
    trades().rename(columns={"timestamp": "when"}).to_csv(tmp_path / "trades.csv", index=False)
    result = imported(tmp_path / "out", tmp_path, columns={"timestamp": "when", "open": "first"})
    assert [kind.kind for kind in result.kinds] == ["bars", "trades"]
    with pytest.raises(DataError, match=r"trades.csv: --column timestamp=at: the file has no column at"):
        imported(tmp_path / "no", tmp_path / "trades.csv", columns={"timestamp": "at"})


def test_the_folder_may_be_the_current_one_or_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = csv(tmp_path, *ROWS)
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    imported(tmp_path / "link", source)
    assert len(open_dataset(tmp_path / "real")) == 3
    monkeypatch.chdir(tmp_path / "real")
    imported(Path(), csv(tmp_path, *ROWS[:2]), overwrite=True)
    assert len(open_dataset(tmp_path / "link")) == 2
    assert sorted(p.name for p in tmp_path.iterdir()) == ["BTCUSDT.csv", "link", "real"]
