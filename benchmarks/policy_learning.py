"""Does a learned risk multiplier earn anything on data that it has not seen? `python -m benchmarks.policy_learning DATA`.

PPO (Schulman et al. 2017) learns the multiplier on the epochs before the split, in episodes of 60. Everything is then measured
on the epochs after it: PPO by its mean action, fixed multipliers, no policy at all, and the two policies of L82 that learn as
they go (wealth split, LinUCB). All see the same market, and the account of each goes through the same gate and costs. Needs the
extra `rl`. The trained network can be kept as a machine spec (`--export FILE.yaml`), which a run takes: it is measured, too.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import gymnasium
import numpy as np
import yaml

import stratoquant as sq
from dataflows.panel import Floats
from drivers.text.times import parse_utc, stamp
from stratoquant.gym import TradingEnvironment

LENGTH: Final = 60
HIDDEN: Final = (16, 16)
LOGIT: Final = 5.0
"""PPO says the log odds of the multiplier, within this: what L82's network says."""
FIXED: Final = (0.0, 0.25, 0.5, 0.75, 1.0)


class Played(NamedTuple):
    """What one policy made of the epochs after the split: log growth and variance of each, and the multipliers."""

    growth: Floats
    variance: Floats
    multiplier: Floats


class Odds(gymnasium.ActionWrapper[Any, Any, Any]):
    """The action as the log odds of the multiplier, (1,) in [-LOGIT, LOGIT]."""

    def __init__(self, env: TradingEnvironment) -> None:
        super().__init__(env)
        self.action_space = gymnasium.spaces.Box(-LOGIT, LOGIT, (1,), np.float32)

    def action(self, action: Any) -> Any:
        """The multiplier."""
        return (1.0 / (1.0 + np.exp(-np.clip(action, -LOGIT, LOGIT)))).astype(np.float32)


def play(env: TradingEnvironment, policy: Callable[[Any], float]) -> Played:
    """One episode. policy: the multiplier for an observation."""
    observed, _ = env.reset(seed=0)
    rows = []
    while True:
        observed, _, terminated, truncated, info = env.step(np.array([policy(observed)], np.float32))
        rows.append((info["growth"], info["variance"], info["multiplier"]))
        if terminated or truncated:
            return Played(*np.array(rows).T)


def trained(make: Callable[[], TradingEnvironment], steps: int, seed: int) -> Any:
    """PPO after so many epochs of experience, with the settings of Stable-Baselines3 but for what is named here."""
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import DummyVecEnv

    many = DummyVecEnv([lambda: Odds(make()) for _ in range(4)])
    model = PPO(
        "MlpPolicy", many, n_steps=256, batch_size=128, policy_kwargs={"net_arch": list(HIDDEN)}, seed=seed, device="cpu"
    )
    return model.learn(steps)


def weights_of(model: Any) -> list[float]:
    """PPO's actor as L82's network has it: layer by layer the matrix, then the offsets."""
    layers = [layer for layer in model.policy.mlp_extractor.policy_net if hasattr(layer, "weight")]
    parts = [p for layer in (*layers, model.policy.action_net) for p in (layer.weight, layer.bias)]
    return [float(x) for part in parts for x in part.detach().numpy().reshape(-1)]


def ran(arguments: argparse.Namespace, split: int, env: TradingEnvironment, **settings: Any) -> Played:
    """A run of the whole graph with a policy of L82, on the epochs after the split."""
    with tempfile.TemporaryDirectory() as folder:
        given = {**arguments.settings, **{f"rl.{key}": value for key, value in settings.items()}}
        run = sq.run(arguments.data, set=given, spec=arguments.spec, out=Path(folder) / "run", report=False, trial=False,
                     features="none")  # fmt: skip
        equity = run.equity
        choice = run.features("L82")
    stamps = equity.index.as_unit("ns").asi8
    log = np.log(equity.to_numpy())
    ends = [int(epoch.chunks[-1].time[-1]) for epoch in env.market.epochs[env.first - 1 : env.last]]
    at = np.searchsorted(stamps, ends)
    growth, moves = np.diff(log[at]), np.diff(log) ** 2
    variance = np.array([moves[a:b].sum() for a, b in zip(at, at[1:], strict=False)])
    said = choice.groupby(level="timestamp").first()["policy.risk_multiplier"]
    held = said.reindex(equity.index[at[1:]], method="ffill").to_numpy()
    return Played(growth, variance, held)


