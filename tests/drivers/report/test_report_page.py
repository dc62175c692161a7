"""The report in a browser: everything drawn, nothing wider than a phone, nothing from outside, nothing injected."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from drivers.report.contents import RunReport, read_report
from drivers.report.drawn import drawn
from drivers.report.html import report_page
from drivers.report.text import interval_of, value_of
from drivers.store.reader import RecordedError
from tests.browser import open_page, overflows

INKED = """(element) => [...element.querySelectorAll('canvas')].reduce((inked, canvas) => {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let n = 0;
  for (let i = 3; i < data.length; i += 4) n += data[i] > 0;
  return inked + n;
}, 0)"""
EVIL = "</script><img src=x onerror=alert(1)>&\"'"


@pytest.fixture(scope="module")
def pages(reports: dict[str, RunReport], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page a run."""
    folder = tmp_path_factory.mktemp("pages")
    for name, report in reports.items():
        (folder / f"{name}.html").write_text(report_page(report), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in reports}


def shown(page: Any, path: Path, **how: bool) -> Any:
    open_page(page, path, **how)
    page.wait_for_selector("html[data-drawn=yes]")
    return page


@pytest.mark.parametrize(
    ("name", "phone", "dark"),
    [
        *(("traded", phone, dark) for phone in (False, True) for dark in (False, True)),
        ("idle", True, False),
        ("idle", False, True),
    ],
)
def test_every_chart_is_drawn_and_nothing_is_wider_than_the_window(
    browser_page: Any, pages: dict[str, Path], name: str, phone: bool, dark: bool
) -> None:
    page = shown(browser_page, pages[name], phone=phone, dark=dark)
    assert not overflows(page)
    charts = [c for c in page.query_selector_all(".canvas") if c.is_visible()]
    assert len(charts) == (2 if name == "idle" else 7)
    for chart in charts:
        box = chart.bounding_box()
        assert chart.evaluate(INKED) > 0.01 * box["width"] * box["height"]


def test_the_theme_is_switched_in_the_charts_too(browser_page: Any, pages: dict[str, Path]) -> None:
    page = shown(browser_page, pages["traded"])
    colour = "() => sqChart.charts.map((chart) => chart.getOption().tooltip[0].textStyle.color)"
    light = page.evaluate(colour)
    page.click("#theme")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    dark = page.evaluate(colour)
    assert len(light) == len(dark) == 7 and set(light).isdisjoint(dark)


def test_each_chart_has_a_label_a_caption_and_a_table_that_says_the_same(browser_page: Any, pages: dict[str, Path]) -> None:
    page = shown(browser_page, pages["traded"])
    for chart in page.query_selector_all(".canvas"):
        assert len(chart.get_attribute("aria-label")) > 10
        assert chart.evaluate("(e) => e.closest('figure').querySelector('figcaption').textContent.trim().length") > 40
        assert chart.evaluate("(e) => e.closest('section').querySelectorAll('table tbody tr').length") > 0
    for table in page.query_selector_all("table"):
        assert page.locator(f"#{table.get_attribute('aria-labelledby')}").count() == 1
    assert page.evaluate("new Set([...document.querySelectorAll('[id]')].map((e) => e.id)).size") == page.evaluate(
        "document.querySelectorAll('[id]').length"
    )


@pytest.mark.parametrize("name", ["traded", "idle"])
def test_figures_on_the_page_are_the_figures_of_the_files(
    browser_page: Any, pages: dict[str, Path], reports: dict[str, RunReport], name: str
) -> None:
    page = shown(browser_page, pages[name])
    rows = page.eval_on_selector_all(
        "#table-figures tbody tr:not(.group)",
        "(rows) => rows.map((row) => [...row.cells].map((cell) => [cell.textContent, cell.dataset.sort]))",
    )
    found = {row[0][0]: row for row in rows}
    assert list(found) == [f.label for f in reports[name].figures]
    for figure in reports[name].figures:
        row = found[figure.label]
        assert (row[1][0], row[2][0]) == (value_of(figure), interval_of(figure))
        assert figure.definition in row[3][0] and (not figure.note or figure.note in row[3][0])
        assert figure.value is None or row[1][1] is None or float(row[1][1]) == figure.value
    tiles = dict(page.eval_on_selector_all("[data-figure]", "(all) => all.map((e) => [e.dataset.figure, e.textContent])"))
    assert tiles == ({f.key: value_of(f) for f in reports[name].figures if f.key in tiles})
    assert bool(tiles) == (name == "traded")


