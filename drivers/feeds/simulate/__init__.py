"""A simulated market with a planted, weak edge: the data that the main job runs on when it is given none."""

from __future__ import annotations

from drivers.feeds.simulate.market import DEFAULT_SYMBOLS, simulate_market
from drivers.feeds.simulate.model import Model, SimulatedMarket, default_symbols
from drivers.feeds.simulate.write import simulate

__all__ = ["DEFAULT_SYMBOLS", "Model", "SimulatedMarket", "default_symbols", "simulate", "simulate_market"]
