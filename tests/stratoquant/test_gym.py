"""The policy's environment: against the runs of the whole graph, by the checkers of those who made the interfaces, and hostile."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import stratoquant as sq
from drivers.episodes.market import EpisodeError
from drivers.feeds.simulate import simulate

gymnasium = pytest.importorskip("gymnasium", reason="the extra `rl` is not installed")

from gymnasium.utils.env_checker import check_env  # noqa: E402

from stratoquant.gym import NAME, TradingEnvironment  # noqa: E402

SETTINGS = {"fusion.prior_slope_bps": 800, "fusion.prior_strength": 400}  # an edge that is believed in: it trades
DAYS = 6
DAY = pd.Timedelta(days=1)


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gym") / "market"
    simulate(folder, seed=5, symbols=("SIMA", "SIMB"), days=DAYS, clock_seconds=900, edge=3.0, book=False, trades=False)
    return folder


@pytest.fixture(scope="module")
def ledger(market: Path, tmp_path_factory: pytest.TempPathFactory) -> pd.Series[float]:
    """Equity of a run of the whole graph at every close."""
    out = tmp_path_factory.mktemp("run") / "run"
    return sq.run(market, set=SETTINGS, out=out, report=False, trial=False).equity


def environment(market: Path, **more: Any) -> TradingEnvironment:
    return TradingEnvironment(market, set=SETTINGS, **more)


def played(env: TradingEnvironment, actions: list[float], **reset: Any) -> list[tuple[Any, float, bool, bool, dict[str, Any]]]:
    env.reset(**reset)
    return [env.step(np.array([a], np.float32)) for a in actions]


def test_with_the_whole_size_it_is_the_run_of_the_whole_graph_to_the_bit(market: Path, ledger: pd.Series[float]) -> None:
    steps = played(environment(market), [1.0] * DAYS)
    ends = [pd.Timestamp(info["time"]) for *_, info in steps]
    assert ends == [ledger.index[0].normalize() + DAY * (e + 1) for e in range(DAYS)]
    assert [info["equity"] for *_, info in steps] == ledger.loc[ends].tolist()
    assert ledger.iloc[-1] != ledger.iloc[0], "the account traded"
    start = ledger.iloc[0]
    for e, (_, reward, terminated, truncated, info) in enumerate(steps):
        own = ledger[(ledger.index > ends[e] - DAY) & (ledger.index <= ends[e])]
        variance = (np.log(own).diff().dropna() ** 2).sum()
        growth = math.log(own.iloc[-1] / start)
        assert reward == pytest.approx(growth - 0.5 * variance, rel=1e-9, abs=1e-15)
        assert info["growth"] == info["shadow_growth"]
        assert (terminated, truncated) == (False, e == DAYS - 1)
        start = own.iloc[-1]


def test_it_passes_gymnasiums_checker(market: Path) -> None:
    env = gymnasium.make(f"stratoquant.gym:{NAME}", data=market, set=SETTINGS)
    check_env(env.unwrapped)
    assert isinstance(env.unwrapped, TradingEnvironment)


@pytest.mark.filterwarnings("ignore:We recommend you to use a symmetric")  # the action is the multiplier itself
def test_it_passes_stable_baselines_checker(market: Path) -> None:
    checker = pytest.importorskip(
        "stable_baselines3.common.env_checker", reason="stable-baselines3 is not installed: it wants torch, see the extra `rl`"
    )
    checker.check_env(environment(market))


def test_an_episode_from_the_middle_goes_on_as_the_untouched_account_did(market: Path) -> None:
    whole = played(environment(market), [1.0] * DAYS)
    middle = played(environment(market), [1.0] * 3, options={"first": 2})
    for (a, r, *_, i), (b, s, *_, j) in zip(whole[2:], middle, strict=False):
        assert (a == b).all() and r == s and i == j
    parted = played(environment(market), [0.25, 1.0], options={"first": 2})
    assert parted[0][4]["shadow_growth"] == whole[2][4]["growth"] != parted[0][4]["growth"]


def test_episodes_are_seeded_and_lie_within_their_times(market: Path) -> None:
    first = ledger_day(market)
    env = environment(market, length=2, within=(first + DAY, first + 5 * DAY))
    began = [env.reset(seed=seed)[1]["epoch"] for seed in range(30)]
    assert set(began) == {1, 2, 3}
    assert began == [env.reset(seed=seed)[1]["epoch"] for seed in range(30)]
    env.reset(seed=3)
    assert [env.step(np.ones(1, np.float32))[3] for _ in range(2)] == [False, True]
    with pytest.raises(RuntimeError, match="call reset first"):
        env.step(np.ones(1, np.float32))
    with pytest.raises(ValueError, match="first is 5; episodes lie within the epochs 1 to 4"):
        env.reset(options={"first": 5})
    with pytest.raises(ValueError, match="within holds no whole epoch"):
        environment(market, within=("2030-01-01", None))


def ledger_day(market: Path) -> pd.Timestamp:
    return pd.read_parquet(market / "bars.parquet", columns=["timestamp"])["timestamp"].min().normalize()


def test_vectorised_it_gives_what_each_gives_alone(market: Path) -> None:
    def make() -> Any:
        return environment(market, length=3)

    many = gymnasium.vector.SyncVectorEnv([make] * 3)
    seen, _ = many.reset(seed=[4, 5, 6])
    alone = [make() for _ in range(3)]
    for env, row, seed in zip(alone, seen, (4, 5, 6), strict=True):
        assert (env.reset(seed=seed)[0] == row).all()
    rng = np.random.default_rng(1)
    for _ in range(3):
        actions = rng.random((3, 1)).astype(np.float32)
        seen, rewards, terminated, truncated, _ = many.step(actions)
        for i, env in enumerate(alone):
            row, reward, ended, cut, _ = env.step(actions[i])
            assert (row == seen[i]).all() and (reward, ended, cut) == (rewards[i], terminated[i], truncated[i])
    assert truncated.all()
    many.close()


@pytest.mark.parametrize(("said", "held"), [(math.nan, 0.0), (-5.0, 0.0), (7.0, 1.0), (math.inf, 1.0), (-math.inf, 0.0)])
def test_whatever_is_said_the_multiplier_stays_within_0_and_1(market: Path, said: float, held: float) -> None:
    env = environment(market)
    steps = played(env, [said] * DAYS)
    assert {info["multiplier"] for *_, info in steps} == {held}
    assert all(env.observation_space.contains(row) and np.isfinite(reward) for row, reward, *_ in steps)
    if held == 0.0:
        assert {info["equity"] for *_, info in steps} == {100_000.0}, "nothing was ever entered"


def test_a_latched_flatten_ends_the_episode(market: Path) -> None:
    small = {"risk.drawdown_start": 0.0002, "risk.drawdown_stop": 0.0005, "risk.hard_drawdown": 0.0006}
    env = TradingEnvironment(market, set=SETTINGS | small)
    env.reset(seed=1)
    for _ in range(DAYS):
        _, reward, terminated, truncated, _ = env.step(np.ones(1, np.float32))
        if terminated:
            break
    assert terminated and not truncated and np.isfinite(reward)
    with pytest.raises(RuntimeError, match="call reset first"):
        env.step(np.ones(1, np.float32))


def test_a_market_that_cannot_be_played_says_why(market: Path) -> None:
    with pytest.raises(EpisodeError, match=r"rl\.policy is on"):
        TradingEnvironment(market, set={"rl.policy": 1})
    with pytest.raises(EpisodeError, match="hold 1 whole epochs of 1 days; an episode needs two"):
        TradingEnvironment(market, end=ledger_day(market) + 1.5 * DAY)
    with pytest.raises(ValueError, match="length is 0"):
        environment(market, length=0)
