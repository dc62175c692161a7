"""Whatever goes wrong between us and an exchange: no order is lost, doubled or forgotten, and what is held has its stop there.

A trader by seed enters, exits, cancels and moves stops at the practice exchange, in virtual time, through the real ccxt. Then
`whole` compares the exchange, the gateway, the reports and the journal.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from drivers.exchanges.practice.market import HOUR
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
FEW, FEW_SWAPS, MANY = range(1, 11), range(1, 3), range(1, 201)
MARKETS = pytest.mark.parametrize("swap", [False, True], ids=["spot", "swap"])


def few(swap: bool) -> range:
    """Seeds that every run tries."""
    return FEW_SWAPS if swap else FEW


def faulty(folder: Path, kind: str, seed: int, seconds: int, swap: bool) -> int:
    """How much went wrong."""
    desk, watcher = play(folder, seed, OrderFaults((kind,), 0.25, seed), seconds, swap=swap)
    whole(desk, watcher)
    assert desk.account.trades
    return len(desk.api.faults.happened)


def killed(folder: Path, boundary: str, seed: int, seconds: int, swap: bool) -> int:
    """How often the process ended."""
    most = 2 if "checkpoint" in boundary else 8
    desk, watcher = play(folder, seed, OrderFaults(), seconds, kill=(boundary, 1 + seed % most), swap=swap)
    whole(desk, watcher)
    return desk.restarts


@MARKETS
@pytest.mark.parametrize("kind", KINDS)
def test_faults_of_the_exchange(kind: str, swap: bool, tmp_path: Path) -> None:
    assert sum(faulty(tmp_path / str(seed), kind, seed, 30, swap) for seed in few(swap)) > 0 or kind in ("part", "skew")


@MARKETS
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_process_that_is_killed(boundary: str, swap: bool, tmp_path: Path) -> None:
    seeds = few(swap)
    assert sum(killed(tmp_path / str(seed), boundary, seed, 30, swap) for seed in seeds) >= len(seeds) * 0.8


def mixed(folder: Path, seed: int, swap: bool = False) -> None:
    """Several kinds of fault at once, in a market and with fees by chance, and perhaps a process that is killed."""
    chance = random.Random(seed)
    kinds = tuple(chance.sample(KINDS, chance.randint(1, len(KINDS)))) if chance.random() < 0.8 else ()
    kill = (chance.choice(BOUNDARIES), chance.randint(1, 15)) if chance.random() < 0.6 else None
    options = {
        "swap": swap,
        "fee_asset": chance.choice(["", "BNB"]),
        "balances": {"USDT": "100000", "BNB": chance.choice(["0", "0.02", "5"])},
        "can_pair": chance.random() < 0.8,
        "streams": chance.random() < 0.8,
        "sigma": chance.choice([1e-4, 4e-4, 1.5e-3]),
    }
    if swap:
        options |= {"named": chance.random() < 0.3, "funding_every": chance.choice([7_000, 30_000, 8 * HOUR])}
    faults = OrderFaults(kinds, chance.choice([0.1, 0.3, 0.5]), seed)
    whole(*play(folder, seed, faults, kill=kill, **options))


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 203, 206, 256, 259])  # the last four found something once
def test_many_faults_at_once(seed: int, tmp_path: Path) -> None:
    mixed(tmp_path, seed)


@pytest.mark.parametrize("seed", [1, 285, 378])  # the last two found something once
def test_many_faults_at_once_with_swaps(seed: int, tmp_path: Path) -> None:
    mixed(tmp_path, seed, swap=True)


@pytest.mark.long
@MARKETS
def test_many_faults_at_once_by_many_seeds(swap: bool, tmp_path: Path) -> None:
    for seed in range(1, 1_001):
        mixed(tmp_path / str(seed), seed, swap)


@pytest.mark.long
@MARKETS
@pytest.mark.parametrize("kind", KINDS)
def test_faults_of_the_exchange_by_many_seeds(kind: str, swap: bool, tmp_path: Path) -> None:
    for seed in MANY:
        faulty(tmp_path / str(seed), kind, seed, 60, swap)


@pytest.mark.long
@MARKETS
@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_process_that_is_killed_by_many_seeds(boundary: str, swap: bool, tmp_path: Path) -> None:
    for seed in MANY:
        killed(tmp_path / str(seed), boundary, seed, 60, swap)


@pytest.mark.parametrize(
    "options", [{"can_pair": False}, {"streams": False}, {"fee_asset": "BNB", "balances": {"USDT": "100000", "BNB": "0.02"}}]
)
def test_without_order_lists_without_a_stream_and_with_fees_in_another_coin(options: dict[str, object], tmp_path: Path) -> None:
    for seed in FEW:
        desk, watcher = play(tmp_path / str(seed), seed, OrderFaults(("hung_after", "lost"), 0.2, seed), 30, **options)
        whole(desk, watcher)
