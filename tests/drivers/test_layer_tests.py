"""The rule of CONTRIBUTING.md for finding the tests of a layer: by its name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.layer_tests import files_of, upstream_of

ROOT = Path(__file__).parents[2]
LAYERS = sorted(path.stem for path in (ROOT / "dataflows").glob("*/l*_*.py") if re.match(r"l\d", path.stem))
KERNELS = sorted(path.stem for path in (ROOT / "dataflows" / "kernels").glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("layer", LAYERS)
def test_the_tests_of_a_layer_are_found_by_its_name(layer: str) -> None:
    """Its own file where there is one, and every file in the tests of dataflows/ that names it."""
    assert files_of(layer)


@pytest.mark.parametrize("kernel", KERNELS)
def test_the_tests_of_a_kernel_are_found_by_its_name(kernel: str) -> None:
    assert files_of(kernel)


def test_the_upstream_part_of_a_layer_is_what_it_needs_and_no_more() -> None:
    assert upstream_of("l12_regression_slope_short") == ["l0_market_feed", "l12_regression_slope_short"]
