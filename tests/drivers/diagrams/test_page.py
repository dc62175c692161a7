"""The page of the graph, as a person at a desktop or a phone finds it: what it shows is what networkx and the run's files say."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from drivers.diagrams.meaning import Meaning, meanings
from drivers.diagrams.model import Domain, Edge, Input, Layer, Model, Passage, detailed, read_model
from drivers.diagrams.page import page, page_data, write_page
from drivers.diagrams.values import ValuesError, values_of
from drivers.project.locate import defaults
from drivers.run.batch import run_batch
from drivers.run.request import RunRequest
from drivers.store.reader import RecordedRun, open_run
from tests.browser import open_page, overflows
from tests.drivers import small_market

HOSTILE = '</script><script>throw new Error("out")</script><img src=x onerror="throw 1"> & `</code><b>` <!-- '


@pytest.fixture(scope="module")
def model() -> Model:
    return detailed(read_model(defaults()), defaults())


@pytest.fixture(scope="module")
def layers() -> dict[str, Meaning]:
    return meanings(defaults())


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, model: Model, layers: dict[str, Meaning]) -> Path:
    path: Path = tmp_path_factory.mktemp("page") / "graph.html"
    path.write_text(page(page_data(model, layers)), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RecordedRun:
    folder: Path = tmp_path_factory.mktemp("run")
    data = small_market.folder(folder / "data", minutes=900)
    run_batch(RunRequest(data=data, out=folder / "out", spec="prior_belief", report=False))
    return open_run(folder / "out")


@pytest.fixture(scope="module")
def with_run(tmp_path_factory: pytest.TempPathFactory, model: Model, finished: RecordedRun) -> Path:
    path: Path = tmp_path_factory.mktemp("page") / "run.html"
    write_page(path, model, defaults(), run=finished)
    return path


def big(method: str = "What it does.") -> Model:
    """A made-up graph of 101 layers in ten domains: each takes up to four of those before it."""
    rng = np.random.default_rng(3)
    names = ("data", "regime", "microstructure", "kinematics", "pattern", "fusion", "risk", "execution", "meta", "rl")
    sizes = (1, 2, 7, 25, 25, 10, 18, 10, 2, 1)
    home = [name for name, size in zip(names, sizes, strict=True) for _ in range(size)]
    made: dict[str, Layer] = {}
    edges: list[Edge] = []
    for i, domain in enumerate(home):
        name = f"l{i}_synthetic_layer_{i}"
        taken = [list(made)[j] for j in sorted(rng.choice(i, min(i, 4), replace=False))] if i else []
        edges += [Edge(source, name, "now", source) for source in taken]
        schedule = ("columnar", "step", "post", "epoch")[0 if i < 70 else 1 if i < 95 else 2 if i < 98 else 3]
        inputs = tuple(Input(source, "layer") for source in taken)
        made[name] = Layer(
            name, f"L{i}", "A layer", domain, schedule, False, inputs, False, i == 100, i == 87, method, "m.n", 1, method
        )
    edges.append(Edge(list(made)[97], list(made)[80], "delayed", "orders", "bar"))
    domains = {d: Domain(d, None, (), tuple(n for n, layer in made.items() if layer.domain == d)) for d in names}
    door = Passage((list(made)[60],), list(made)[87], list(made)[95])
    return Model("1m", "1d", domains, made, tuple(edges), (), (door,))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("page") / "large.html"
    path.write_text(page(page_data(big(), {})), encoding="utf-8")
    return path


def shown(tab: Any) -> set[str]:
    """The layers that are drawn."""
    return set(tab.eval_on_selector_all("#graph [data-layer]", "all => all.map(each => each.dataset.layer)"))


def test_the_whole_graph_is_drawn_with_its_edges_and_its_door(browser_page: Any, plain: Path, model: Model) -> None:
    open_page(browser_page, plain)
    assert shown(browser_page) == set(model.layers)
    drawn = browser_page.eval_on_selector_all(".edge", "all => all.map(e => [e.dataset.from, e.dataset.to])")
    assert {tuple(pair) for pair in drawn} == set(model.ever.edges)
    doors = browser_page.eval_on_selector_all(".node.door", "all => all.map(each => each.dataset.layer)")
    assert doors == [layer.name for layer in model.layers.values() if layer.door]
    assert browser_page.locator(".edge.late").count() == sum(e.kind == "delayed" and not e.awaits for e in model.edges)


def test_search_finds_a_layer_and_opens_it_with_its_inputs(browser_page: Any, plain: Path, model: Model) -> None:
    open_page(browser_page, plain)
    browser_page.keyboard.press("/")
    browser_page.keyboard.type("l4")
    browser_page.keyboard.press("Enter")
    panel = browser_page.locator("#panel")
    assert panel.locator("h2").inner_text().startswith("L4 ")
    taken = panel.locator("#takes [data-goto]").evaluate_all("all => all.map(each => each.dataset.goto)")
    gate = model.layers["l4_risk_gate"]
    assert taken == [each.name for each in gate.inputs if each.kind == "layer"]
    assert "#layer=L4" in browser_page.url
    panel.locator("#takes [data-goto]").first.click()
    assert panel.locator("h2").inner_text().startswith(model.layers[taken[0]].id)


@pytest.mark.parametrize("wanted", ["l4_risk_gate", "risk gate", "target_weight", "risk.net"])
def test_search_knows_names_fields_and_settings(browser_page: Any, plain: Path, wanted: str) -> None:
    open_page(browser_page, plain)
    browser_page.fill("#search", wanted)
    hits = browser_page.locator("#hits [role=option]").evaluate_all("all => all.map(each => each.dataset.hit)")
    assert "l4_risk_gate" in hits
    browser_page.keyboard.press("Escape")
    assert browser_page.input_value("#search") == ""


def test_a_collapsed_domain_is_a_card(browser_page: Any, plain: Path, model: Model) -> None:
    open_page(browser_page, plain)
    browser_page.locator('[data-domain="risk"] .head').press("Enter")
    risk = set(model.domains["risk"].layers)
    assert shown(browser_page) == set(model.layers) - risk
    assert f"{len(risk)} layers" in browser_page.locator('[data-domain="risk"].card').text_content()
    browser_page.click("#collapse")
    assert shown(browser_page) == set()
    browser_page.click("#expand")
    assert shown(browser_page) == set(model.layers)


@pytest.mark.parametrize(
    ("name", "hops"), list(itertools.product(["l4_risk_gate", "l0_market_feed", "l5_execution_bridge"], [1, 2]))
)
def test_neighbours_are_those_of_networkx(browser_page: Any, plain: Path, model: Model, name: str, hops: int) -> None:
    layer_id = model.layers[name].id
    around = {
        "both": nx.ego_graph(model.ever.to_undirected(), name, hops),
        "up": nx.ego_graph(model.ever.reverse(), name, hops),
        "down": nx.ego_graph(model.ever, name, hops),
    }
    for direction, expected in around.items():
        open_page(browser_page, plain)
        browser_page.evaluate(f"location.hash = 'near={layer_id}&hops={hops}&direction={direction}'")
        browser_page.wait_for_function("document.querySelector('[data-mode=near]').ariaPressed === 'true'")
        assert shown(browser_page) == set(expected.nodes)


def test_paths_are_those_of_networkx(browser_page: Any, plain: Path, model: Model) -> None:
    open_page(browser_page, plain)
    browser_page.click('[data-mode="path"]')
    browser_page.select_option("#path-from", "l1_regime")
    browser_page.select_option("#path-to", "l4_risk_gate")
    expected = {name for path in nx.all_simple_paths(model.now, "l1_regime", "l4_risk_gate") for name in path}
    assert shown(browser_page) == expected
    browser_page.select_option("#path-from", "l4_risk_gate")
    browser_page.select_option("#path-to", "l1_regime")
    assert "No path leads from L4 risk gate to L1 regime" in browser_page.locator("#empty").inner_text()


def test_an_address_brings_the_view_back(browser_page: Any, plain: Path) -> None:
    open_page(browser_page, plain)
    browser_page.goto(f"{plain.as_uri()}#layer=L1&collapsed=risk,execution")
    before = shown(browser_page)
    assert browser_page.locator("#panel h2").inner_text().startswith("L1 ")
    address = browser_page.url
    browser_page.reload()
    assert (shown(browser_page), browser_page.url) == (before, address)


def test_values_are_those_of_the_run(browser_page: Any, with_run: Path, finished: RecordedRun) -> None:
    open_page(browser_page, with_run)
    stamps = browser_page.evaluate("sq.data.run.times")
    for bar, symbol in ((0, 0), (len(stamps) - 1, 1)):
        browser_page.evaluate(
            f"location.hash = 'layer=L4&bar={np.datetime64(stamps[bar], 'ms')}Z&symbol={finished.symbols[symbol]}'"
        )
        browser_page.wait_for_function(f"document.getElementById('bar-at').value === '{bar}'")
        table = pq.read_table(finished.folder / "features" / "risk.parquet").to_pandas()
        at = (table["timestamp"].astype("int64") == stamps[bar] * 1_000_000) & (table["symbol"] == finished.symbols[symbol])
        row = table[at].iloc[0]
        shown_values = browser_page.locator("#values tr").evaluate_all(
            "all => all.map(row => [row.dataset.field, row.querySelector('td').title, row.querySelector('td').innerText])"
        )
        assert {name for name, _, _ in shown_values} == {c for c in table.columns if c.startswith("l4_risk_gate.")}
        for name, exact, text in shown_values:
            value = float(row[name])
            assert text == "not known" if np.isnan(value) else float(exact) == value
    from dataflows.risk.types import VERDICTS

    verdict = browser_page.locator('[data-field="l4_risk_gate.verdict"] td').first.inner_text()
    assert verdict == VERDICTS[int(row["l4_risk_gate.verdict"])]


def test_the_first_bar_shown_is_the_last_with_an_order(
    finished: RecordedRun, layers: dict[str, Meaning], tmp_path: Path
) -> None:
    made = values_of(finished, layers)
    assert not len(finished.frame("orders")) and made["times"][made["at"]] == finished.times()[-1] // 1_000_000
    folder = shutil.copytree(finished.folder, tmp_path / "traded")
    schema = pq.read_schema(folder / "orders.parquet")
    for bar in (500, 100):
        order = {"timestamp": int(finished.times()[bar]), "symbol": "AAA" if bar == 100 else "BBB"}
        columns = [pa.array([order.get(field.name)]).cast(field.type) for field in schema]
        pq.write_table(pa.Table.from_arrays(columns, schema=schema), folder / "orders.parquet")
        made = values_of(open_run(folder), layers)
        assert made["times"][made["at"]] == finished.times()[bar] // 1_000_000
        assert made["symbols"][made["symbol"]] == order["symbol"]
        assert made["total"] == len(finished.times())
        assert made["times"][0] == finished.times()[made["first"]] // 1_000_000
    assert values_of(open_run(folder), layers, symbol="BBB")["at"] == len(made["times"]) - 1  # it has no order


@pytest.mark.parametrize(
    ("at", "symbol", "message"),
    [
        ("yesterday-ish", None, "is not a time"),
        ("1999-01-01", None, "is outside"),
        (None, "NONE", "has no symbol 'NONE'; it has AAA, BBB"),
    ],
)
def test_a_bar_or_symbol_that_is_not_there_is_named(
    finished: RecordedRun, layers: dict[str, Meaning], at: str | None, symbol: str | None, message: str
) -> None:
    with pytest.raises(ValuesError, match=message):
        values_of(finished, layers, at=at, symbol=symbol)


def test_the_page_says_which_bars_of_the_run_it_holds(
    browser_page: Any, with_run: Path, finished: RecordedRun, layers: dict[str, Meaning]
) -> None:
    open_page(browser_page, with_run)
    made, total = values_of(finished, layers), len(finished.times())
    held = f"bars {made['first'] + 1:,} to {made['first'] + len(made['times']):,} of {total:,}"
    said = browser_page.locator("#which").inner_text()
    assert said.startswith(held) if len(made["times"]) < total else said == f"all {total:,} bars"


def test_layers_are_named_beside_their_ids_however_small(browser_page: Any, plain: Path) -> None:
    open_page(browser_page, plain)
    browser_page.evaluate("document.getElementById('graph').classList.add('afar')")
    names = browser_page.locator("[data-layer=l66_signal_matrix] text:visible").all_text_contents()
    assert names == ["L66", "signal matrix"]


def test_101_layers_are_laid_out_at_once_and_do_not_overlap(browser_page: Any, large: Path) -> None:
    open_page(browser_page, large)
    assert len(shown(browser_page)) == 101
    corners = browser_page.eval_on_selector_all(
        ".node .body", "all => all.map(e => e.getBoundingClientRect()).map(r => [r.left, r.top, r.right, r.bottom])"
    )
    for a, b in itertools.combinations(corners, 2):
        assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]
    text = browser_page.locator(".node .far:visible, .node .name:visible").first.bounding_box()
    assert text["height"] >= 8  # what a node shows can be read without zooming
    assert browser_page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd") < 5000


def test_on_a_phone_101_layers_begin_as_cards_and_the_panel_is_a_sheet(browser_page: Any, large: Path) -> None:
    open_page(browser_page, large, phone=True)
    assert not overflows(browser_page)
    assert shown(browser_page) == set()
    assert browser_page.locator(".card").count() == 10
    browser_page.locator('[data-domain="fusion"] .head').click()
    assert len(shown(browser_page)) == 10
    browser_page.fill("#search", "L87")
    browser_page.keyboard.press("Enter")
    box = browser_page.locator("#panel").bounding_box()
    assert box["width"] == 390 and box["y"] > 300
    assert not overflows(browser_page)


def test_nothing_that_a_layer_says_breaks_out(browser_page: Any, tmp_path: Path) -> None:
    model = big(HOSTILE)
    first = next(iter(model.layers))
    model = replace(model, layers={**model.layers, first: replace(model.layers[first], title=HOSTILE)})
    path = tmp_path / "hostile.html"
    path.write_text(page(page_data(model, {}), title=HOSTILE), encoding="utf-8")
    open_page(browser_page, path)
    browser_page.evaluate("location.hash = 'layer=L0'")
    browser_page.wait_for_selector("#panel:not([hidden])")
    assert browser_page.locator("#panel img").count() == 0
    assert "</script><script>" in browser_page.locator("#panel").inner_text()


def test_the_theme_changes_all_colours(browser_page: Any, plain: Path) -> None:
    open_page(browser_page, plain)
    colour = "getComputedStyle(document.querySelector('.node .body')).fill"
    light = browser_page.evaluate(colour)
    browser_page.click("#theme")
    assert browser_page.evaluate(colour) != light
    assert browser_page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_the_graph_can_be_walked_with_the_keyboard(browser_page: Any, plain: Path) -> None:
    open_page(browser_page, plain)
    browser_page.locator('[data-layer="l4_risk_gate"]').focus()
    browser_page.keyboard.press("ArrowLeft")
    left = browser_page.evaluate("document.activeElement.dataset.layer")
    assert left not in (None, "l4_risk_gate")
    browser_page.keyboard.press("Enter")
    assert left in browser_page.evaluate("document.querySelector('.node.chosen').dataset.layer")
    assert browser_page.locator("#said").inner_text()
    browser_page.keyboard.press("Escape")
    assert browser_page.locator("#panel").is_hidden()


def test_the_list_names_every_layer(browser_page: Any, plain: Path, model: Model) -> None:
    open_page(browser_page, plain)
    browser_page.click("#list-button")
    assert browser_page.locator("#list button").count() == len(model.layers)
    browser_page.get_by_role("button", name="L4 risk gate").first.click()
    assert browser_page.locator("#panel h2").inner_text().startswith("L4 ")