def line(name: str, made: Played, base: Played, a_year: float) -> str:
    """A row of the table: growth, volatility, Sharpe ratio, drawdown, mean multiplier, reward an epoch against no policy."""
    wealth = np.exp(np.cumsum(made.growth))
    fall = 1.0 - (wealth / np.maximum.accumulate(np.maximum(wealth, 1.0))).min()
    spread = made.growth.std(ddof=1)
    sharpe = made.growth.mean() / spread * math.sqrt(a_year) if spread > 0.0 else math.nan
    n = min(len(made.growth), len(base.growth))
    apart = 1e4 * ((made.growth - 0.5 * made.variance)[:n] - (base.growth - 0.5 * base.variance)[:n])
    error = apart.std(ddof=1) / math.sqrt(n)
    growth, volatility = 100.0 * (wealth[-1] - 1.0), 100.0 * spread * math.sqrt(a_year)
    return (
        f"| {name} | {growth:+.2f} % | {volatility:.1f} % | {sharpe:.2f} | {100.0 * fall:.1f} % "
        f"| {np.nanmean(made.multiplier):.2f} | {apart.mean():+.2f} ± {error:.2f} |"
    )


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", required=True, help="time from which on everything is measured, and nothing learned by PPO")
    parser.add_argument("--spec", default=None)
    parser.add_argument("--set", dest="settings", action="append", default=[])
    parser.add_argument("--steps", type=int, default=40_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--export", type=Path, default=None)
    arguments = parser.parse_args()
    arguments.settings = {k: yaml.safe_load(v) for k, _, v in (text.partition("=") for text in arguments.settings)}
    split = parse_utc(arguments.split)

    def make(**more: Any) -> TradingEnvironment:
        return TradingEnvironment(arguments.data, set=arguments.settings, spec=arguments.spec, **more)

    test = make(within=(arguments.split, None))
    days = test.market.epoch_ns / 86_400e9
    a_year = 365.0 / days
    print(f"{test.first} epochs of {days:g} days before {stamp(split)}, {test.last - test.first} after it.")
    print(
        "| policy | growth | volatility a year | Sharpe | drawdown | mean multiplier | reward an epoch, bps, less no policy |"
    )
    print("|---|--:|--:|--:|--:|--:|--:|")
    base = play(test, lambda _: 1.0)
    print(line("none", base, base, a_year), flush=True)
    for m in FIXED[:-1]:
        print(line(f"fixed at {m:g}", play(test, lambda _, m=m: m), base, a_year), flush=True)
    for name, policy in (("wealth split (L82)", 1), ("LinUCB (L82)", 2)):
        print(line(name, ran(arguments, split, test, policy=policy), base, a_year), flush=True)
    for seed in range(arguments.seeds):
        model = trained(lambda: make(within=(None, arguments.split), length=LENGTH), arguments.steps, seed)

        def by_mean(observed: Any, model: Any = model) -> float:
            logit = float(model.predict(observed, deterministic=True)[0][0])
            return 1.0 / (1.0 + math.exp(-logit))

        print(line(f"PPO, seed {seed}", play(test, by_mean), base, a_year), flush=True)
    network = {"policy": 4, "network_hidden": list(HIDDEN), "network_outputs": 1, "network_weights": weights_of(model)}
    print(line(f"PPO, seed {seed}, as L82's network", ran(arguments, split, test, **network), base, a_year), flush=True)
    if arguments.export is not None:
        about = f"PPO after {arguments.steps} epochs on {arguments.data.name} before {arguments.split}."
        spec = {"name": arguments.export.stem, "domain": "rl", "about": about, "config": network}
        arguments.export.write_text(yaml.safe_dump(spec, sort_keys=False, default_flow_style=None), encoding="utf-8")


if __name__ == "__main__":
    main()
