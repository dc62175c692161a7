"""What tests of the drivers share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def no_lines_of_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine a run lasts long enough to tell where it is, and tests look at all that is said."""
    monkeypatch.setattr("drivers.run.progress.SECONDS_BETWEEN_LINES", 3_600.0)
