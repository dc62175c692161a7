"""Real exchanges, through ccxt: market data by REST, and a practice exchange to try it on."""
