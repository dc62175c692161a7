"""Names that come from data are only names: in the terminal, logs, pages, pictures and file names."""

from __future__ import annotations

import json
import re
import shutil
import unicodedata
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

from drivers.cli.main import run_command
from tests.drivers.small_market import left, market

SHOWN = ("[/]", "<script>alert(1)</script>", '"', "=cmd()", "../x", "A B", "&lt;b&gt;", ":dog:")
"""Names that may stand."""
REFUSED = ("\x1b[31mRED", "a\u202eb", "two\nlines", "bell\x07", "\u200b", "x" * 65)
FOLDER = "run [red]<b>\u202e\x1b[31m"
"""Folders are named by the user, or by whoever packed them."""
EARLY = (
    "fusion.prior_slope_bps=400", "fusion.prior_strength=400", "kinematics.volatility_halflife_slow=60", "risk.cap_volume_bars=60",
)  # fmt: skip


def inert(text: str) -> str:
    """The text, which nothing in it steers."""
    bad = sorted({c for c in text if c not in "\n\t" and unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}})
    assert not bad, bad
    return text


def written(path: Path, symbols: Sequence[str], first: Sequence[str] = ()) -> Path:
    """A folder of market data. first: other names for the first symbol's first row."""
    path.mkdir(parents=True)
    frame = market(420, tuple(symbols))
    for name in first:
        frame.loc[frame.index[-1], "symbol"] = name
    frame.to_parquet(path / "bars.parquet", index=False)
    (path / "dataset.yml").write_text("clock: 1m\ntick_size: 0.01\nlot_size: 0.001\nmin_notional: 5\n", encoding="utf-8")
    return path


class Said:
    """What commands print, checked."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *command: str, code: int = 0) -> str:
        got = run_command(command)
        out, err = self._capsys.readouterr()
        assert got == code, err
        return inert(out) + inert(err)


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    return Said(capsys)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("hostile")
    written(folder / "data", SHOWN)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def run(place: Path) -> Path:
    options = [word for key in EARLY for word in ("--set", key)]
    assert run_command(["run", "--data", str(place / "data"), "--out", str(place / FOLDER), *options]) == 0
    return place / FOLDER


def test_the_summary_of_a_run(place: Path, said: Said) -> None:
    out = said("run", "--data", str(place / "data"), "--out", str(place / f"{FOLDER}2"), "--no-report")
    for name in SHOWN:
        assert name in re.sub(r"\s+", " ", out)


def test_no_file_is_named_after_data_and_none_lies_outside_of_the_results(place: Path, run: Path) -> None:
    assert {path.name for path in place.iterdir()} <= {"data", "trials.jsonl", FOLDER, f"{FOLDER}2"}
    assert all(re.fullmatch(r"[\w./]+", path) for path in left(run))


class Elements(HTMLParser):
    """The elements of a page, and the text outside of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.names: list[str] = []
        self.handlers: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        if self.names[-1:] not in (["script"], ["style"]):
            self.text += data


def page_of(path: Path, scripts: int) -> Elements:
    text = path.read_text(encoding="utf-8")
    inert(re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL))
    found = Elements(text)
    assert found.names.count("script") == scripts and not found.handlers
    data = re.search(r'<script[^>]*type="application/json"[^>]*>(.*?)</script>', text, flags=re.DOTALL)
    assert data is not None
    inert(data[1])
    assert not set("<>&") & set(data[1])
    json.loads(data[1])
    return found


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run of harmless names: its pages have the elements that ours may have."""
    folder = tmp_path_factory.mktemp("plain")
    written(folder / "data", [f"S{i}" for i in range(len(SHOWN))])
    options = [word for key in EARLY for word in ("--set", key)]
    assert run_command(["run", "--data", str(folder / "data"), "--out", str(folder / "run"), *options]) == 0
    return folder


def scripts_of(path: Path) -> int:
    return Elements(path.read_text(encoding="utf-8")).names.count("script")


def test_the_report_of_a_run(run: Path, plain: Path) -> None:
    found = page_of(run / "report.html", scripts_of(plain / "run" / "report.html"))
    for name in SHOWN:
        assert name in found.text


def test_the_graph_with_the_values_of_a_run(run: Path, plain: Path, tmp_path: Path, said: Said) -> None:
    said("graph", "-o", str(tmp_path / "plain.html"), "--run", str(plain / "run"))
    said("graph", "-o", str(tmp_path / "graph.html"), "--run", str(run), "--symbol", SHOWN[1])
    page_of(tmp_path / "graph.html", scripts_of(tmp_path / "plain.html"))


def test_a_comparison_of_two_runs(run: Path, plain: Path, tmp_path: Path, said: Said) -> None:
    said("report", str(plain / "run"), str(plain / "run"), "-o", str(tmp_path / "plain.html"))
    said("report", str(run), str(run), "-o", str(tmp_path / "two.html"))
    page_of(tmp_path / "two.html", scripts_of(tmp_path / "plain.html"))
    json.loads(said("report", str(run), "--json"))


def orders_of(run: Path) -> dict[str, str]:
    """An order's id by symbol."""
    frame = pd.read_parquet(run / "orders.parquet", columns=["order_id", "symbol"])
    return {str(row.symbol): str(row.order_id) for row in frame.itertuples()}


