"""L50: its updates are river's, its labels a plain walk's; it finds a planted edge, none where none is, and is calibrated."""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from river.optim import FTRLProximal

from dataflows.data.config import DataConfig
from dataflows.data.types import Bars, Market, Quality
from dataflows.kernels import arith, ftrl, labels
from dataflows.kinematics.types import Returns
from dataflows.panel import Floats, Ints
from dataflows.pattern import consensus
from dataflows.pattern.config import PatternConfig
from dataflows.pattern.l50_pattern_consensus import l50_pattern_consensus
from dataflows.pattern.types import FIRST_PATTERN, PATTERNS, PatternConsensus, PatternSignal, PatternWeights
from dataflows.runtime.compile import python_of
from tests.dataflows.kernels.barriers import walked
from tests.dataflows.kinematics.chain import same
from tests.support import filled, run_columnar

SIGMA = 1e-3
H = 7
MAX_GAP = 2
CONFIG = PatternConfig(consensus_horizon_bars=H)
NAMES = [
    p
    for p in inspect.signature(l50_pattern_consensus).parameters
    if inspect.signature(l50_pattern_consensus).parameters[p].annotation == "PatternSignal"
]
EDGE, NOISE = 5, 11
"""Positions of the pattern that knows something and of one that does not."""


class World:
    """Prices that drift with the vote of pattern EDGE, in `edge` sigma a bar, and patterns that come and go."""

    def __init__(self, edge: float, *, bars: int = 3000, symbols: int = 4, seed: int = 1, gaps: float = 0.0) -> None:
        rng = np.random.default_rng(seed)
        shape = (bars, symbols)
        self.side: dict[int, Ints] = {}
        self.confidence: dict[int, Floats] = {}
        for k in (EDGE, NOISE, 17):
            blocks = (bars // H + 1, symbols)
            side = np.repeat(rng.integers(-1, 2, blocks), H, axis=0)[:bars]
            sure = np.repeat(rng.uniform(0.1, 1.0, blocks), H, axis=0)[:bars]
            self.side[k], self.confidence[k] = side.astype(np.int64), np.where(side != 0, sure, 0.0)
        drift = np.vstack([np.zeros((1, symbols)), (self.side[EDGE] * self.confidence[EDGE])[:-1]])
        parts = 8
        moves = rng.normal(0.0, SIGMA / math.sqrt(parts), (bars, parts, symbols)) + (edge * SIGMA / parts * drift)[:, None, :]
        path = np.exp(np.cumsum(moves.reshape(-1, symbols), axis=0)).reshape(bars, parts, symbols) * 100.0
        self.close = np.ascontiguousarray(path[:, -1])
        self.open = np.vstack([np.full((1, symbols), 100.0), self.close[:-1]])
        self.high = np.maximum(self.open, path.max(axis=1))
        self.low = np.minimum(self.open, path.min(axis=1))
        self.valid = (rng.random(shape) >= gaps).astype(np.int64)
        self.sigma = SIGMA * rng.uniform(0.6, 1.4, shape) if gaps else np.full(shape, SIGMA)

    def votes(self, weights: Floats | None = None) -> Floats:
        made = np.zeros((*self.close.shape, PATTERNS))
        for k in self.side:
            made[:, :, k] = self.side[k] * self.confidence[k] * (1.0 if weights is None else weights[k])
        return made

    def outcomes(self, config: PatternConfig, n: int, told: Any) -> Floats:
        """Of each bar of symbol n: bar of its label, how, gain, uniqueness."""
        apart = config.consensus_barrier_sigma * math.sqrt(H) * self.sigma[:, n]
        return walked(
            self.open[:, n],
            self.high[:, n],
            self.low[:, n],
            self.close[:, n],
            self.valid[:, n],
            told.astype(np.int64),
            apart,
            apart,
            H,
            MAX_GAP,
        )


def agreed(
    world: World,
    config: PatternConfig = CONFIG,
    *,
    weights: Floats | None = None,
    side: Mapping[int, Ints] | None = None,
    **more: Any,
) -> PatternConsensus:
    shape = world.close.shape
    values: dict[str, Any] = {}
    for k, name in enumerate(NAMES):
        s = (side or {}).get(k, world.side.get(k, np.zeros(shape, np.int64)))
        c = world.confidence.get(k, np.where(s != 0, 0.5, 0.0))
        values[name] = PatternSignal((s != 0).astype(np.int64), s, c, np.where(s != 0, 0.0, np.nan))
    bars = filled(Bars, shape, 1.0, open=world.open, high=world.high, low=world.low, close=world.close)
    values["l0_market_feed"] = filled(Market, shape, 0.0, bars=bars, quality=filled(Quality, shape, 0.0, valid=world.valid))
    values["l2_returns_volatility"] = filled(Returns, shape, 0.0, sigma=world.sigma)
    values["pattern_weights"] = PatternWeights(np.ones(PATTERNS) if weights is None else weights)
    configs = {"pattern": config, "data": DataConfig(max_gap=MAX_GAP)}
    made: PatternConsensus = run_columnar(l50_pattern_consensus, values, configs, **more)
    return made


def up_and_weight(how: float, gain: float) -> tuple[float, float]:
    """The two-sided label of the design, in its own words: a barrier; both: nothing; a time-out: the sign at half weight."""
    if how in (1.0, -1.0):
        return (how + 1.0) / 2.0, 1.0
    return float(gain > 0.0), 0.0 if how == 2.0 or gain == 0.0 else 0.5


def test_the_patterns_are_those_from_l26_to_l49_in_order() -> None:
    assert [int(name[1:3]) for name in NAMES] == list(range(FIRST_PATTERN, FIRST_PATTERN + PATTERNS))


@pytest.mark.parametrize("n", [0, 1])
def test_updates_equal_rivers_on_the_same_delayed_stream(n: int) -> None:
    world = World(0.3, bars=900, symbols=2, gaps=0.08)
    world.close[400:404, 0] = np.nan
    config = CONFIG._replace(consensus_alpha=0.5, consensus_l1=0.0)  # river keeps a weight where l1 would put it back to 0
    weights = np.linspace(0.2, 1.0, PATTERNS)
    got = agreed(world, config, weights=weights)
    votes = world.votes(weights)[:, n]
    world.valid[~np.isfinite(world.close)] = 0
    told = (votes != 0.0).any(axis=1) & (world.valid[:, n] == 1)
    found = world.outcomes(config, n, told)
    assert {0.0, 1.0, -1.0} <= set(found[np.isfinite(found[:, 1]), 1])
    rule = FTRLProximal(alpha=0.5, beta=config.consensus_beta, l1=0.0, l2=config.consensus_l2)
    w: dict[int, float] = {}

    def chance(x: Floats) -> float:
        used = {int(k): 0.0 for k in np.flatnonzero(x)}
        rule.step(w, used)  # river's weights are one step behind: a step of no gradient brings them up
        return 1.0 / (1.0 + math.exp(-sum(w.get(k, 0.0) * x[k] for k in used)))

    wanted = np.empty(len(votes))
    for t in range(len(votes)):
        for s in np.flatnonzero(found[:, 0] == t):
            up, weight = up_and_weight(found[s, 1], found[s, 2])
            error = (chance(votes[s]) - up) * weight * found[s, 3]
            rule.step(w, {int(k): error * votes[s, k] for k in np.flatnonzero(votes[s])})
        wanted[t] = chance(votes[t])
    np.testing.assert_allclose(got.p_up[:, n], wanted, rtol=1e-9)
    assert np.ptp(wanted) > 0.05


def test_no_label_is_used_before_its_barrier() -> None:
    world = World(0.5, bars=300, symbols=2)
    got = agreed(world, CONFIG._replace(consensus_l1=0.0))
    votes = world.votes()
    for n in range(2):
        any_vote = (votes[:, n] != 0.0).any(axis=1)
        found = world.outcomes(CONFIG, n, any_vote)
        learned = [found[s, 0] for s in range(300) if np.isfinite(found[s, 0]) and up_and_weight(*found[s, 1:3])[1] > 0.0]
        first = int(min(learned))
        assert first >= 1
        assert (got.p_up[:first, n] == 0.5).all()
        later = slice(first, first + 40)
        assert (got.p_up[later, n][any_vote[later]] != 0.5).any()
    assert (got.p_up[(votes == 0.0).all(axis=2)] == 0.5).all()
    for cut in (100, 101, 107, 200):  # another future changes nothing that was said before it
        other = World(0.5, bars=300, symbols=2)
        for name in ("open", "high", "low", "close"):
            getattr(other, name)[cut:] *= 0.9
        np.testing.assert_array_equal(agreed(other, CONFIG._replace(consensus_l1=0.0)).p_up[:cut], got.p_up[:cut])


def skill(world: World, got: PatternConsensus) -> tuple[float, Floats, Floats]:
    """1 - Brier score over that of 0.5, of the second half's votes that a barrier decided; with chances and outcomes."""
    chances, came = [], []
    votes = world.votes()
    half = len(votes) // 2
    for n in range(votes.shape[1]):
        found = world.outcomes(CONFIG, n, (votes[:, n] != 0.0).any(axis=1))
        decided = np.isin(found[:, 1], (1.0, -1.0)) & (np.arange(len(votes)) >= half)
        chances.append(got.p_up[decided, n])
        came.append(found[decided, 1] > 0.0)
    p, y = np.concatenate(chances), np.concatenate(came).astype(float)
    return float(1.0 - np.mean((p - y) ** 2) / 0.25), p, y


def test_nothing_is_found_where_votes_know_nothing() -> None:
    """Shuffled returns: within two standard errors of chance, or worse."""
    skills = [skill(w, agreed(w))[0] for w in (World(0.0, symbols=2, seed=s) for s in range(8))]
    assert np.mean(skills) < 2.0 * np.std(skills, ddof=1) / math.sqrt(len(skills))
    assert max(abs(x) for x in skills) < 0.03


def test_a_planted_edge_is_found_and_what_knows_nothing_is_not() -> None:
    world = World(0.4)
    got = agreed(world)
    found, p, y = skill(world, got)
    assert found > 0.03
    assert y[p > 0.6].mean() > 0.6 and y[p < 0.4].mean() < 0.4
    for side in (1, -1):
        mirrored = World(0.4)
        mirrored.side[EDGE] = side * mirrored.side[EDGE]
        learned = agreed(mirrored)
        only = (mirrored.side[EDGE] == 1) & (mirrored.side[NOISE] == 0) & (mirrored.side[17] == 0)
        assert np.sign(learned.score[1500:][only[1500:]].mean()) == side  # an edge against its side is an edge too
    useless = (world.side[EDGE] == 0) & (world.side[NOISE] != 0) & (world.side[17] == 0)
    useful = (world.side[EDGE] != 0) & (world.side[NOISE] == 0) & (world.side[17] == 0)
    assert np.abs(got.score[1500:][useless[1500:]]).mean() < 0.3 * np.abs(got.score[1500:][useful[1500:]]).mean()


def reliability(edge: float, config: PatternConfig = CONFIG) -> list[tuple[int, float, float]]:
    """Of each twentieth of the chances that has 1000 or more: how many, the mean chance, and how often the upper barrier came."""
    parts = [skill(w, agreed(w, config)) for w in (World(edge, bars=6000, seed=s) for s in (3, 4, 5, 6))]
    p, y = (np.concatenate([part[i] for part in parts]) for i in (1, 2))
    part = np.floor(20.0 * p)
    found = [(int((part == b).sum()), float(p[part == b].mean()), float(y[part == b].mean())) for b in np.unique(part)]
    return [row for row in found if row[0] >= 1000]


def test_chances_are_calibrated_on_planted_data() -> None:
    rows = reliability(0.3, CONFIG._replace(consensus_alpha=0.3))  # a rate at which these few labels outweigh the prior
    assert len(rows) >= 4
    for _, told, came in rows:
        assert told == pytest.approx(came, abs=0.05)


def test_of_a_strong_edge_less_is_claimed_than_came() -> None:
    """The prior and the penalties pull to 0.5 until the data outweigh them."""
    rows = reliability(0.5)
    assert max(abs(told - 0.5) for _, told, _ in rows) > 0.2
    for _, told, came in rows:
        if abs(told - 0.5) > 0.1:
            assert 0.0 < (came - 0.5) / (told - 0.5) and abs(told - 0.5) < abs(came - 0.5) + 0.02


def test_chances_do_not_depend_on_the_vote_of_a_deactivated_pattern() -> None:
    world = World(0.4, bars=800)
    weights = np.ones(PATTERNS)
    weights[EDGE] = 0.0
    shape = world.close.shape
    one = agreed(world, weights=weights)
    other = agreed(world, weights=weights, side={EDGE: np.random.default_rng(1).integers(-1, 2, shape)})
    np.testing.assert_array_equal(one.p_up, other.p_up)
    assert one.votes[:, :, EDGE].any(), "what it says is recorded all the same: its record goes on"
    assert not (one.dominant == FIRST_PATTERN + EDGE).any()
    assert (agreed(world).p_up != one.p_up).any()


def test_weights_multiply_what_is_predicted_from_and_what_is_stored() -> None:
    """Half the weight is half the confidence, all through."""
    world = World(0.4, bars=800)
    halved = World(0.4, bars=800)
    halved.confidence = {k: 0.5 * c for k, c in halved.confidence.items()}
    half = agreed(world, weights=np.full(PATTERNS, 0.5))
    np.testing.assert_array_equal(half.p_up, agreed(halved).p_up)
    np.testing.assert_array_equal(half.votes, agreed(world).votes)


def test_the_heaviest_vote_is_dominant_and_the_first_of_equals() -> None:
    world = World(0.0, bars=300)
    got = agreed(world)
    votes = world.votes()
    np.testing.assert_array_equal(got.votes, votes)
    none = (votes == 0.0).all(axis=2)
    np.testing.assert_array_equal(got.dominant, np.where(none, 0, FIRST_PATTERN + np.abs(votes).argmax(axis=2)))
    np.testing.assert_array_equal(got.active_count, (votes != 0.0).sum(axis=2))
    np.testing.assert_allclose(got.score, 2.0 * got.p_up - 1.0)


def test_an_unknown_vote_is_none() -> None:
    world = World(0.4, bars=300)
    world.confidence[NOISE][50:60] = np.nan
    got = agreed(world)
    assert np.isfinite(got.p_up).all() and not got.votes[50:60, :, NOISE].any()


@pytest.mark.parametrize(
    "key", ["consensus_alpha", "consensus_barrier_sigma", "consensus_l1", "consensus_l2", "consensus_beta"]
)
def test_a_small_change_of_a_parameter_changes_no_chance_by_much(key: str) -> None:
    world = World(0.4, bars=1500)
    base = agreed(world).p_up
    for factor in (0.9, 1.1):
        other = agreed(world, CONFIG._replace(**{key: getattr(CONFIG, key) * factor})).p_up
        assert np.abs(other - base).max() < 0.06


def test_cuts_and_the_compiler_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(0.4, bars=400, symbols=2, gaps=0.05)
    whole = agreed(world)
    same(whole, agreed(world, cuts=(1, 2, 3, 77, 211)))
    for module in (arith, ftrl, labels, consensus, sys.modules[l50_pattern_consensus.__module__]):
        for name, value in list(vars(module).items()):
            if hasattr(value, "py_func"):
                monkeypatch.setattr(module, name, python_of(value))
    same(whole, agreed(world))
