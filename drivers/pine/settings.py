"""What a Pine script needs of a run's configuration, in bars of its clock, and the hash that names it."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from dataflows.data.config import DataConfig
from dataflows.execution.chart_view import laws_of
from dataflows.execution.config import ExecutionConfig
from dataflows.kernels.order import LEAST
from dataflows.kernels.smooth import halflife_alpha
from dataflows.kinematics.config import KinematicsConfig
from dataflows.regime.config import RegimeConfig
from dataflows.risk.config import RiskConfig
from dataflows.runtime.compile import python_of
from dataflows.spans import BarClock

PROFILE: Final = 1
"""Version of the payload and of the sums in the scripts; part of the model's hash."""
HALF_LIVES: Final = 50
"""Of the slowest average, after which where the chart's history began no longer shows: 2^-50 is the last bit of a float."""


@dataclass(frozen=True)
class Settings:
    """Spans in bars that count, thresholds in the units of the configuration. history: bars before anything is compared."""

    clock_seconds: int
    atr_period: int
    fast_span: int
    slow_span: int
    sigma_halflife: int
    sigma_alpha: float
    floor_ticks: float
    outlier_most: float
    hampel_window: int
    hampel_least: int
    hampel_k: float
    usual_bars: int
    vol_scale: float
    trend_scale: float
    clip: float
    vol_centres: tuple[float, ...]
    vol_stds: tuple[float, ...]
    trend_centres: tuple[float, ...]
    trend_stds: tuple[float, ...]
    stay: float
    margin: float
    dwell: int
    crash_sigma: float
    forced: float
    enter: float
    leave: float
    reward_risk: float
    trail_ratio: float

    @property
    def history(self) -> int:
        """Bars that a chart must have before the first that is compared."""
        slowest = max(float(self.sigma_halflife), math.log(2.0) * max(self.slow_span, self.atr_period))
        return max(math.ceil(HALF_LIVES * slowest), math.ceil(HALF_LIVES / 2 * slowest) + self.usual_bars)

    @property
    def model(self) -> int:
        """The hash of the settings, 31 bits: what ties a script to the payloads it can read."""
        text = json.dumps({"profile": PROFILE, **asdict(self)}, sort_keys=True)
        return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) & 0x7FFFFFFF

    @property
    def clock_words(self) -> str:
        """The clock as TradingView names a timeframe: `1 minute`, `4 hours`, `1 day`."""
        for name, seconds in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
            if self.clock_seconds % seconds == 0:
                count = self.clock_seconds // seconds
                return f"{count} {name}{'s' * (count != 1)}"
        raise AssertionError("a second divides every clock")


def settings_of(about: Mapping[str, Any]) -> Settings:
    """The settings of a run, from its run.json, whose configuration is in bars already."""
    config = about["configuration"]

    def record(kind: Any, name: str) -> Any:
        given = config[name]
        values = {key: given[key] for key in kind._fields if key in given}
        return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})

    return _settings(
        int(about["clock_seconds"]),
        record(DataConfig, "data"),
        record(KinematicsConfig, "kinematics"),
        record(RegimeConfig, "regime"),
        record(RiskConfig, "risk"),
        record(ExecutionConfig, "execution"),
    )


def default_settings() -> Settings:
    """Those of the package's defaults on minutes: what the scripts in `pine/` are rendered with."""
    return _settings(BarClock().seconds, DataConfig(), KinematicsConfig(), RegimeConfig(), RiskConfig(), ExecutionConfig())


def _settings(
    seconds: int,
    data: DataConfig,
    kinematics: KinematicsConfig,
    regime: RegimeConfig,
    risk: RiskConfig,
    execution: ExecutionConfig,
) -> Settings:
    law, rule = laws_of(execution, kinematics, regime)
    return Settings(
        clock_seconds=seconds,
        atr_period=kinematics.volatility_atr,
        fast_span=kinematics.trend_short_spans[0],
        slow_span=kinematics.trend_short_spans[2],
        sigma_halflife=kinematics.volatility_halflife,
        sigma_alpha=float(python_of(halflife_alpha)(kinematics.volatility_halflife)),
        floor_ticks=kinematics.volatility_floor_ticks,
        outlier_most=kinematics.volatility_outlier_most,
        hampel_window=data.hampel_window,
        hampel_least=LEAST,
        hampel_k=data.hampel_k,
        usual_bars=execution.mirror_usual_bars,
        vol_scale=law.vol_scale,
        trend_scale=law.trend_scale,
        clip=law.clip,
        vol_centres=tuple(law.centres[:, 0].tolist()),
        vol_stds=tuple(law.stds[:, 0].tolist()),
        trend_centres=tuple(law.centres[:, 1].tolist()),
        trend_stds=tuple(law.stds[:, 1].tolist()),
        stay=rule.stay,
        margin=rule.margin,
        dwell=rule.dwell,
        crash_sigma=rule.crash_sigma,
        forced=rule.forced,
        enter=rule.enter,
        leave=rule.leave,
        reward_risk=risk.reward_risk,
        trail_ratio=risk.trail_ratio,
    )
