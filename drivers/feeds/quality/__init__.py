"""The picture of a market-data folder's quality: where it has gaps, odd prices, frozen prices and bad books.

`measure(data)` computes it, `quality_page(report, picture)` draws it as a page, `coverage(picture)` as lines of a terminal.
"""

from drivers.feeds.quality.findings import QualityFinding, findings
from drivers.feeds.quality.measure import Picture, SymbolPicture, measure
from drivers.feeds.quality.page import quality_page
from drivers.feeds.quality.terminal import coverage

__all__ = ["Picture", "QualityFinding", "SymbolPicture", "coverage", "findings", "measure", "quality_page"]
