"""`stratoquant adapt` through the command line: what it says, and what the next run does with what it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from dataflows.fusion.types import SOURCES
from dataflows.regime.types import REGIMES
from drivers.adapt.record import L6, L65, Record
from drivers.cli.main import run_command
from drivers.store.reader import open_run
from tests.drivers.adapt.conftest import LEARN, run

TABLES = ("ledger", "fills", "orders")


def said(capsys: pytest.CaptureFixture[str], *line: Any) -> str:
    capsys.readouterr()
    assert run_command([*map(str, line)]) == 0
    return capsys.readouterr().out


def refused(capsys: pytest.CaptureFixture[str], *line: Any) -> str:
    capsys.readouterr()
    assert run_command([*map(str, line)]) == 2
    return " ".join(capsys.readouterr().err.split())


def epochs(folder: Path) -> pd.DataFrame:
    """The epoch table, of the first symbol."""
    frame = pd.read_parquet(folder / "epochs" / "meta.parquet")
    return frame[frame["symbol"] == frame["symbol"].iloc[0]].reset_index(drop=True)


def same(one: Path, other: Path) -> bool:
    """Whether two runs traded and felt the same, to the bit."""
    names = [f"{name}.parquet" for name in TABLES]
    names += [f"features/{path.name}" for path in sorted((one / "features").iterdir())]
    return all(pd.read_parquet(one / name).equals(pd.read_parquet(other / name)) for name in names)


def in_force(folder: Path) -> dict[str, Any]:
    """Weights (E, R, K), patterns (E, P) and thresholds in force after each epoch, straight from the table."""
    frame = epochs(folder)
    weights = [[frame[f"{L6}.source_weights.weights.{r}.{k}"] for k in range(len(SOURCES))] for r in range(len(REGIMES))]
    return {
        "weights": np.moveaxis(np.array(weights), 2, 0),
        "patterns": np.stack([frame[f"{L65}.pattern_weights.weights.{p}"] for p in range(24)], axis=1),
        "high": frame[f"{L65}.regime_thresholds.mean_shift.3.0"].to_numpy(),
        "crash": frame[f"{L65}.regime_thresholds.crash_factor"].to_numpy(),
    }


# ---- show


def test_show_says_what_was_learned_and_what_speaks_for_it(learned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = json.loads(said(capsys, "adapt", "show", learned, "--json"))
    frame = epochs(learned)
    assert data["epochs"] == len(frame) == 13
    last = frame.iloc[-1]
    returns = np.stack([frame[f"{L6}.paper.epoch_return_bps.{k}"] for k in range(len(SOURCES))], axis=1)
    for k, name in enumerate(SOURCES):
        said_of = data["evidence"][name]
        assert said_of["weight"] == last[f"{L6}.evidence.pooled_weight.{k}"]
        assert said_of["wealth"] == pytest.approx(np.exp(last[f"{L6}.evidence.log_wealth.{k}"]))
        assert said_of["chance_of_luck_at_most"] == pytest.approx(min(1.0, 1.0 / said_of["highest_wealth"]))
        paper, own = data["paper"]["by source"][name], returns[returns[:, k] != 0.0, k]
        if not len(own):
            assert paper["mean_return_bps"] is None
            continue
        assert paper["mean_return_bps"] == pytest.approx(own.mean())
        assert paper["hit_rate"] == pytest.approx((own > 0.0).mean())
        assert paper["sharpe"] == pytest.approx(own.mean() / own.std(ddof=1) * np.sqrt(365.0), rel=0.02)
        summed = own.cumsum()
        assert paper["drawdown_bps"] == pytest.approx(
            max(0.0, (np.maximum.accumulate(np.append(0.0, summed))[1:] - summed).max())
        )
    assert set(data["paper"]) == {"by source", "by pattern", "by timeframe", "by domain", "by regime", "by symbol"}
    ledger = pd.read_parquet(learned / "ledger.parquet")
    until = ledger[ledger["timestamp"] < frame["timestamp"].iloc[-1]]
    equity = until[until["symbol"] == until["symbol"].iloc[0]]["equity"]
    assert sum(data["account"]["profit_by_symbol"].values()) == pytest.approx(equity.iloc[-1] - 100_000.0, rel=1e-6)
    parts = {part: data["account"][f"by {part}"] for part in ("symbol", "regime", "source", "domain")}
    assert [*parts["regime"]] == list(REGIMES) and [*parts["symbol"]] == ["SIMA", "SIMB"]
    assert parts["source"]["regime"]["cost_bps"] is None and parts["regime"]["CALM"]["cost_bps"] is not None
    made = epochs(learned)[f"{L6}.realised.by_source.epoch_return_bps.0"]
    assert parts["source"]["regime"]["mean_return_bps"] == pytest.approx(made[made != 0.0].mean())
    assert sum(data["account"]["profit_by_source"].values()) == pytest.approx(equity.iloc[-1] - 100_000.0, rel=0.2)
    text = said(capsys, "adapt", "show", learned)
    best = max(data["evidence"], key=lambda name: data["evidence"][name]["highest_wealth"])
    assert f"A unit bet on {best} alone is {data['evidence'][best]['wealth']:.3f} units now" in text
    assert "(Ville 1939)" in text and "Weights of the sources (L6), which change by themselves" in text


def test_every_change_of_the_table_is_told_with_its_epoch_and_its_reason(
    learned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = json.loads(said(capsys, "adapt", "show", learned, "--json"))
    held = in_force(learned)
    patterns = np.concatenate([np.ones((1, 24)), held["patterns"]])
    wanted = {(int(e) + 1, f"L{26 + p}") for e, p in zip(*np.nonzero(np.diff(patterns, axis=0)), strict=True)}
    told = {(c["epoch"], c["what"].split()[0]) for c in data["changes"] if c["part"] == "patterns"}
    assert wanted == told and len(wanted) > 1, "the market is one in which patterns are switched"
    high = np.concatenate([[0.0], held["high"]])
    moved = {int(e) + 1 for e in np.flatnonzero(np.diff(high))}
    assert moved == {c["epoch"] for c in data["changes"] if c["what"] == "high volatility"} and moved
    assert all(c["automatic"] and c["why"] for c in data["changes"])
    text = said(capsys, "adapt", "show", learned, "--full")
    assert all(f"epoch {c['epoch']} ({c['time']}): {c['what']}" in text for c in data["changes"])


def test_switched_off_only_recommendations_appear(market: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    off = run(market, tmp_path / "off", "meta.adapt_sources=0", "meta.adapt_patterns=0", "meta.pattern_on=0.95")
    data = json.loads(said(capsys, "adapt", "show", off, "--json"))
    assert data["in_force"]["pattern_weights"] == dict.fromkeys(data["in_force"]["pattern_weights"], 1.0)
    assert 0.0 in data["advised"]["pattern_weights"].values()
    assert not any(c["automatic"] for c in data["changes"]) and data["changes"]
    assert (in_force(off)["weights"] == 1.0 / len(SOURCES)).all()
    assert "(advised only)" in said(capsys, "adapt", "show", off)

    path = tmp_path / "taken.yaml"
    said(capsys, "adapt", "freeze", off, "--advised", "--only", "patterns", "--only", "thresholds", "-o", path)
    config = yaml.safe_load(path.read_text())["config"]
    assert config["pattern_weights"] == [*data["advised"]["pattern_weights"].values()]
    assert "adapt_sources" not in config
    took = run(market, tmp_path / "took", "--spec", str(path), "meta.pattern_on=0.95")
    assert (in_force(took)["patterns"] == config["pattern_weights"]).all()
    high = Record(open_run(off)).of(f"{L65}.advice.high_volatility")[-1]
    np.testing.assert_allclose(in_force(took)["high"] + 1.2, high, rtol=1e-12)


# ---- freeze and revert


def test_a_frozen_run_holds_from_its_first_bar_on_what_was_learned(
    market: Path, learned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "held.yaml"
    assert "stratoquant run --spec" in said(capsys, "adapt", "freeze", learned, "-o", path)
    then, now = in_force(learned), in_force(run(market, tmp_path / "run", "--spec", str(path)))
    for name, values in then.items():
        assert (now[name] == values[-1]).all(), name
        assert not (values == values[-1]).all(), f"{name} moved in the run that learned"
    first = {
        name: pd.read_parquet(folder / "features" / f"{domain}.parquet")[column].iloc[:180].to_numpy()
        for name, folder in (("then", learned), ("now", tmp_path / "run"))
        for domain, column in (("fusion", "l7_ensemble.score"),)
    }
    known = np.isfinite(first["then"])
    assert known.any() and (first["then"][known] != first["now"][known]).any(), "it held before the first epoch had ended"

    middle = tmp_path / "middle.yaml"
    said(capsys, "adapt", "freeze", learned, "--epoch", 6, "--only", "sources", "-o", middle)
    config = yaml.safe_load(middle.read_text())["config"]
    np.testing.assert_array_equal([config[f"sources_{r.lower()}"] for r in REGIMES], then["weights"][5])
    assert "adapt_patterns" not in config
    assert "is there already" in refused(capsys, "adapt", "freeze", learned, "-o", middle)
    assert "does not end in .yaml" in refused(capsys, "adapt", "freeze", learned, "-o", tmp_path / "a.txt")
    assert "give either --epoch or --advised" in refused(capsys, "adapt", "freeze", learned, "--advised", "--epoch", 3)


def test_a_reverted_run_has_the_bits_of_one_that_never_adapted(
    market: Path, learned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "back.yaml"
    said(capsys, "adapt", "revert", learned, "-o", path)
    back = run(market, tmp_path / "back", "--spec", str(path))
    never = run(market, tmp_path / "never", "meta.adapt_sources=0", "meta.adapt_patterns=0")
    assert same(back, never) and not same(back, learned)

    score = [pd.read_parquet(f / "features/fusion.parquet")["l7_ensemble.score"].to_numpy() for f in (back, learned)]
    differs = np.flatnonzero((score[0] != score[1]) & np.isfinite(score[0]))
    stamps = pd.read_parquet(learned / "ledger.parquet")["timestamp"]
    weights = np.concatenate([np.full((1, len(REGIMES), len(SOURCES)), 1.0 / len(SOURCES)), in_force(learned)["weights"]])
    first = int(np.flatnonzero((np.diff(weights, axis=0) != 0.0).any(axis=(1, 2)))[0])
    patterns = np.concatenate([np.ones((1, 24)), in_force(learned)["patterns"]])
    first = min(first, int(np.flatnonzero(np.diff(patterns, axis=0).any(axis=1))[0]))
    assert stamps[differs[0]] >= epochs(learned)["timestamp"][first], "nothing differs before something had changed"


def test_a_project_takes_a_snapshot_as_a_machine_spec_and_gives_it_back(
    market: Path, learned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, project = tmp_path / "held.yaml", tmp_path / "project"
    said(capsys, "adapt", "freeze", learned, "-o", path)
    said(capsys, "config", "init", project)
    before = (project / "config/meta.yml").read_bytes()
    said(capsys, "--project", project, "domain", "apply", path)
    line = ["--project", project, "run", "--data", market, "--no-report", "--out", tmp_path / "applied"]
    said(capsys, *line, *(word for setting in LEARN for word in ("--set", setting)))
    assert same(tmp_path / "applied", run(market, tmp_path / "spec", "--spec", str(path)))
    said(capsys, "--project", project, "domain", "undo")
    assert (project / "config/meta.yml").read_bytes() == before


# ---- diff


def test_diff_lists_what_differs_between_epochs_and_between_runs(
    learned: Path, market: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    held = in_force(learned)
    data = json.loads(said(capsys, "adapt", "diff", learned, "3..12", "--json"))
    got = {(d["part"], d["what"]): (d["before"], d["after"]) for d in data["differs"]}
    weights = held["weights"]
    for r, regime in enumerate(REGIMES):
        for k, source in enumerate(SOURCES):
            then, now = weights[2, r, k], weights[11, r, k]
            assert got.pop(("sources", f"{source} in {regime}"), None) == ((then, now) if abs(now - then) > 5e-4 else None)
    for p in range(24):
        then, now = held["patterns"][2, p], held["patterns"][11, p]
        assert got.pop(("patterns", f"L{26 + p}"), None) == ((then, now) if then != now else None)
    assert got.pop(("thresholds", "high volatility")) == pytest.approx((1.2 + held["high"][2], 1.2 + held["high"][11]))
    assert {part for part, _ in got} <= {"thresholds"}
    by_time = said(capsys, "adapt", "diff", learned, "2026-01-12T12:00..")  # the seventh epoch holds from 12 January on
    assert by_time == said(capsys, "adapt", "diff", learned, "7..13") != said(capsys, "adapt", "diff", learned, "6..13")
    assert "Nothing differs." in said(capsys, "adapt", "diff", learned, "4..4")
    other = run(market, tmp_path / "other", "meta.source_share=0.1", "meta.adapt_thresholds=1")
    apart = json.loads(said(capsys, "adapt", "diff", learned, other, "--json"))
    assert apart["settings"] == [{"key": "meta.source_share", "before": 0.0025, "after": 0.1}]
    assert {d["part"] for d in apart["differs"]} == {"sources"}
    assert "meta.source_share: 0.0025 before, 0.1 after" in said(capsys, "adapt", "diff", learned, other)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (("show", "nowhere"), "nowhere is not a folder"),
        (("diff", "RUN", "3..99"), "no epoch 99; it has epochs 1"),
        (("diff", "RUN", "3..soon"), "'soon' is no epoch"),
        (("freeze", "RUN", "--only", "pattern"), "did you mean patterns?"),
    ],
)
def test_a_mistake_is_answered_with_a_sentence(
    learned: Path, capsys: pytest.CaptureFixture[str], line: tuple[str, ...], words: str
) -> None:
    assert words in refused(capsys, "adapt", *(str(learned) if word == "RUN" else word for word in line))


def test_a_run_without_l6_says_so(learned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    for path in learned.glob("*.*"):
        (bare / path.name).symlink_to(path)
    assert "bare has no record of what it learned" in refused(capsys, "adapt", "show", bare)
