"""Whatever is wrong with what a run is given: one sentence that names the culprit, exit code 2, and no folder left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from drivers.cli.main import run_command
from tests.drivers.small_market import START, left, market

MINUTE = pd.Timedelta(minutes=1)


def cell(frame: pd.DataFrame, row: int, **values: object) -> pd.DataFrame:
    """The frame with some cells of a row replaced."""
    for name, value in values.items():
        frame.loc[row, name] = value
    return frame


def save(path: Path, frame: pd.DataFrame, stem: str = "bars") -> None:
    """As Parquet, or as CSV where the name says so."""
    if stem.endswith(".csv"):
        frame.to_csv(path / stem, index=False)
    else:
        frame.to_parquet(path / f"{stem}.parquet", index=False)


def texts(frame: pd.DataFrame, form: Callable[[int, pd.Timestamp], str]) -> pd.DataFrame:
    """The frame with its times written out."""
    return frame.assign(timestamp=[form(i, t) for i, t in enumerate(frame["timestamp"])])


def truncated(path: Path) -> None:
    save(path, market())
    file = path / "bars.parquet"
    file.write_bytes(file.read_bytes()[:-3000])


def book(bid: float, ask: float) -> pd.DataFrame:
    """A snapshot a minute, always the same prices; NaN: that side is empty."""
    times = pd.date_range(START + MINUTE / 2, periods=100, freq="min", unit="ns")
    side = {"bid_px_0": bid, "bid_sz_0": 5.0, "ask_px_0": ask, "ask_sz_0": 5.0}
    return pd.DataFrame({"timestamp": times, "symbol": "AAA", **side})


def with_book(path: Path, frame: pd.DataFrame) -> None:
    save(path, market())
    save(path, frame, "book")


def missing_column(path: Path) -> None:
    save(path, market().drop(columns="volume"))


def missing_prices(path: Path) -> None:
    save(path, cell(market(), 40, close=np.nan))


def infinite_price(path: Path) -> None:
    save(path, cell(market(), 40, high=np.inf))


def negative_volume(path: Path) -> None:
    save(path, cell(market(), 40, volume=-1.0))


def high_below_low(path: Path) -> None:
    frame = market()
    low, high = frame.loc[40, "low"], frame.loc[40, "high"]
    save(path, cell(frame, 40, high=low, low=high))


def duplicate(path: Path) -> None:
    frame = market()
    twice = frame.iloc[[40]].assign(volume=1e6)
    save(path, pd.concat([frame.iloc[:41], twice, frame.iloc[41:]], ignore_index=True))


def unsorted(path: Path) -> None:
    frame = market()
    save(path, frame.iloc[[*range(40), 60, *range(40, 60), *range(61, len(frame))]])


def future(path: Path) -> None:
    frame = market()
    frame["timestamp"] += pd.Timedelta(days=365 * 60)
    save(path, frame)


def mixed_zones(path: Path) -> None:
    def form(i: int, t: pd.Timestamp) -> str:
        return t.strftime("%Y-%m-%dT%H:%M:%SZ") if i % 2 else t.tz_convert("Asia/Tokyo").isoformat()

    save(path, texts(market(), form), "bars.csv")


def some_without_zone(path: Path) -> None:
    save(path, texts(market(), lambda i, t: t.strftime("%Y-%m-%dT%H:%M:%S" + ("Z" if i < 30 else ""))), "bars.csv")


def empty_file(path: Path) -> None:
    (path / "bars.csv").write_bytes(b"")


def no_rows(path: Path) -> None:
    save(path, market().iloc[:0])


BAD: dict[str, tuple[Callable[[Path], None], list[str], tuple[str, ...]]] = {
    "a missing column": (missing_column, [], ("bars.parquet", "column volume is missing")),
    "an unknown symbol": (lambda p: save(p, market()), ["--symbols", "AAA,BBC"], ("symbol BBC is not in the data", "BBB?")),
    "a NaN price": (missing_prices, [], ("bars.parquet, row 41", "close is nan")),
    "an infinite price": (infinite_price, [], ("bars.parquet, row 41", "high is inf")),
    "negative volume": (negative_volume, [], ("bars.parquet, row 41", "volume is -1")),
    "high below low": (high_below_low, [], ("bars.parquet, row 41", "is below low")),
    "a duplicate that differs": (duplicate, [], ("bars.parquet, row 42", "appears twice", "volume")),
    "unsorted times": (unsorted, [], ("bars.parquet, row 42", "must not go backwards")),
    "times in the future": (future, [], ("bars.parquet, row 1", "lies in the future")),
    "mixed time zones": (mixed_zones, [], ("bars.csv", "zone")),
    "some times without a zone": (some_without_zone, [], ("bars.csv, row 31", "zone")),
    "an empty file": (empty_file, [], ("bars.csv: the file is empty",)),
    "a file without rows": (no_rows, [], ("bars.parquet: the file is empty",)),
    "a truncated Parquet file": (truncated, [], ("bars.parquet: is not a whole Parquet file",)),
    "a book that is always crossed": (lambda p: with_book(p, book(101.0, 100.0)), [], ("book.parquet", "every one of 100")),
    "an infinite book price": (lambda p: with_book(p, book(np.inf, 100.0)), [], ("book.parquet, row 1", "bid_px_0 is inf")),
    "an empty book file": (lambda p: with_book(p, book(99.0, 100.0).iloc[:0]), [], ("book.parquet: the file is empty",)),
    "an unknown key of the configuration": (
        lambda p: save(p, market()),
        ["--set", "risk.gros=0.5"],
        ("risk", "gros", "did you mean gross?"),
    ),
    "a value out of range": (lambda p: save(p, market()), ["--set", "risk.gross=-1"], ("risk", "gross", "-1")),
    "an unknown domain": (lambda p: save(p, market()), ["--set", "rusk.gross=1"], ("rusk", "risk")),
    "an unknown machine spec": (lambda p: save(p, market()), ["--spec", "prior_beleif"], ("prior_beleif", "prior_belief")),
    "a span without bars": (lambda p: save(p, market()), ["--start", "2025-01-01"], ("no bar", "2024-03-04")),
    "an unknown key of dataset.yml": (
        lambda p: (save(p, market()), (p / "dataset.yml").write_text("clok: 1m\n"))[0],
        [],
        ("dataset.yml", "clok", "clock"),
    ),
}


@pytest.mark.parametrize("command", ["run", "stream"])
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_and_nothing_is_written(
    case: str, command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, options, parts = BAD[case]
    data = tmp_path / "data"
    data.mkdir()
    make(data)
    before = left(tmp_path)
    code = run_command([command, "--data", str(data), "--out", str(tmp_path / "out"), *options])
    out, err = capsys.readouterr()
    said = [line for line in err.splitlines() if line.strip()]
    assert (code, out, len(said)) == (2, "", 1), err
    for part in parts:
        assert part in said[0]
    assert "Traceback" not in err
    assert left(tmp_path) == before


@pytest.mark.parametrize("key", ["gros: 0.5", "gross: -1", "gross: a lot", "gross: .nan"])
def test_a_bad_configuration_file_is_named(key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "data").mkdir()
    save(tmp_path / "data", market())
    (tmp_path / "mine" / "config").mkdir(parents=True)
    (tmp_path / "mine" / "config" / "risk.yml").write_text(key + "\n", encoding="utf-8")
    line = ["--project", str(tmp_path / "mine"), "run", "--data", str(tmp_path / "data"), "--out", str(tmp_path / "out")]
    before = left(tmp_path)
    assert run_command(line) == 2
    err = capsys.readouterr().err.strip()
    assert "\n" not in err
    assert "risk.yml" in err
    assert key.partition(":")[0] in err
    assert left(tmp_path) == before


def twice_the_same(path: Path) -> None:
    frame = market()
    save(path, pd.concat([frame.iloc[:41], frame.iloc[[40]], frame.iloc[41:]], ignore_index=True))


def nothing_known(path: Path) -> None:
    frame = market()
    frame.loc[40:43, ["open", "high", "low", "close"]] = np.nan
    save(path, frame)


def sometimes_crossed(path: Path) -> None:
    frame = book(99.0, 100.0)
    frame.loc[30:40, "bid_px_0"] = 101.0
    with_book(path, frame)


def late_and_early(path: Path) -> None:
    frame = market()
    since = (frame["timestamp"] - START) / MINUTE
    late, early = (frame["symbol"] == "AAA") & (since < 200), (frame["symbol"] == "BBB") & (since > 260)
    save(path, frame[~late & ~early])


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (twice_the_same, "duplicates"),
        (nothing_known, "missing"),
        (sometimes_crossed, "crossed"),
        (lambda p: with_book(p, book(np.nan, 100.0)), ""),
        (lambda p: with_book(p, book(np.nan, np.nan)), ""),
        (late_and_early, ""),
    ],
    ids=["the same bar twice", "bars of NaN", "a book crossed now and then", "one-sided", "empty book", "late and early"],
)
def test_what_a_market_may_do_is_run(
    make: Callable[[Path], None], kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    make(data)
    assert run_command(["run", "--data", str(data), "--out", str(tmp_path / "out"), "--spec", "prior_belief"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert kind in out.partition("Data: ")[2]
    assert (tmp_path / "out" / "run.json").is_file()
