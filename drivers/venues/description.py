"""A venue's file, `config/venues/<name>.yml`: its fees, the steps of prices and quantities, and its rules for orders."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from drivers.project.errors import ProjectError
from drivers.project.yaml_files import read_yaml
from drivers.text.suggestions import did_you_mean
from drivers.venues.facts import LARGEST, InstrumentFacts, beyond_margin, values_of

LEAST_ORDERS: Final = 8
"""An entry, its stop and its target, an exit and its stop, and room for those that are being canceled."""


class VenueError(ValueError):
    """A venue's file cannot be used. The message names the file and the key at fault."""


class Endpoints(BaseModel):
    """Where an exchange is reached instead of its usual addresses: scheme and host, with a port where there is one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rest: str = Field(default="", pattern=r"^(https?://[^/\s]+)?$", description="https://host[:port]")
    ws: str = Field(default="", pattern=r"^(wss?://[^/\s]+)?$", description="wss://host[:port]")


class OrderLimits(BaseModel):
    """The last gate: what an order that opens or adds to a position may be, whatever the layers decide."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    notional_per_order: float = Field(gt=0.0, le=LARGEST, description="quote currency")
    notional_per_minute: float = Field(gt=0.0, le=LARGEST, description="quote currency, of all symbols together")
    price_band_bps: float = Field(default=100.0, gt=0.0, le=1e4, description="most of its price from the exchange's last price")
    notional_total: float | None = Field(
        default=None, gt=0.0, le=LARGEST, description="of all positions and entries together, quote currency; live needs it"
    )
    least_apart: float = Field(default=0.5, ge=0.0, le=60.0, description="seconds between two entries that say the same")
    symbols: list[str] | None = Field(default=None, description="which, as the exchange writes them; else all")
    sides: list[Literal["buy", "sell"]] = Field(default=["buy", "sell"], description="buy, sell or both")


class VenueRules(InstrumentFacts):
    """The keys of a venue's file. A fact of the instruments is one number, or a mapping of symbol to number."""

    about: str = Field(description="which venue or kind of venue this is, and where the numbers are from")
    exchange: str = Field(
        default="", description="the exchange as ccxt names it, e.g. binance: its own market description gives fees and steps"
    )
    market: Literal["spot", "swap"] = Field(default="spot", description="which of the exchange's markets")
    sandbox: bool = Field(default=False, description="the exchange's test net instead of its market")
    endpoints: Endpoints = Field(
        default_factory=lambda: Endpoints(), description="other addresses: a regional host, a proxy, a test server"
    )
    symbols: list[str] | None = Field(
        default=None,
        min_length=1,
        description="which symbols, as the exchange writes them, e.g. [BTC/USDT]; else --symbols names them",
    )
    options: dict[str, Any] = Field(default={}, description="options of ccxt's client")
    streams: list[Literal["trades", "candles", "book"]] = Field(
        default=["trades", "candles", "book"],
        description="which streams a live market is followed by; none: it is asked by REST",
    )
    levels: int = Field(default=10, ge=1, le=1_000, description="levels of the book that are shown to the layers")
    silence: float = Field(default=60.0, gt=0.0, description="seconds without a frame after which a stream is dialed again")
    max_skew: float = Field(
        default=1.0, gt=0.0, description="seconds that the exchange's clock and ours may differ; above it nothing is entered"
    )
    kind: Literal["perpetual", "future", "spot"] = Field(
        description="perpetual: short positions, margin, funding. future: the first two, and delivery. spot: none of these"
    )
    leverage: float = Field(default=1.0, ge=1.0, le=1_000.0, description="most notional over equity")
    live: bool = Field(default=False, description="real orders with real money may go to it: `stream --mode live`")
    gate: OrderLimits | None = Field(default=None, description="the last gate; no order leaves without one")
    adopt: bool = Field(
        default=False, description="what the account holds of the symbols at the start, and orders there, are ours"
    )
    on_stop: Literal["keep", "flatten", "cancel_all"] = Field(
        default="keep",
        description="at the end of a stream: entries go and stops stay; positions are closed; all orders are canceled",
    )
    order_rate: int = Field(default=0, ge=0, le=10_000, description="most entries in ten seconds; 0: no limit of ours")
    may_withdraw: bool = Field(default=False, description="a key that may withdraw is taken")
    request_weight: int = Field(
        default=6_000, ge=10, le=10_000_000, description="most weight of requests in a minute, as the exchange counts it"
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> VenueRules:
        for fee in ("taker_fee_bps", "maker_fee_bps"):
            if not self.exchange and fee not in self.model_fields_set:
                raise ValueError(f"{fee} is missing ({type(self).model_fields[fee].description})")
        if self.kind == "spot" and self.leverage != 1.0:
            raise ValueError(f"leverage is {self.leverage:g}; at a spot venue positions are paid in full, so leave it at 1")
        if self.kind == "spot" and any(values_of(self.maintenance_margin)):
            raise ValueError("maintenance_margin is given; at a spot venue positions are paid in full, so leave it out")
        if wrong := beyond_margin(self.leverage, self.maintenance_margin):
            raise ValueError(wrong)
        if 0 < self.most_orders < LEAST_ORDERS:
            raise ValueError(f"most_orders is {self.most_orders}; an entry with its bracket and exits needs {LEAST_ORDERS}")
        return self

    def facts(self, keys: Collection[str]) -> dict[str, Any]:
        """Its values under those of `keys` that it has."""
        own = {*InstrumentFacts.model_fields, "kind", "leverage"}
        return {key: getattr(self, key) for key in own & set(keys)}


def read_venue(path: Path) -> VenueRules:
    """A venue's file, `venues/NAME.yml`, with its last gate where that has a file of its own, `gates/NAME.yml` beside the
    folder.

    Raises VenueError naming the file and the key at fault.
    """
    gate = path.parent.parent / "gates" / path.name
    try:
        values = read_yaml(path)
        if gate.is_file():
            if "gate" in values:
                raise VenueError(f"{path}: the last gate stands here and in {gate}; leave one out")
            values = {**values, "gate": OrderLimits(**{str(k): v for k, v in read_yaml(gate).items()})}
    except ProjectError as error:
        raise VenueError(str(error)) from None
    except ValidationError as error:
        first = error.errors()[0]
        raise VenueError(f"{gate}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    try:
        return VenueRules(**{str(k): v for k, v in values.items()})
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else ""
        if first["type"] == "extra_forbidden":
            raise VenueError(f"{path}: {key} is not a key of this file; {did_you_mean(key, VenueRules.model_fields)}") from None
        reason = first["msg"].removeprefix("Value error, ")
        field = VenueRules.model_fields.get(key)
        said = (
            f"{key} is missing" if first["type"] == "missing" else f"{key} is {first['input']!r}: {reason}" if key else reason
        )
        raise VenueError(f"{path}: {said}{f' ({field.description})' if field is not None else ''}") from None
