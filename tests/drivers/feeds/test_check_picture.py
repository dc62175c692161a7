"""The picture of `data check`: its counts against pandas, its page in a browser."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from drivers.feeds.check import inspect_dataset
from drivers.feeds.dataset import open_dataset
from drivers.feeds.quality import Picture, coverage, findings, measure, quality_page
from drivers.feeds.quality.measure import FROZEN_BARS, MEASURES
from tests.browser import browser, browser_page, open_page, overflows  # noqa: F401
from tests.drivers.feeds.folders import NOW, START, bars, book, trades, write

SHARED = Path(__file__).parents[4] / "shared" / "data" / "ready"
recorded = pytest.mark.skipif(not SHARED.is_dir(), reason="needs the recorded sets in ../shared/data/ready")
MINUTE = 60 * 10**9


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five hours of bars with an outage, a jump, a frozen hour, and a book that is crossed and then stops."""
    frame = bars(300)
    minute = (frame["timestamp"] - START) / pd.Timedelta(minutes=1)
    bitcoin = frame["symbol"] == "BTCUSDT"
    jump = bitcoin & (minute == 250)
    frame.loc[jump, ["high", "close"]] = frame.loc[jump, ["high", "close"]] * 1.5
    frozen = bitcoin & minute.between(120, 179)
    frame.loc[frozen, ["open", "high", "low", "close"]] = 100.0
    frame = frame[~(minute.between(60, 89) & ~bitcoin)]
    snapshots = book(120)
    snapshots.loc[
        snapshots["timestamp"].between(START + pd.Timedelta(minutes=5), START + pd.Timedelta(minutes=7)), "bid_px_0"
    ] = 900.0
    return write(tmp_path_factory.mktemp("odd") / "d", bars=frame, book=snapshots)


@pytest.fixture(scope="module")
def picture(odd: Path) -> Picture:
    return measure(open_dataset(odd, now=NOW))


def test_counts_by_span_are_those_of_pandas(odd: Path, picture: Picture) -> None:
    frame = pd.read_parquet(next(odd.glob("bars.*")))
    assert (picture.unit, picture.width, len(picture.starts)) == ("5 minutes", 5 * MINUTE, 60)
    for s in picture.symbols:
        mine = frame[frame["symbol"] == s.symbol]
        span = (mine["timestamp"].to_numpy("M8[ns]").view(np.int64) - picture.starts[0]) // picture.width
        there = np.bincount(span, minlength=60)
        np.testing.assert_array_equal(s.expected, 5)
        np.testing.assert_array_equal(s.counts["missing"], 5 - there)
    bitcoin, ether = picture.symbols
    assert ether.counts["missing"].sum() == 30
    assert ether.first["missing"] == START.value + 61 * MINUTE
    assert bitcoin.counts["outliers"].sum() >= 2
    assert bitcoin.counts["frozen"].sum() == 60 >= FROZEN_BARS
    assert ether.counts["frozen"].sum() == 0
    rows = open_dataset(odd, now=NOW).rows(0, 300)
    crossed = (rows.bid_price[:, 0, 0] >= rows.ask_price[:, 0, 0]).reshape(60, 5).sum(axis=1)
    assert crossed.any()
    np.testing.assert_array_equal(bitcoin.counts["crossed"], crossed)
    np.testing.assert_array_equal(bitcoin.counts["no book"], (rows.book_age[:, 0] > 1.0).reshape(60, 5).sum(axis=1))


def test_the_lines_hold_every_extreme_and_the_whole_volume(odd: Path, picture: Picture) -> None:
    frame = pd.read_parquet(next(odd.glob("bars.*")))
    for s in picture.symbols:
        mine = frame[frame["symbol"] == s.symbol]
        assert np.nanmax(s.high) == mine["high"].max()
        assert np.nanmin(s.low) == mine["low"].min()
        assert np.nansum(s.volume) == pytest.approx(mine["volume"].sum())
        assert s.close[~np.isnan(s.close)][-1] == mine["close"].iloc[-1]


def test_the_spread_is_that_of_the_closes(odd: Path, picture: Picture) -> None:
    rows = open_dataset(odd, now=NOW).rows(0, 300)
    bid, ask = rows.bid_price[:, 1, 0], rows.ask_price[:, 1, 0]
    spread = pd.Series((ask - bid) / ((ask + bid) / 2))
    spread = spread[spread > 0]
    np.testing.assert_allclose(picture.symbols[1].spread_quantiles, spread.quantile([0.01, 0.25, 0.5, 0.75, 0.99]))
    assert picture.symbols[1].spread_counts.sum() == len(spread)


def test_findings_say_what_where_first_and_what_to_do(odd: Path, picture: Picture) -> None:
    report, _ = inspect_dataset(odd, now=NOW)
    found = {f.what: f for f in findings(report, picture)}
    assert found["missing"].where == "ETHUSDT 30"
    assert found["missing"].first == "2026-03-01T01:01:00Z ETHUSDT"
    assert found["missing"].advice.startswith("The longest gap is 30m of ETHUSDT from 2026-03-01T01:01:00Z. Fetch")
    assert set(found) >= {"missing", "outliers", "frozen", "crossed", "no book"}
    assert not any(f.grave for f in found.values())


def test_the_terminal_has_a_line_for_each_symbol(picture: Picture) -> None:
    out = io.StringIO()
    Console(file=out, width=100).print(coverage(picture))
    legend, bitcoin, _, ether, *_ = out.getvalue().splitlines()
    assert "by 5 minutes" in legend
    assert bitcoin == "BTCUSDT " + "█" * 60
    assert ether == "ETHUSDT " + "█" * 12 + "·" * 6 + "█" * 42


