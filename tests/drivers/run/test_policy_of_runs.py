"""A run with a policy, from end to end: batch, stream, a killed stream that is resumed, and the replay of its journal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from drivers.engine.chunk import Outputs
from drivers.run.batch import run_batch
from drivers.run.replay import replay
from drivers.run.request import RunRequest
from drivers.run.stream import run_stream
from tests.drivers.run.test_resume import killed_at_byte, quiet
from tests.drivers.run.test_resume import project as project
from tests.drivers.run.test_stream import data as data
from tests.drivers.run.test_stream import same, tables
from tests.drivers.small_market import EARLY

pytestmark = pytest.mark.usefixtures("no_disk")
POLICY = (*EARLY, "rl.policy=2", "rl.exploration=2")
EPOCHS = "epochs/rl.parquet"


def request(data: Path, project: Path, out: Path) -> RunRequest:
    return RunRequest(data=data, out=out, project=project, spec="prior_belief", overrides=POLICY, report=False)


@pytest.fixture(scope="module")
def batch(data: Path, project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("batch") / "out"
    run_batch(request(data, project, out), quiet())
    return out


def test_the_policy_acts_and_the_table_of_epochs_says_what_it_did(batch: Path) -> None:
    found = tables(batch)[EPOCHS].to_pandas()
    assert found["l82_policy.tilt_chosen"].nunique() > 1
    assert found["l82_policy.policy.risk_multiplier"].between(0.9, 0.95).all()
    assert np.ptp(found["l82_policy.wealth"]) > 0.0 and np.ptp(found["l82_policy.shadow_wealth"]) > 0.0
    assert (found["l82_policy.wealth"] != found["l82_policy.shadow_wealth"]).any()


def test_a_stream_that_was_killed_and_its_replay_are_the_batch(data: Path, project: Path, batch: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert killed_at_byte(1_500_000, lambda: run_stream(request(data, project, out), quiet())) == -9
    run_stream(RunRequest(out=out, resume=True), quiet())
    ours, theirs = tables(out), tables(batch)
    assert set(ours) == set(theirs)
    for name in theirs:
        same(ours[name], theirs[name], name)


def test_the_replay_of_its_journal_chooses_the_same(data: Path, project: Path, batch: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_stream(request(data, project, out), quiet())
    seen: list[float] = []

    def take(outputs: Outputs) -> None:
        if outputs.epoch:
            seen.append(float(outputs.epoch["l82_policy"].shadow_wealth[0]))

    replay(out, project, take=take)
    expected = tables(batch)[EPOCHS].to_pandas().groupby("timestamp")["l82_policy.shadow_wealth"].first()
    assert seen == expected.tolist()
