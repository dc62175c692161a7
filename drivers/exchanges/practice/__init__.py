"""A practice exchange on this machine: it speaks Binance's spot protocol, has a seeded market, and fails when it is told to."""
