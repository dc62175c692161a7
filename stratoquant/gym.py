"""The policy's choice as a Gymnasium environment: `gymnasium.make("stratoquant.gym:StratoQuant-v0", data="market")`.

Needs the extra `rl` (gymnasium). After `import stratoquant.gym` the name `StratoQuant-v0` alone does, too.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Final

import gymnasium
import numpy as np
from gymnasium.spaces import Box

from drivers.episodes.episode import Episode
from drivers.episodes.market import Market, Observed, record_market
from drivers.run.request import RunRequest
from drivers.text.times import stamp
from stratoquant.arguments import Time, names_of, ns_of, overrides_of, path_of, place_of

NAME: Final = "StratoQuant-v0"
MOST: Final = 10.0
"""Observations lie within [-MOST, MOST]."""

recorded = functools.lru_cache(maxsize=4)(record_market)
"""Markets that environments of this process share: the data are read, and the graph is run, once."""


class TradingEnvironment(gymnasium.Env[Observed, Observed]):
    """One step is one epoch, a day. The action is how much of the size that the risk gate allows is taken, in [0, 1].

    data: the path of a folder of market data; None: the built-in sample market. symbols, start, end, set, spec, project: as in
    `sq.run`. within: two times, or None, between which episodes lie; what comes before is what the system has learned from when
    one begins. length: epochs of an episode, which then begins at a random one; None: all, from the first. risk_aversion:
    gamma of the reward. seed: of the sample market; `reset` takes that of the episodes.

    Observation: (24,) float32, all finite: the 12 numbers that L82 observes (`dataflows.rl.observed.OBSERVED`), 0 where one is
    not known, then 1 where it is known and else 0. It is what L82's network takes. They are of the epoch that has ended, so
    nothing of the epoch in which the action counts is seen.

    Reward: log growth of the account in the epoch, less gamma / 2 times the sum of its squared log returns. A Sharpe ratio
    would not see the multiplier. terminated: the kill switch is latched at FLATTEN. truncated: the market has ended.
    info: `time`, `epoch`, `equity`, `multiplier` as it was in force, `growth`, `variance`, and `shadow_growth`, what the same
    account made with a multiplier of 1 throughout. An episode begins in the state that this account has there.

    Orders are those of a backtest: the next bars fill them, with costs, and every one passes the risk gate.
    Raises EpisodeError, DataError, ConfigError or ProjectError, one sentence each.
    """

    metadata: dict[str, Any] = {"render_modes": []}  # as Gymnasium declares it

    def __init__(
        self,
        data: str | PathLike[str] | None = None,
        *,
        symbols: str | Sequence[str] | None = None,
        start: Time | None = None,
        end: Time | None = None,
        set: Mapping[str, Any] | None = None,
        spec: str | None = None,
        project: str | PathLike[str] | None = None,
        within: tuple[Time | None, Time | None] = (None, None),
        length: int | None = None,
        risk_aversion: float = 1.0,
        seed: int = RunRequest.seed,
        render_mode: None = None,
    ) -> None:
        if length is not None and length < 1:
            raise ValueError(f"length is {length}; an episode has one epoch at least")
        self.render_mode = render_mode
        self.length, self.risk_aversion = length, risk_aversion
        self.market: Market = recorded(
            RunRequest(
                data=None if data is None else place_of(data),
                symbols=names_of("symbols", symbols),
                start=ns_of("start", start),
                end=ns_of("end", end),
                overrides=overrides_of(set),
                spec=spec,
                project=path_of(project),
                seed=seed,
            )
        )
        self.first, self.last = _between(self.market, *(ns_of("within", time) for time in within))
        self.action_space = Box(0.0, 1.0, (1,), np.float32)
        width = len(self.market.epochs[0].start.observed)
        low = np.concatenate([np.full(width // 2, -MOST), np.zeros(width // 2)])
        high = np.concatenate([np.full(width // 2, MOST), np.ones(width // 2)])
        self.observation_space = Box(low.astype(np.float32), high.astype(np.float32), dtype=np.float32)
        self._episode: Episode | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Observed, dict[str, Any]]:
        """Begins an episode. options: {"first": the epoch that it begins with}; without it a random one, or the first where one
        episode takes all."""
        super().reset(seed=seed)
        epochs = self.last - self.first
        length = epochs if self.length is None else min(self.length, epochs)
        chosen = (options or {}).get("first")
        first = int(self.np_random.integers(self.first, self.last - length + 1)) if chosen is None else int(chosen)
        if not self.first <= first < self.last:
            raise ValueError(f"first is {first}; episodes lie within the epochs {self.first} to {self.last - 1}")
        self._episode = Episode(self.market, first, min(first + length, self.last))
        began = self.market.epochs[first].chunks[0].time[0]
        return self._episode.observed.copy(), {"time": stamp(int(began)), "epoch": first}

    def step(self, action: Observed) -> tuple[Observed, float, bool, bool, dict[str, Any]]:
        """One epoch with this multiplier. An action out of range is cut, one that is NaN counts 0."""
        if self._episode is None or self._episode.done:
            raise RuntimeError("no episode is under way; call reset first")
        made = self._episode.step(float(np.asarray(action, np.float64).reshape(-1)[0]))
        reward = made.growth - 0.5 * self.risk_aversion * made.variance
        info = {
            "time": stamp(made.time),
            "epoch": self._episode.epoch - 1,
            "equity": made.equity,
            "multiplier": made.multiplier,
            "growth": made.growth,
            "variance": made.variance,
            "shadow_growth": made.shadow_growth,
        }
        return made.observed.copy(), reward, made.flattened, made.ended and not made.flattened, info


def _between(market: Market, after: int | None, until: int | None) -> tuple[int, int]:
    """The first epoch that begins after a time, and the one behind the last that ends by another."""
    begins = [int(epoch.chunks[0].time[0]) for epoch in market.epochs]
    ends = [int(epoch.chunks[-1].time[-1]) for epoch in market.epochs]
    first = 0 if after is None else int(np.searchsorted(begins, after, side="right"))
    last = len(ends) if until is None else int(np.searchsorted(ends, until, side="right"))
    if first >= last:
        raise ValueError(f"within holds no whole epoch; the market's are from {stamp(begins[0])} to {stamp(ends[-1])}")
    return first, last


if NAME not in gymnasium.registry:
    gymnasium.register(id=NAME, entry_point="stratoquant.gym:TradingEnvironment")
