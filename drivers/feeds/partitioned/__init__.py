"""Market data in parts: a Parquet file for each symbol and month, in a folder or behind a URL, read a stretch at a time.

    market/
      manifest.json                                  what there is: symbols, their facts, the clock, each part with its hash
      axis-<hash>.parquet                            the bars of the market, where it closes
      symbol=BTCUSDT/month=2025-05/<hash>.parquet    the bars of that month, on the clock

A part holds what a run is handed: bars checked and on the clock, books and trades as the kernels have reduced them to bars,
funding in the bar of its payment. So a run reads the columns of a stretch of time and computes nothing anew, its memory does
not grow with the history, and its results have the bits that the folder gives from which the parts were made.

A file's name is the hash of its content and no file is ever changed. What is new becomes new files; then the manifest is
replaced, at one stroke. A reader sees all of an addition or nothing of it. One writes at a time.
"""

from drivers.feeds.partitioned.add import Added, add
from drivers.feeds.partitioned.read import is_partitioned, open_partitioned

__all__ = ["Added", "add", "is_partitioned", "open_partitioned"]