@pytest.mark.parametrize("symbol", [SHOWN[1], "A B"])
def test_an_explanation(symbol: str, run: Path, tmp_path: Path, said: Said) -> None:
    wanted = orders_of(run).get(symbol, f"{symbol} 2024-03-05T03:00")
    assert wanted in said("explain", str(run), wanted, "--up", "1")
    assert f"{symbol} 2024-03-05T03:00" in json.loads(said("explain", str(run), f"{symbol} 2024-03-05 03:00", "--json"))["what"]
    said("explain", str(run), wanted, "--up", "1", "-o", str(tmp_path / "way.svg"))
    said("explain", str(run), wanted, "--up", "1", "-o", str(tmp_path / "way.dot"))
    inert((tmp_path / "way.dot").read_text(encoding="utf-8"))
    root = ElementTree.fromstring(inert((tmp_path / "way.svg").read_text(encoding="utf-8")))
    tags = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert tags <= {"svg", "g", "title", "polygon", "path", "text", "a", "ellipse", "polyline"}
    assert not [name for element in root.iter() for name in element.attrib if name.startswith("on")]
    assert wanted.split(" 2024")[0] in "".join(root.itertext())


def test_the_log_and_what_logs_prints(run: Path, said: Said) -> None:
    lines = inert((run / "log.jsonl").read_text(encoding="utf-8")).splitlines()
    assert {json.loads(line).get("symbol") for line in lines} >= set(SHOWN)
    for name in SHOWN:
        assert name in said("logs", str(run), "--symbol", name, "--limit", "3")
        assert json.loads(said("logs", str(run), "--symbol", name, "--limit", "1", "--json"))["symbol"] == name


def test_every_other_text_among_the_results(run: Path) -> None:
    for name in left(run):
        if name.endswith((".json", ".yml", ".yaml")):
            inert((run / name).read_text(encoding="utf-8"))


def test_a_check_of_the_data(place: Path, tmp_path: Path, plain: Path, said: Said) -> None:
    said("data", "check", str(plain / "data"), "--html", str(tmp_path / "plain.html"))
    out = said("data", "check", str(place / "data"), "--html", str(tmp_path / "check.html"))
    assert "<script>" in out and "[/]" in out
    page_of(tmp_path / "check.html", scripts_of(tmp_path / "plain.html"))


def test_a_domain_alone(run: Path, tmp_path: Path, said: Said) -> None:
    out = said("domain", "run", "regime", "--from", str(run), "--out", str(tmp_path / "domain"))
    assert "<script>" in out


@pytest.mark.parametrize("name", REFUSED)
def test_a_name_that_steers_is_refused_when_it_is_read(name: str, tmp_path: Path, said: Said) -> None:
    data = written(tmp_path / "data", ["AAA"], [name])
    rows = len(pd.read_parquet(data / "bars.parquet"))
    out = said("run", "--data", str(data), "--out", str(tmp_path / "run"), code=2)
    assert f"bars.parquet, row {rows}: symbol '" in out
    assert ("at most 64" if len(name) > 64 else "rename the symbol") in out
    assert not (tmp_path / "run").exists()
    frame = pd.read_parquet(data / "bars.parquet")
    frame.to_csv(tmp_path / "dump.csv", index=False)
    said("data", "import", str(tmp_path / "dump.csv"), "--out", str(tmp_path / "imported"), code=2)
    assert not (tmp_path / "imported").exists()


def test_hostile_words_where_no_symbol_is(place: Path, tmp_path: Path, said: Said) -> None:
    """What is not there, or is wrong, is named: columns, files, specs, operator's options."""
    word = "\x1b]0;title\x07\u202e[red]"
    said("run", "--data", str(tmp_path / word), code=2)
    said("run", "--data", str(place / "data"), "--symbols", word, "--out", str(tmp_path / "x"), code=2)
    said("run", "--data", str(place / "data"), "--spec", word, code=2)
    said("run", "--data", str(place / "data"), "--set", f"risk.{word}=1", code=2)
    said("explain", str(tmp_path / word), word, code=2)
    said("graph", "-o", str(tmp_path / word), code=2)
    said(word, code=2)
    frame = pd.read_parquet(place / "data" / "bars.parquet").rename(columns={"volume": word})
    (tmp_path / "columns").mkdir()
    frame.to_parquet(tmp_path / "columns" / "bars.parquet", index=False)
    said("run", "--data", str(tmp_path / "columns"), "--out", str(tmp_path / "x"), code=2)


def test_a_project_that_somebody_sent(place: Path, tmp_path: Path, said: Said) -> None:
    """Its folder, its specs and its keys."""
    project = tmp_path / "p [red]\u202e"
    said("config", "init", str(project))
    word = "\x1b[31m\u202e<script>[/]"
    spec = {"name": "evil", "domain": "risk", "about": word, "config": {"gross": 0.5}}
    (project / "specs").mkdir(exist_ok=True)
    (project / "specs" / "evil.yaml").write_text(json.dumps(spec), encoding="utf-8")
    assert "<script>[/]" in said("--project", str(project), "domain", "specs")
    json.loads(said("--project", str(project), "domain", "specs", "--json"))
    said("--project", str(project), "domain", "apply", "evil", "--dry-run")
    said("--project", str(project), "config", "show", "risk")
    (project / "config" / "risk.yml").write_text(json.dumps({word: 1}), encoding="utf-8")
    said("--project", str(project), "config", "show", "risk", code=2)