def test_what_the_charts_draw_comes_back_from_the_page_as_it_is_in_the_files(
    browser_page: Any, pages: dict[str, Path], reports: dict[str, RunReport]
) -> None:
    page = shown(browser_page, pages["traded"])
    report = reports["traded"]
    points = page.evaluate("sqChart.unpack(sq.data.account.equity, sq.data.clock)")
    ledger = pd.read_parquet(report.run.folder / "ledger.parquet").drop_duplicates("timestamp").set_index("timestamp").equity
    at = pd.to_datetime([ms for ms, _ in points], unit="ms", utc=True)
    assert np.array_equal(np.float32(ledger.loc[at].to_numpy()), np.float32([v for _, v in points]))
    assert max(v for _, v in points) == np.float32(ledger.max()) and min(v for _, v in points) == np.float32(ledger.min())
    fills = pd.read_parquet(report.run.folder / "fills.parquet")
    busiest = fills.symbol.value_counts().idxmax()
    assert page.locator("#symbol option:checked").inner_text() == f"{busiest} ({(fills.symbol == busiest).sum()} fills)"
    marks = page.evaluate(
        "sqChart.charts[1].getOption().series.filter((s) => s.type === 'scatter').flatMap((s) => s.data.map((d) => d.quantity))"
    )
    own = fills[fills.symbol == busiest]
    signed = np.where(own.side == "BUY", own.quantity, -own.quantity)
    assert sorted(np.float32(marks)) == sorted(np.float32(signed))


def test_another_symbol_is_drawn_when_it_is_picked(browser_page: Any, pages: dict[str, Path]) -> None:
    page = shown(browser_page, pages["traded"])
    before = page.evaluate("sqChart.charts[1].getOption().series.find((s) => s.name === 'Price').data[0][1]")
    other = page.evaluate("[...document.querySelectorAll('#symbol option')].find((o) => !o.selected).value")
    page.select_option("#symbol", other)
    assert page.evaluate("sqChart.charts[1].getOption().series.find((s) => s.name === 'Price').data[0][1]") != before


def test_the_keyboard_zooms_moves_and_shows_all_again(browser_page: Any, pages: dict[str, Path]) -> None:
    page = shown(browser_page, pages["traded"])
    page.focus("#chart-account")
    seen = "(() => { const z = sqChart.charts[0].getOption().dataZoom[0]; return [z.start, z.end]; })()"
    for key in ("+", "+"):
        page.keyboard.press(key)
    assert page.evaluate(seen) == pytest.approx([37.5, 62.5])
    page.keyboard.press("ArrowRight")
    assert page.evaluate(seen) == pytest.approx([42.5, 67.5])
    page.keyboard.press("0")
    assert page.evaluate(seen) == pytest.approx([0, 100])


def test_a_tooltip_tells_a_fill_with_its_reason(
    browser_page: Any, pages: dict[str, Path], reports: dict[str, RunReport]
) -> None:
    page = shown(browser_page, pages["traded"])
    page.evaluate(
        """() => { const chart = sqChart.charts[1], all = chart.getOption().series, seriesIndex = all.findIndex((s) => s.type === 'scatter');
        chart.dispatchAction({ type: 'showTip', seriesIndex, dataIndex: 0 }); }"""
    )
    text = page.locator(".tip").inner_text()
    assert (
        re.search(r"(bought|sold)\n.* at ", text) and "position after" in text and re.search("order, (taker|maker): .+", text)
    )


def test_tables_sort_by_number_with_what_is_unknown_last(browser_page: Any, pages: dict[str, Path]) -> None:
    page = shown(browser_page, pages["traded"])
    heading = page.locator("#table-trips thead th", has_text="Profit")
    column = heading.evaluate("(e) => e.cellIndex")
    values = f"[...document.querySelectorAll('#table-trips tbody tr')].map((r) => Number(r.cells[{column}].dataset.sort))"
    heading.locator("button").click()
    down = page.evaluate(values)
    assert heading.get_attribute("aria-sort") == "descending" and down == sorted(down, reverse=True)
    heading.locator("button").press("Enter")
    assert heading.get_attribute("aria-sort") == "ascending" and page.evaluate(values) == sorted(down)


