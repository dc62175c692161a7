"""The start of a run brings nothing with it that no bar needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from rich.console import Console

from drivers.run.assembly import prepare_run
from drivers.run.progress import progress_bar
from drivers.run.request import RunRequest
from tests.drivers.small_market import folder

START = """
import sys
from pathlib import Path
from rich.console import Console
import drivers.run.batch
from drivers.run.assembly import prepare_run
from drivers.run.progress import progress_bar
from drivers.run.request import RunRequest

with progress_bar(Console(quiet=True)) as progress:
    prepared = prepare_run(RunRequest(data=Path(sys.argv[1])), progress)
print([name for name in ("pandas", "pandera", "networkx", "hamilton.driver", "jinja2") if name in sys.modules])
print(list(prepared.plan.nodes))
import pandas as pd
from hamilton.data_quality.default_validators import DataTypeValidatorPandasSeries
from hamilton.io.utils import get_dataframe_metadata

print(get_dataframe_metadata(pd.DataFrame({"a": [1, 2]}))["dataframe_metadata"]["rows"])
print([DataTypeValidatorPandasSeries.applies_to(kind) for kind in (pd.Series, int)])
"""


def test_a_run_starts_without_pandas_networkx_and_hamilton_s_driver_which_work_all_the_same(tmp_path: Path) -> None:
    market = folder(tmp_path / "market")
    with progress_bar(Console(quiet=True)) as progress:  # what it finds out is in the cache then
        nodes = list(prepare_run(RunRequest(data=market), progress).plan.nodes)
    done = subprocess.run([sys.executable, "-c", START, str(market)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["[]", str(nodes), "2", "[True, False]"]
