"""Splits and dividends: a holder's wealth goes on, and no bar knows of a later action."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from drivers.feeds.check import check_dataset
from drivers.feeds.dataset import Dataset, open_dataset
from drivers.feeds.errors import DataError
from drivers.feeds.importing.plan import ImportRequest, plan_import
from drivers.feeds.importing.run import run_import

DAYS = pd.date_range("2024-01-01", periods=40, freq="D", tz="UTC")
SPLIT, PAID = 15, 25  # bars from which they act
SHARED = Path(__file__).parents[4] / "shared" / "data" / "equity_daily"


def quoted() -> pd.DataFrame:
    """A share worth 140 that becomes seven, and later pays out 2."""
    rng = np.random.default_rng(3)
    close = 140.0 * np.exp(np.cumsum(rng.normal(0.0, 0.01, len(DAYS))))
    close[SPLIT:] /= 7.0
    close[PAID:] -= 2.0
    spread = np.array([1.0, 1.01, 0.99, 1.0])
    prices = dict(zip(("open", "high", "low", "close"), np.outer(spread, close), strict=True))
    volume = np.where(np.arange(len(DAYS)) < SPLIT, 1_000.0, 7_000.0)
    return pd.DataFrame({"timestamp": DAYS, "symbol": "ABC", **prices, "volume": volume})


def opened(folder: Path, frame: pd.DataFrame | None = None, **files: str) -> Dataset:
    folder.mkdir(exist_ok=True)
    (quoted() if frame is None else frame).to_parquet(folder / "bars.parquet")
    (folder / "dataset.yml").write_text("clock: 1d\ncalendar: 24/7\n")
    for name, text in files.items():
        (folder / f"{name}.csv").write_text(text)
    return open_dataset(folder)


SPLITS = f"timestamp,symbol,ratio\n{DAYS[SPLIT]:%Y-%m-%d}T00:00Z,ABC,7\n"
DIVIDENDS = f"timestamp,symbol,dividend\n{DAYS[PAID]:%Y-%m-%d}T00:00Z,ABC,2\n"


def test_the_close_is_the_wealth_of_who_holds_a_share_from_the_first_bar(tmp_path: Path) -> None:
    frame = quoted()
    seen = (data := opened(tmp_path, splits=SPLITS, dividends=DIVIDENDS)).rows(0, len(data))
    shares, wealth = 1.0, []
    for t, close in enumerate(frame["close"]):
        if t == SPLIT:
            shares *= 7.0
        if t == PAID:  # the payment buys more shares at the close before, less the payment
            shares += shares * 2.0 / (frame["close"][t - 1] - 2.0)
        wealth.append(shares * close)
    np.testing.assert_allclose(seen.close[:, 0], wealth, rtol=1e-12)
    np.testing.assert_allclose(seen.close * seen.volume, (frame["close"] * frame["volume"]).to_numpy()[:, None], rtol=1e-12)
    for name, ratio in (("open", 1.0), ("high", 1.01), ("low", 0.99)):
        np.testing.assert_allclose(getattr(seen, name), seen.close * ratio, rtol=1e-12)
    assert np.abs(np.diff(np.log(seen.close[:, 0]))).max() < 0.05


def test_no_bar_knows_of_a_later_action(tmp_path: Path) -> None:
    whole = opened(tmp_path / "whole", splits=SPLITS, dividends=DIVIDENDS)
    for end in (SPLIT, SPLIT + 1, PAID):
        part = opened(tmp_path / str(end), quoted().head(end), splits=SPLITS, dividends=DIVIDENDS)
        assert part.rows(0, end).close.tobytes() == whole.rows(0, end).close.tobytes()


def test_a_vendors_factors_give_the_same_on_any_basis(tmp_path: Path) -> None:
    frame = quoted()
    factor = np.ones(len(frame))
    factor[:SPLIT] /= 7.0
    factor[:PAID] *= 1.0 - 2.0 / frame["close"][PAID - 1]
    listed = opened(tmp_path / "a", splits=SPLITS, dividends=DIVIDENDS)
    for basis in (1.0, 3.5):
        by = opened(tmp_path / str(basis), frame.assign(adjustment=basis * factor))
        for name in ("open", "close", "volume"):
            a, b = (getattr(data.rows(0, len(data)), name) for data in (listed, by))
            np.testing.assert_allclose(a, b, rtol=1e-12)


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        (
            {"splits": SPLITS.replace(",7", ",0")},
            r"splits\.csv: ABC 2024-01-16.*: ratio is 0; write new shares for each old one",
        ),
        ({"dividends": DIVIDENDS.replace(",2\n", ",500\n")}, r"dividends\.csv: ABC .*: dividend is 500 and the close before"),
        ({"dividends": DIVIDENDS.replace(",2\n", ",-1\n")}, r"dividend is -1"),
        ({"splits": SPLITS + SPLITS.splitlines()[1] + "\n"}, r"splits\.csv: ABC 2024-01-16.* is there twice"),
        ({"splits": SPLITS.replace("ABC", "ABD")}, r"splits\.csv: none of its symbols is in the data; did you mean ABC"),
    ],
)
def test_what_no_action_can_be_is_refused(tmp_path: Path, files: dict[str, str], sentence: str) -> None:
    with pytest.raises(DataError, match=sentence):
        opened(tmp_path, **files)


def test_the_check_names_moves_like_splits_until_they_are_listed(tmp_path: Path) -> None:
    opened(tmp_path)
    (note,) = [note for note in check_dataset(tmp_path).notes if "as by a split" in note]
    assert f"{DAYS[SPLIT]:%Y-%m-%d}" in note and note.endswith(",ABC,7")
    (tmp_path / "splits.csv").write_text(SPLITS)
    assert not [note for note in check_dataset(tmp_path).notes if "as by a split" in note]


def test_an_import_takes_splits_and_dividends(tmp_path: Path) -> None:
    sources = tmp_path / "bars.csv", tmp_path / "s.csv", tmp_path / "d.csv"
    quoted().to_csv(sources[0], index=False)
    sources[1].write_text(SPLITS)
    sources[2].write_text(DIVIDENDS)
    run_import(plan_import(ImportRequest(sources, tmp_path / "out", calendar="24/7")))
    got, want = open_dataset(tmp_path / "out"), opened(tmp_path / "direct", splits=SPLITS, dividends=DIVIDENDS)
    np.testing.assert_allclose(got.rows(0, len(got)).close, want.rows(0, len(want)).close, rtol=1e-12)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the recorded sets in ../shared/data")
def test_the_seven_for_one_split_of_apple_is_no_return(tmp_path: Path) -> None:
    frame = pd.read_parquet(SHARED / "AAPL.parquet").assign(symbol="AAPL").rename(columns={"ts": "timestamp"})
    frame["timestamp"] = pd.to_datetime(frame["timestamp"], utc=True)
    last = pd.read_csv(SHARED / "AAPL_factors.csv", names=["date", "price", "split", "reference"])
    until = pd.to_datetime(last["date"].astype(str), utc=True)
    at = np.searchsorted(until.to_numpy(), frame["timestamp"].to_numpy())
    frame["adjustment"] = (last["price"] * last["split"]).to_numpy()[at]
    data = opened(tmp_path, frame)
    close = data.rows(0, len(data)).close[:, 0]
    close = close[np.isfinite(close)]
    assert np.abs(np.diff(np.log(frame["close"]))).max() > 1.9
    assert np.abs(np.diff(np.log(close))).max() < 0.75  # 2000-09-29, a fall of half after a warning
    theirs = (frame["close"] * frame["adjustment"]).to_numpy()
    np.testing.assert_allclose(close / close[0], theirs / theirs[0], rtol=1e-9)
