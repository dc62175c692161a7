"""Compiling by many: every layer once, whoever does it; helpers that die, stop or cannot write cost time and nothing else."""

from __future__ import annotations

import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.progress import Progress

from dataflows.runtime.claims import claim
from drivers.engine.loop.generate import STEP_LOOP
from drivers.health import Context
from drivers.run import compile_bar, precompile
from drivers.run.compile_bar import CompileBar
from drivers.run.compile_cost import GUARDS, Costs, kernels_of
from drivers.run.precompile import compile_all, marker
from tests.drivers.engine.conftest import toy_engine, toy_plan


class Watching:
    def __init__(self) -> None:
        self.told: dict[str, list[str]] = {"compiling": [], "kernel": [], "layer": [], "loading": []}

    def __getattr__(self, what: str) -> Any:
        return self.told[what].append


def listed(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A cache of the test's own, and no helpers."""
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path))
    monkeypatch.setattr(precompile, "cores", lambda: 1)


@pytest.mark.usefixtures("alone")
def test_every_layer_the_loop_and_the_guards_are_compiled_once_and_then_only_loaded() -> None:
    plan, watching = toy_plan(), Watching()
    compile_all(toy_engine(plan), None, watching)
    assert sorted(watching.told["layer"]) == sorted([*plan.nodes, STEP_LOOP, GUARDS])
    assert marker(plan).is_file()
    again = Watching()
    compile_all(toy_engine(plan), None, again)
    assert not again.told["layer"] and not again.told["kernel"]
    assert {*plan.nodes} <= {*again.told["loading"]}


@pytest.mark.usefixtures("alone")
def test_what_another_process_has_claimed_is_left_to_it(tmp_path: Path) -> None:
    plan, watching = toy_plan(), Watching()
    taken = claim(f"{marker(plan).name} l5_orders")
    assert taken is not None
    compile_all(toy_engine(plan), None, watching)
    taken.let_go()
    assert "l5_orders" not in watching.told["layer"]  # and yet the engine has it: it was warmed up
    assert "l5_orders" in watching.told["loading"]


def test_where_nothing_can_be_kept_nobody_helps(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder can be below a file, whoever asks")
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path / "file" / "cache"))
    monkeypatch.setattr(precompile, "cores", lambda: 2)
    monkeypatch.setattr(subprocess, "Popen", lambda *words, **more: pytest.fail("starts a helper"))
    watching = Watching()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # each kernel says that it is not kept
        compile_all(toy_engine(toy_plan()), None, watching)
    assert STEP_LOOP in watching.told["layer"]