def test_an_idle_run_says_why_and_draws_no_empty_charts(browser_page: Any, pages: dict[str, Path]) -> None:
    page = shown(browser_page, pages["idle"])
    said = page.locator("#result").inner_text()
    assert "Nothing was traded. Of" in said and "was allowed to enter" in said and "The reasons, with examples" in said
    assert page.locator("#account, #costs, #chart-account, #table-trips").count() == 0
    for link in page.query_selector_all("nav.jump a"):
        assert page.locator(link.get_attribute("href")).count() == 1
    assert page.locator("#table-refusals tbody tr").count() > 0


def changed(report: RunReport, folder: Path, change: Callable[[Path], None]) -> Path:
    """The page of a copy of a run after a change of its files."""
    shutil.copytree(report.run.folder, folder)
    change(folder)
    path = folder / "page.html"
    path.write_text(report_page(read_report(folder)), encoding="utf-8")
    return path


def test_no_name_and_no_text_of_a_run_is_taken_for_markup(
    browser_page: Any, reports: dict[str, RunReport], tmp_path: Path
) -> None:
    def spoil(folder: Path) -> None:
        about = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        first = about["symbols"][0]
        about["symbols"][0] = EVIL
        about |= {"spec": {"name": EVIL, "about": EVIL}, "source": EVIL, "data": EVIL, "overrides": [EVIL], "data_hash": EVIL}
        (folder / "run.json").write_text(json.dumps(about), encoding="utf-8")
        for path in (*folder.glob("*.parquet"), *(folder / "features").glob("*.parquet")):
            table = pq.read_table(path)
            named = [EVIL if s == first else s for s in table["symbol"].to_pylist()]
            at = table.schema.get_field_index("symbol")
            pq.write_table(table.set_column(at, "symbol", pa.array(named, pa.string()).dictionary_encode()), path)

    page = shown(browser_page, changed(reports["traded"], tmp_path / "run", spoil))
    page.on("dialog", lambda dialog: pytest.fail(f"a script ran: {dialog.message}"))
    value = page.evaluate("[...document.querySelectorAll('#symbol option')].find((o) => o.text.startsWith('</script>')).value")
    page.select_option("#symbol", value)
    page.evaluate(
        """() => { const chart = sqChart.charts[1], all = chart.getOption().series, seriesIndex = all.findIndex((s) => s.type === 'scatter');
        chart.dispatchAction({ type: 'showTip', seriesIndex, dataIndex: 0 }); }"""
    )
    assert page.locator("img").count() == 0
    assert EVIL in page.locator(".tip").inner_text() and EVIL in page.locator(".note").first.inner_text()


