"""What all tests share."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from hypothesis import settings

# Compilation makes a first example slow, and a failure must come again on the next run: no deadline, no chance.
settings.register_profile("stratoquant", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("stratoquant")

# Where the tests run in the background, as under nohup, these signals may be ignored, and children inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGTERM, signal.SIG_DFL)

ROOT = Path(__file__).parent.parent
pytest_plugins = ["tests.browser"]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of recorded market data beside the repository; skips the test where there is none."""
    folder = ROOT.parent / "shared" / "data" / "ready"
    if not folder.is_dir():
        pytest.skip("no recorded market data: ../shared/data/ready is absent")
    return folder
