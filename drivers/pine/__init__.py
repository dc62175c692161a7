"""The mirror on TradingView: payloads and Pine scripts made from a run, and what comes back from the chart compared with it."""
