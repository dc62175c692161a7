"""A venue's file, `config/venues/<name>.yml`: its fees, the steps of prices and quantities, and its rules for orders."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from drivers.project.errors import ProjectError
from drivers.project.yaml_files import read_yaml
from drivers.text.suggestions import did_you_mean

LEAST_ORDERS: Final = 8
"""An entry, its stop and its target, an exit and its stop, and room for those that are being canceled."""

PerSymbol = float | dict[str, float]


class VenueError(ValueError):
    """A venue's file cannot be used. The message names the file and the key at fault."""


class Venue(BaseModel):
    """The keys of a venue's file. A fact of the instruments is one number, or a mapping of symbol to number."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    about: str = Field(description="which venue or kind of venue this is, and where the numbers are from")
    kind: Literal["perpetual", "spot"] = Field(description="perpetual: funding, short positions, margin. spot: neither")
    tick_size: PerSymbol = Field(default=0.0, description="quote currency; 0: unknown, no rounding")
    lot_size: PerSymbol = Field(default=0.0, description="base units; 0: unknown, no rounding")
    min_notional: PerSymbol = Field(default=0.0, description="quote currency; 0: none")
    reduce_only_exempt: bool = Field(default=False, description="min_notional spares reduce-only orders")
    taker_fee_bps: PerSymbol = Field(description="fee of a taker's fill")
    maker_fee_bps: PerSymbol = Field(description="fee of a maker's fill; negative: a rebate")
    price_band_bps: float = Field(default=0.0, ge=0.0, le=1e4, description="most of a limit from the last close; 0: no band")
    leverage: float = Field(default=1.0, ge=1.0, description="most notional over equity")
    most_orders: int = Field(default=0, ge=0, description="orders of a symbol open at once; 0: no limit")
    orders_per_minute: int = Field(default=0, ge=0, description="order messages of all symbols together; 0: no limit")

    @model_validator(mode="after")
    def _makes_sense(self) -> Venue:
        if self.kind == "spot" and self.leverage != 1.0:
            raise ValueError(f"leverage is {self.leverage:g}; at a spot venue positions are paid in full, so leave it at 1")
        if 0 < self.most_orders < LEAST_ORDERS:
            raise ValueError(f"most_orders is {self.most_orders}; an entry with its bracket and exits needs {LEAST_ORDERS}")
        return self

    def facts(self, keys: Collection[str]) -> dict[str, Any]:
        """Its values under those of `keys` that it has; and `shorting`, which follows from its kind."""
        own = set(type(self).model_fields) & set(keys)
        return {key: getattr(self, key) for key in own} | {"shorting": self.kind == "perpetual"}


def read_venue(path: Path) -> Venue:
    """A venue's file. Raises VenueError naming the file and the key at fault."""
    try:
        values = read_yaml(path)
    except ProjectError as error:
        raise VenueError(str(error)) from None
    try:
        return Venue(**{str(k): v for k, v in values.items()})
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else ""
        if first["type"] == "extra_forbidden":
            raise VenueError(f"{path}: {key} is not a key of this file; {did_you_mean(key, Venue.model_fields)}") from None
        reason = first["msg"].removeprefix("Value error, ")
        field = Venue.model_fields.get(key)
        said = (
            f"{key} is missing" if first["type"] == "missing" else f"{key} is {first['input']!r}: {reason}" if key else reason
        )
        raise VenueError(f"{path}: {said}{f' ({field.description})' if field is not None else ''}") from None
