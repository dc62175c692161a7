"""What a backtest's figures are worth, given how many were tried: pure functions of returns, with no file and no project."""
