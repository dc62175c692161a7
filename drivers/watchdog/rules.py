"""The file of a watchdog: what it looks for, and what it does then."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from drivers.project.yaml_files import read_yaml
from drivers.text.suggestions import did_you_mean

Action = Literal["alert", "cancel", "flatten"]
STRENGTH: Final[tuple[Action, ...]] = ("alert", "cancel", "flatten")
"""From the least to the most."""


class WatchdogError(ValueError):
    """The watchdog cannot be used as asked. The message says what to do."""


class WatchdogRules(BaseModel):
    """The keys of the file. alert: it is said. cancel: entries are canceled, and stops stay. flatten: the stream's orders are
    canceled and its positions closed. The last two latch HALT through the stream's operator file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    every: float = Field(default=5.0, ge=0.5, le=60.0, description="seconds between two looks")
    stale_after: float = Field(
        default=60.0, ge=5.0, le=86_400.0, description="seconds without a heartbeat of the stream after which it counts as dead"
    )
    on_stale: Action = "flatten"
    loss: float | None = Field(
        default=None, gt=0.0, description="loss within one bar, quote currency, from the highest reading since its open"
    )
    on_loss: Action = "flatten"
    mismatch_after: float = Field(
        default=60.0, ge=5.0, le=86_400.0, description="seconds for which the account may differ from the stream's journal"
    )
    on_mismatch: Action = "cancel"


def read_rules(path: Path) -> WatchdogRules:
    """The file. Raises WatchdogError naming the key at fault, FileNotFoundError where there is no file."""
    try:
        return WatchdogRules(**{str(key): value for key, value in read_yaml(path).items()})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden":
            raise WatchdogError(f"{path}: {key} is not a key; {did_you_mean(key, WatchdogRules.model_fields)}") from None
        raise WatchdogError(f"{path}: {key}: {first['msg']}") from None