def without(*names: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for name in names:
            (folder / f"{name}.parquet").unlink()

    return change


@pytest.mark.parametrize(
    "names",
    [
        ("features/data",),
        ("features/fusion", "features/regime"),
        ("features/execution", "features/risk"),
        ("decisions",),
        ("fills", "orders"),
        ("ledger",),
    ],
    ids=" ".join,
)
def test_what_a_run_did_not_record_is_left_out(
    browser_page: Any, reports: dict[str, RunReport], tmp_path: Path, names: tuple[str, ...]
) -> None:
    page = shown(browser_page, changed(reports["traded"], tmp_path / "run", without(*names)), phone=True)
    assert not overflows(page)
    assert page.locator("#result").inner_text() and page.locator("#provenance dd").count() > 5
    for link in page.query_selector_all("nav.jump a"):
        assert page.locator(link.get_attribute("href")).count() == 1


def test_gaps_and_a_symbol_that_comes_late_or_is_never_known(
    browser_page: Any, reports: dict[str, RunReport], tmp_path: Path
) -> None:
    def blank(folder: Path) -> None:
        path = folder / "features" / "data.parquet"
        table = pd.read_parquet(path)
        close = "l0_market_feed.bars.close"
        n = len(reports["idle"].symbols)
        bar = np.arange(len(table)) // n
        late, gap, never = np.arange(len(table)) % n == 0, (bar > 500) & (bar < 900), np.arange(len(table)) % n == 1
        table.loc[(late & (bar < 1000)) | gap | never, close] = np.nan
        table.to_parquet(path, index=False)

    path = changed(reports["idle"], tmp_path / "run", blank)
    page = shown(browser_page, path)
    for k in range(3):
        page.select_option("#symbol", str(k))
    unknown = page.evaluate("sq.data.symbols.map((s) => [...sqChart.floats(s.candles.close)].filter(Number.isNaN).length)")
    assert all(unknown) and page.locator("#chart-trades").evaluate(INKED) > 1000


@pytest.mark.parametrize("bars", [1, 2, 61])
def test_a_run_of_a_bar_or_two_has_a_report(
    browser_page: Any, reports: dict[str, RunReport], tmp_path: Path, bars: int
) -> None:
    def cut(folder: Path) -> None:
        last = pd.Timestamp(reports["traded"].clock.first + (bars - 1) * reports["traded"].clock.step, tz="UTC")
        for path in (*folder.glob("*.parquet"), *(folder / "features").glob("*.parquet")):
            table = pd.read_parquet(path)
            table[table.timestamp <= last].to_parquet(path, index=False)

    page = shown(browser_page, changed(reports["traded"], tmp_path / "run", cut))
    assert "Nothing was traded" in page.locator("#result").inner_text() and page.locator("#table-figures").count() == 1


def test_a_month_of_five_symbols_stays_under_three_and_a_half_megabytes(reports: dict[str, RunReport]) -> None:
    """By what the page can hold at most: the points of every series and the fills of every symbol at their limits."""
    report = reports["traded"]
    bars, fills = 43_200, 4_000
    rng = np.random.default_rng(0)
    from drivers.report.account import Account
    from drivers.report.contents import CANDLES, USUAL_FIELDS
    from drivers.report.market import STOP, TARGET, Prices
    from drivers.report.scan import BarTimes
    from drivers.report.series import Candles

    clock = BarTimes(report.clock.first, report.clock.step, bars)
    assert report.account is not None
    walk, still = 1e5 + np.cumsum(rng.normal(0.0, 1.0, bars)), np.zeros(bars)
    account: Account = dataclasses.replace(
        report.account,
        clock=clock,
        equity=walk,
        drawdown=rng.random(bars),
        gross=walk,
        net=-walk,
        flows=still,
        returns=still,
        time_held=np.ones(5),
    )
    kept = Candles(bars, 5, CANDLES // 5, [STOP, TARGET, *USUAL_FIELDS])
    walks = np.exp(np.cumsum(rng.normal(0.0, 1e-3, (bars, 5)), axis=0))
    kept.add(0, walks, walks * 1.001, walks * 0.999, walks * rng.normal(1.0, 1e-4, walks.shape), rng.random(walks.shape))
    for name in kept.last:
        kept.take(name, 0, rng.random(walks.shape))
    five = [f"SYM{n}USDT" for n in range(5)]
    run = dataclasses.replace(report.run, symbols=tuple(five))
    many = [
        dataclasses.replace(
            report.book.fills[i % len(report.book.fills)],
            symbol=n,
            time=clock.first + int(t) * clock.step,
            order=f"{five[n]}-{i}",
        )
        for n in range(5)
        for i, t in enumerate(np.sort(rng.integers(0, bars, fills)))
    ]
    trips = [dataclasses.replace(report.book.trips[i % len(report.book.trips)], symbol=i % 5, decided=0) for i in range(5000)]
    full = dataclasses.replace(
        report,
        run=run,
        clock=clock,
        account=account,
        prices=Prices(kept, np.ones(5), np.ones(5), 60, np.ones((720, 5)), USUAL_FIELDS),
        hold=walk / 1e5,
        regimes=rng.integers(-1, 5, (bars, 5)).astype(np.int8),
        halts=(rng.random(bars) < 0.01).astype(np.int8),
        quality=None,
        delay=None,
        book=dataclasses.replace(report.book, fills=many, trips=trips, open=[]),
    )
    size = len(report_page(full).encode())
    assert 1_500_000 < size < 3_500_000
    assert [s["all_fills"] for s in drawn(full)["symbols"]] == [fills] * 5


def test_two_fingers_zoom_a_chart(browser_page: Any, pages: dict[str, Path]) -> None:
    session = browser_page.context.new_cdp_session(browser_page)
    session.send("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})
    page = shown(browser_page, pages["traded"], phone=True)
    page.locator("#chart-account").scroll_into_view_if_needed()
    box = page.locator("#chart-account").bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + 120
    for kind, gaps in (("touchStart", (20,)), ("touchMove", (30, 50, 70, 90, 110)), ("touchEnd", (None,))):
        for gap in gaps:
            points = [] if gap is None else [{"x": x - gap, "y": y, "id": 0}, {"x": x + gap, "y": y, "id": 1}]
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    zoomed = page.evaluate("sqChart.charts[0].getOption().dataZoom[0]")
    assert zoomed["end"] - zoomed["start"] < 80


def test_a_round_trip_that_is_chosen_is_shown_with_its_reason_and_its_commands(
    browser_page: Any, pages: dict[str, Path], reports: dict[str, RunReport]
) -> None:
    page = shown(browser_page, pages["traded"])
    row = page.locator("#table-trips tbody tr").nth(1)
    trip = sorted(reports["traded"].book.trips, key=lambda t: t.exit_time)[1]
    row.click()
    said = page.locator("#trip").inner_text()
    assert "Decided at" in said and f"stratoquant explain traded {trip.entry_order}" in said and trip.exit_order in said
    assert page.locator("#symbol option:checked").inner_text().startswith(reports["traded"].symbols[trip.symbol])
    seen = page.evaluate("(() => { const z = sqChart.charts.find((c) => c.getDom().id === 'chart-trades').getOption().dataZoom[0];"
                         " return [z.startValue, z.endValue]; })()")  # fmt: skip
    assert seen[0] <= trip.entry_time / 1e6 and trip.exit_time / 1e6 <= seen[1]
    length = trip.exit_time - trip.entry_time
    assert seen[1] - seen[0] <= 3.01 * max(length, 30 * 60e9) / 1e6


def test_round_trips_are_filtered_by_words_and_outcome(
    browser_page: Any, pages: dict[str, Path], reports: dict[str, RunReport]
) -> None:
    page = shown(browser_page, pages["traded"])
    trips = reports["traded"].book.trips
    visible = "[...document.querySelectorAll('#table-trips tbody tr')].filter((r) => !r.hidden).length"
    page.fill("#trip-find", reports["traded"].symbols[0] + " long")
    assert page.evaluate(visible) == sum(t.symbol == 0 and t.side == 1 for t in trips)
    page.select_option("#trip-outcome", "lost")
    lost = sum(t.symbol == 0 and t.side == 1 and t.profit <= 0.0 for t in trips)
    assert page.evaluate(visible) == lost and page.locator("#trip-left").inner_text() == f"{lost} of {len(trips)}"


def test_every_table_is_saved_as_csv_that_pandas_reads(
    browser_page: Any, pages: dict[str, Path], reports: dict[str, RunReport], tmp_path: Path
) -> None:
    page = shown(browser_page, pages["traded"])
    assert page.locator("button.csv").count() == page.locator("table").count()
    with page.expect_download() as waiting:
        page.click("button.csv[data-table=table-trips]")
    waiting.value.save_as(tmp_path / "trips.csv")
    saved = pd.read_csv(tmp_path / "trips.csv")
    assert waiting.value.suggested_filename == "trips.csv"
    expected = sorted((reports["traded"].symbols[t.symbol], t.profit) for t in reports["traded"].book.trips)
    found = sorted(zip(saved.Symbol, saved.Profit, strict=True))
    assert [name for name, _ in found] == [name for name, _ in expected]
    assert [profit for _, profit in found] == pytest.approx([profit for _, profit in expected], rel=1e-12)


def test_text_that_a_spreadsheet_would_run_is_saved_as_text(browser_page: Any, pages: dict[str, Path]) -> None:
    page = shown(browser_page, pages["traded"])
    made = page.evaluate("""() => { const table = document.getElementById('table-sides'); table.tBodies[0].rows[0].cells[0].textContent = '=1+"x"';
        return sqTables.csvOf(table); }""")  # fmt: skip
    assert made.splitlines()[1].startswith('"\'=1+""x""",')


def test_fields_of_any_layer_are_drawn_under_the_price(browser_page: Any, finished: dict[str, Path], tmp_path: Path) -> None:
    name = "l2_returns_volatility.atr"
    path = tmp_path / "page.html"
    path.write_text(report_page(read_report(finished["traded"], fields=[name])), encoding="utf-8")
    page = shown(browser_page, path)
    series = page.evaluate("sqChart.charts.find((c) => c.getDom().id === 'chart-trades').getOption().series.map((s) => s.name)")
    assert "L2 returns_volatility.atr" in series
    with pytest.raises(
        RecordedError, match=r"recorded no field l2_returns_volatility\.atrr; did you mean l2_returns_volatility\.atr\?"
    ):
        read_report(finished["traded"], fields=["l2_returns_volatility.atrr"])
