"""Hamilton's own tools work on the layers as they do on any functions, and docs/how-to/hamilton.md says how."""

from __future__ import annotations

import atexit
import importlib.util
import json
import re
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hamilton import driver

from drivers.diagrams.dot import render
from drivers.domain.hamilton_inputs import AdHocError, inputs_on_data, inputs_on_run
from drivers.feeds.dataset import open_dataset
from drivers.graph.modules import layer_modules
from drivers.graph.wiring import load
from drivers.project.locate import defaults
from drivers.run.batch import run_batch
from drivers.run.request import RunRequest
from drivers.store.reader import open_run
from tests.drivers.small_market import folder

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "hamilton.md"
WIRING = load(defaults().wiring)
ENABLED = {name: entry for name, entry in WIRING.layers.items() if entry.enabled}
NO_TRACKER = importlib.util.find_spec("hamilton_sdk") is None


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small market and a run over it, named as the page names them."""
    made = tmp_path_factory.mktemp("hamilton")
    folder(made / "market", minutes=240)
    run_batch(RunRequest(data=made / "market", out=made / "runs" / "whole"))
    return made


@pytest.fixture(scope="module")
def dr() -> driver.Driver:
    return driver.Builder().with_modules(*layer_modules()).with_config(dict(WIRING.variants)).build()


def blocks(about: str = "python") -> list[str]:
    """The page's blocks that begin so, in order."""
    found = re.findall(r"^```([^\n]+)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [text for rest, text in found if rest == about]


def test_every_block_of_the_page_runs(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    assert len(blocks()) >= 6
    names: dict[str, Any] = {}
    for text in blocks():
        exec(compile(text, str(PAGE), "exec"), names)
    again, panels = (names[k]["l12_regression_slope_short"].slope for k in ("again", "panels"))
    np.testing.assert_array_equal(again, panels)
    assert (place / "slope.svg").read_bytes().lstrip().startswith(b"<")


@pytest.mark.parametrize("domain", sorted({entry.domain for entry in ENABLED.values()}))
def test_tags_find_the_layers_of_a_domain(dr: driver.Driver, domain: str) -> None:
    found = {node.name: node.tags for node in dr.list_available_variables(tag_filter={"domain": domain})}
    wanted = {name: entry for name, entry in ENABLED.items() if entry.domain == domain}
    assert wanted.keys() <= found.keys()
    for name, entry in wanted.items():
        assert (found[name]["layer"], found[name]["schedule"]) == (entry.id, entry.schedule)


def test_the_whole_graph_is_drawn_with_every_layer(dr: driver.Driver) -> None:
    source = dr.display_all_functions().source
    assert all(name in source for name in ENABLED)
    assert b"<svg" in render(source, "svg")


def test_what_an_execution_lacks_is_said_before_it_runs(dr: driver.Driver) -> None:
    with pytest.raises(ValueError, match="observations not provided"):
        dr.validate_execution(["l12_regression_slope_short"], inputs={})


def test_columnar_layers_executed_by_hamilton_give_the_bits_of_the_engine(dr: driver.Driver, place: Path) -> None:
    run = open_run(place / "runs" / "whole")
    wanted = [name for name, entry in ENABLED.items() if entry.schedule == "columnar" and entry.domain == "kinematics"]
    given = inputs_on_data(dr, wanted, open_dataset(place / "market"))
    made = dr.execute(wanted, inputs=given)
    for name in wanted:
        for column in [c for c in run.columns("features/kinematics") if c.partition(".")[0] == name]:
            value = made[name]
            for field in column.split(".")[1:]:
                value = value[:, :, int(field)] if field.isdigit() else getattr(value, field)
            recorded = run.frame("features/kinematics", [column])[column].to_numpy()
            np.testing.assert_array_equal(np.asarray(value).reshape(-1), recorded, err_msg=column)


def test_a_step_layer_is_left_to_the_engine(dr: driver.Driver, place: Path) -> None:
    with pytest.raises(AdHocError, match=r'l4_risk_gate is step: .* use run_domain\("risk", \.\.\.\)'):
        inputs_on_data(dr, ["l4_risk_gate"], open_dataset(place / "market"))


def test_what_a_run_does_not_record_is_named(dr: driver.Driver, place: Path) -> None:
    with pytest.raises(AdHocError, match=r"l8_spread_depth reads book\.ask_price, .* of l0_market_feed, which a run does not"):
        inputs_on_run(dr, ["l8_spread_depth"], open_run(place / "runs" / "whole"))


def test_an_unknown_layer_is_named(dr: driver.Driver, place: Path) -> None:
    with pytest.raises(AdHocError, match="there is no layer 'l12'"):
        inputs_on_run(dr, ["l12"], open_run(place / "runs" / "whole"))


# ---- the tracker of the Hamilton UI, against a server that only listens


class Listener(HTTPServer):
    """Takes down what it is sent, and knows no graph yet."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.heard: list[tuple[str, str, Any]] = []


class _Answer(BaseHTTPRequestHandler):
    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        sent = json.loads(self.rfile.read(length)) if length else None
        assert isinstance(self.server, Listener)
        self.server.heard.append((self.command, self.path.partition("?")[0], sent))
        body = b"null" if "/exists" in self.path else b'{"id": 1}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = _answer

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on stderr."""


@pytest.fixture
def listener() -> Iterator[Listener]:
    server = Listener()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.skipif(NO_TRACKER, reason="the extra `tracker` (apache-hamilton-sdk) is not installed")
def test_the_tracker_of_the_hamilton_ui_follows_an_execution(
    listener: Listener, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(place / "market", tmp_path / "market")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (text,) = blocks("{.python .tracker}")
    here = text.replace("http://127.0.0.1:8241", f"http://127.0.0.1:{listener.server_port}")
    assert here != text
    names: dict[str, Any] = {}
    exec(compile("\n".join([*blocks()[:1], "from pathlib import Path", *_imports(), here]), str(PAGE), "exec"), names)
    names["tracker"].client.stop()
    atexit.unregister(names["tracker"].client.stop)
    registered = [sent for _, path, sent in listener.heard if path.endswith("/dag_templates")]
    assert {"l12_regression_slope_short", "l4_risk_gate"} <= {node["name"] for node in registered[0]["nodes"]}
    assert any(path.endswith("/dag_runs_bulk") for _, path, _ in listener.heard)


def _imports() -> list[str]:
    """The page's imports: its last block goes on from those before it."""
    return [line for text in blocks() for line in text.splitlines() if line.startswith("from ")]
