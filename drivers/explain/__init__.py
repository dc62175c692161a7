"""From an order, or from a refusal, back through the graph to the market data."""
