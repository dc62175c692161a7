"""Whatever goes wrong between us and an exchange: no order is lost, doubled or forgotten, and what is held has its stop there.

A trader by seed enters, exits, cancels and moves stops at the practice exchange, in virtual time, through the real ccxt. Then
`whole` compares the exchange, the gateway, the reports and the journal.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.exchanges.practice.order_faults import KINDS, OrderFaults
from tests.drivers.exchanges.scenario import play, whole

BOUNDARIES = (
    "before journal",
    "after journal",
    "after send",  # the request is still on its way, and arrives when nobody waits for it
    "after acknowledgement",
    "before acting",
    "before checkpoint",
    "in the checkpoint",
    "after checkpoint",
)
FEW, MANY = range(1, 11), range(1, 201)


def faulty(folder: Path, kind: str, seed: int, seconds: int) -> int:
    """How much went wrong."""
    desk, watcher = play(folder, seed, OrderFaults((kind,), 0.25, seed), seconds)
    whole(desk, watcher)
    assert desk.account.trades
    return len(desk.api.faults.happened)


def killed(folder: Path, boundary: str, seed: int, seconds: int) -> int:
    """How often the process ended."""
    most = 2 if "checkpoint" in boundary else 8
    desk, watcher = play(folder, seed, OrderFaults(), seconds, kill=(boundary, 1 + seed % most))
    whole(desk, watcher)
    return desk.restarts


@pytest.mark.parametrize("kind", KINDS)
def test_faults_of_the_exchange(kind: str, tmp_path: Path) -> None:
    assert sum(faulty(tmp_path / str(seed), kind, seed, 30) for seed in FEW) > 0 or kind in ("part", "skew")


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_process_that_is_killed(boundary: str, tmp_path: Path) -> None:
    assert sum(killed(tmp_path / str(seed), boundary, seed, 30) for seed in FEW) >= 8


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_faults_of_the_exchange_by_many_seeds(kind: str, tmp_path: Path) -> None:
    for seed in MANY:
        faulty(tmp_path / str(seed), kind, seed, 60)


@pytest.mark.long
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_process_that_is_killed_by_many_seeds(boundary: str, tmp_path: Path) -> None:
    for seed in MANY:
        killed(tmp_path / str(seed), boundary, seed, 60)


@pytest.mark.parametrize(
    "options", [{"can_pair": False}, {"streams": False}, {"fee_asset": "BNB", "balances": {"USDT": "100000", "BNB": "0.02"}}]
)
def test_without_order_lists_without_a_stream_and_with_fees_in_another_coin(options: dict[str, object], tmp_path: Path) -> None:
    for seed in FEW:
        desk, watcher = play(tmp_path / str(seed), seed, OrderFaults(("hung_after", "lost"), 0.2, seed), 30, **options)
        whole(desk, watcher)
