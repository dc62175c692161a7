"""Imports market data of other shapes into a market-data folder.

`plan_import(ImportRequest(...))` says what would be done; `run_import(plan)` does it and returns what came of it.
"""

from drivers.feeds.importing.plan import FilePlan, ImportPlan, ImportRequest, plan_import
from drivers.feeds.importing.presets import PRESETS, Preset
from drivers.feeds.importing.run import ImportResult, KindResult, run_import
from drivers.feeds.importing.show import plan_table, result_table

__all__ = [
    "PRESETS",
    "FilePlan",
    "ImportPlan",
    "ImportRequest",
    "ImportResult",
    "KindResult",
    "Preset",
    "plan_import",
    "plan_table",
    "result_table",
    "run_import",
]