def test_a_helper_ends_where_its_machine_code_cannot_be_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path / "file" / "cache"))
    done = subprocess.run(precompile.command(None, ["l12_regression_slope_short"]), capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "machine code is not kept" in done.stderr


def test_a_helper_says_what_it_has_compiled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("STRATOQUANT_CACHE", str(tmp_path))
    watching = Watching()
    with precompile._helpers(precompile.command(None, ["l12_regression_slope_short"]), watching, 1):
        until = time.monotonic() + 60.0
        while GUARDS not in watching.told["layer"] and time.monotonic() < until:
            time.sleep(0.02)
    assert watching.told["layer"] == ["l12_regression_slope_short", GUARDS]
    assert {*watching.told["kernel"]} >= {*kernels_of(Context().plan.nodes["l12_regression_slope_short"])}


@pytest.mark.parametrize(
    "code", ["import os; print('layer a', flush=True); os.kill(os.getpid(), 9)", "import nothing_of_the_kind"]
)
def test_a_helper_that_dies_is_no_error(code: str) -> None:
    watching = Watching()
    with precompile._helpers(listed(code), watching, 2):
        time.sleep(0.1)
    assert {*watching.told["layer"]} <= {"a"}


def test_helpers_end_with_the_work_and_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    real = subprocess.Popen

    def popen(*words: Any, **more: Any) -> Any:
        started.append(real(*words, **more))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", popen)
    sleeping = listed("import time; time.sleep(600)")
    with precompile._helpers(sleeping, Watching(), 1):
        pass
    with pytest.raises(KeyboardInterrupt), precompile._helpers(sleeping, Watching(), 2):
        raise KeyboardInterrupt
    assert len(started) == 3 and all(process.returncode is not None for process in started)


def test_costs_know_every_kernel_and_the_account_side_comes_first() -> None:
    plan = Context().plan
    costs = Costs(plan.nodes, plan.stacked)
    order = costs.costliest_first()
    assert sorted(order) == sorted([*plan.nodes, STEP_LOOP, GUARDS])
    steps = {node.name for node in plan.stage["step"]}
    assert {*order[: len(steps)]} == steps
    assert order.index(STEP_LOOP) == len(steps) + 2
    market = [name for name in order if name in plan.nodes and name not in steps]
    assert market.index("l66_signal_matrix") < market.index(
        "l12_regression_slope_short"
    )  # L67 waits for the width of its stacks
    assert "dataflows.kernels.ols.rolling_ols" in costs.layers["l12_regression_slope_short"]
    assert (
        costs.kernels["dataflows.fusion.edge_regression.learn_edges"] > costs.kernels["dataflows.kernels.smooth.halflife_alpha"]
    )


def bar(monkeypatch: pytest.MonkeyPatch) -> tuple[CompileBar, Progress, list[float]]:
    clock = [0.0]
    monkeypatch.setattr(compile_bar.time, "monotonic", lambda: clock[0])
    progress = Progress(console=Console(quiet=True), disable=True)
    return CompileBar(Context().plan, progress), progress, clock


def test_the_bar_is_weighted_by_cost_and_never_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    made, progress, clock = bar(monkeypatch)
    costs = Costs(Context().plan.nodes, Context().plan.stacked)
    seen = []
    for name in costs.costliest_first():
        clock[0] += 1.0
        made.compiling(name)
        for kernel in costs.layers[name]:
            made.kernel(kernel)
        made.kernel("a kernel that nobody has counted")
        made.layer(name)
        seen.append(progress.tasks[0].completed)
    assert seen == sorted(seen) and 0.9 < seen[-1] < 1.0
    assert seen[0] > 1.5 / len(seen)  # the costliest layer stands for more than one of a hundred
    for name in Context().plan.nodes:
        made.loading(name)
    assert seen[-1] < progress.tasks[0].completed < 1.0


def test_the_bar_moves_while_one_kernel_is_compiled_and_not_beyond_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made, progress, clock = bar(monkeypatch)
    costs = Costs(Context().plan.nodes, Context().plan.stacked)
    clock[0] = 10.0
    made.layer(costs.costliest_first()[0])
    at = [progress.tasks[0].completed]
    for second in (1.0, 2.0, 3.0):
        clock[0] = 10.0 + second
        made.tick()
        at.append(progress.tasks[0].completed)
    assert at[0] < at[1] < at[2] < at[3]
    clock[0] = 1e6
    made.tick()
    assert progress.tasks[0].completed - at[0] <= max(costs.kernels.values()) / sum(costs.kernels.values())


@pytest.mark.usefixtures("alone")
def test_the_form_of_single_bars_is_shared_too_and_then_only_loaded() -> None:
    plan, watching = toy_plan(), Watching()
    engine = toy_engine(plan)
    compile_all(engine, None, watching)
    whole = [node.name for stage in ("columnar", "post") for node in plan.stage[stage]]
    assert whole
    taken = claim(f"{marker(plan).name} {precompile.SINGLE_BARS} {whole[0]}")
    assert taken is not None
    single = Watching()
    precompile.compile_single_bars(engine, None, single)
    taken.let_go()
    assert single.told["layer"] == whole[1:]  # the other process has claimed one
    assert single.told["loading"] == whole
    assert engine.one_bar is not None
    again = Watching()
    precompile.compile_single_bars(toy_engine(toy_plan()), None, again)
    assert not again.told["layer"]
    assert again.told["loading"] == whole
