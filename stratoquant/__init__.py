"""StratoQuant from Python.

import stratoquant as sq

run = sq.run("market", symbols=["BTCUSDT"], start="2025-05-01", set={"risk.gross": 0.5})
run.equity  # pandas Series; also run.trades, run.orders, run.features("l12_regression_slope_short"), run.plot()

`run` does what `stratoquant run` does, with the same results on disk. Errors are the sentences of the command line.
"""

from __future__ import annotations

from importlib.metadata import version

from stratoquant import own_packages as _own_packages

_own_packages.load()

from stratoquant.backtest import run  # noqa: E402  # our own packages come first, see own_packages
from stratoquant.evaluation import Evaluation, evaluate  # noqa: E402
from stratoquant.pictures import graph  # noqa: E402
from stratoquant.results import Explained, Run, domain, explain, load_features, load_run  # noqa: E402

__version__ = version("stratoquant")
__all__ = [
    "Evaluation",
    "Explained",
    "Run",
    "__version__",
    "domain",
    "evaluate",
    "explain",
    "graph",
    "load_features",
    "load_run",
    "run",
]