@pytest.mark.parametrize(("bars_", "unit"), [(50, "minute"), (2000, "hour")])
def test_a_cell_is_as_long_as_the_data_need(bars_: int, unit: str, tmp_path: Path) -> None:
    made = measure(open_dataset(write(tmp_path / "d", bars=bars(bars_)), now=NOW))
    assert made.unit == unit
    assert len(made.starts) <= 101
    assert sum(int(s.expected.sum()) for s in made.symbols) == 2 * bars_


def test_data_without_a_book_or_of_a_single_bar_have_a_picture(tmp_path: Path) -> None:
    made = measure(open_dataset(write(tmp_path / "d", bars=bars(1)), now=NOW))
    assert not made.has_book
    assert [int(s.counts[m].sum()) for s in made.symbols for m in MEASURES] == [0] * 10
    only_trades = open_dataset(write(tmp_path / "t", trades=trades()), now=NOW)
    assert not measure(only_trades).has_book


# -- the page -----------------------------------------------------------------------------------------------------------------


def drawn(path: Path, folder: Path, now: int | None = None) -> Path:
    report, data = inspect_dataset(folder, now=now)
    path.write_text(quality_page(report, measure(data) if data is not None else None), encoding="utf-8")
    return path


def painted(page: Any, selector: str) -> bool:
    """True when a canvas has more than one colour on it."""
    script = """(c) => {
        const copy = new OffscreenCanvas(c.width, c.height).getContext('2d', { willReadFrequently: true });
        copy.drawImage(c, 0, 0);
        const d = copy.getImageData(0, 0, c.width, c.height).data;
        const seen = new Set();
        for (let i = 0; i < d.length && seen.size < 3; i += 4) seen.add(`${d[i]},${d[i+1]},${d[i+2]},${d[i+3]}`);
        return seen.size > 1;
    }"""
    return bool(page.locator(f"{selector} canvas").first.evaluate(script))


@pytest.mark.parametrize(("phone", "dark"), [(False, False), (True, True)])
def test_the_page_draws_and_fits(odd: Path, tmp_path: Path, browser_page: Any, phone: bool, dark: bool) -> None:  # noqa: F811
    page = browser_page
    open_page(page, drawn(tmp_path / "d.html", odd, NOW), phone=phone, dark=dark)
    assert not overflows(page)
    assert page.locator("h1").inner_text() == "Market data: d"
    page.locator("#lines figure").first.scroll_into_view_if_needed()
    page.wait_for_selector("#lines .chart canvas")
    for selector in ("#map", "#lines .chart", "#spreads"):
        assert painted(page, selector)
    button = page.get_by_role("button", name="frozen")
    button.focus()
    page.keyboard.press("Enter")
    assert button.get_attribute("aria-pressed") == "true"
    assert "thirty or more with the same close" in page.locator("#about-measure").inner_text()
    page.locator("#theme").click()
    assert painted(page, "#map")
    for chart in page.locator("[role=img]").all():
        assert chart.get_attribute("aria-label")


def test_the_tables_say_what_the_charts_show(odd: Path, tmp_path: Path, browser_page: Any) -> None:  # noqa: F811
    page = browser_page
    open_page(page, drawn(tmp_path / "d.html", odd, NOW))
    page.get_by_text("The same as a table").click()
    rows = page.locator("section[aria-labelledby=where] tbody tr")
    first = rows.filter(has_text="ETHUSDT").filter(has_text="2026-03-01T01:00:00Z")
    assert first.locator("td").nth(1).inner_text() == "5"
    assert page.locator("section[aria-labelledby=findings] tbody tr").count() >= 5


def test_a_folder_that_cannot_be_read_has_a_page_that_says_why(tmp_path: Path, browser_page: Any) -> None:  # noqa: F811
    frame = bars(30)
    frame.loc[3, "symbol"] = None
    page = browser_page
    open_page(page, drawn(tmp_path / "d.html", write(tmp_path / "<b>d", bars=frame), NOW))
    assert "A run would refuse these data" in page.locator(".verdict").inner_text()
    assert "symbol is missing" in page.locator("tbody").first.inner_text()
    assert page.locator("h1").inner_text() == "Market data: <b>d"
    assert page.locator("canvas").count() == 0


def test_hundreds_of_symbols_fit_in_a_page_that_draws_a_dozen_first(tmp_path: Path, browser_page: Any) -> None:  # noqa: F811
    names = tuple(f"S{i:03}USDT" for i in range(200))
    path = drawn(tmp_path / "d.html", write(tmp_path / "d", bars=bars(900, names)), NOW)
    assert path.stat().st_size < 2_000_000
    page = browser_page
    open_page(page, path)
    assert page.locator("#lines figure:visible").count() == 12
    page.get_by_role("button", name="Show all 200 symbols").click()
    assert page.locator("#lines figure:visible").count() == 200
    assert not overflows(page)


@recorded
@pytest.mark.parametrize("name", ["perps_2025-05", "crash_2021-05", "book_2025-09-04"])
def test_the_pages_of_the_recorded_sets_are_small_and_sound(name: str, tmp_path: Path, browser_page: Any) -> None:  # noqa: F811
    page = browser_page
    path = drawn(tmp_path / "d.html", SHARED / name)
    assert path.stat().st_size < 2_000_000
    open_page(page, path)
    page.wait_for_selector("#map canvas")
    assert not overflows(page)


@recorded
def test_the_outage_of_the_crash_is_where_it_was() -> None:
    made = measure(open_dataset(SHARED / "crash_2021-05"))
    day = np.flatnonzero(made.starts == pd.Timestamp("2021-04-25", tz="UTC").value)[0]
    for s in made.symbols:
        assert np.flatnonzero(s.counts["missing"]).tolist() == [day]
        assert s.counts["missing"][day] in (283, 284)
