"""The tests of one layer: `python -m tests.layer_tests l12_regression_slope_short`, which is what `make test-layer` runs.

1. Its own test file, `test_<layer>.py`. A layer without one shares the files of its domain that name it; of those, the tests run whose
   names or parameters name the layer.
2. The properties that hold of every layer (`tests/properties/test_one_layer.py`), on the part of the graph above it.

All in one pytest session, without the tests marked long and without pytest's collections of garbage: it is to take seconds.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Final

import networkx as nx
import pytest

from drivers.graph.modules import layer_modules
from drivers.graph.network import graph_of
from drivers.graph.wiring import load
from drivers.project.locate import defaults
from drivers.text.suggestions import layer_hint, layer_named

ROOT: Final = Path(__file__).parents[1]
CHOSEN: Final = "STRATOQUANT_TEST_LAYER"


def files_of(name: str) -> list[Path]:
    """The test files that name a layer or a module of the kernels; the file with its own name first."""
    word = re.compile(rf"\b{re.escape(name)}\b")
    found = [p for p in sorted((ROOT / "tests" / "dataflows").rglob("test_*.py")) if word.search(p.read_text(encoding="utf-8"))]
    return sorted(found, key=lambda path: path.stem != f"test_{name}")


def upstream_of(layer: str) -> list[str]:
    """The layers that a layer takes, those that they take, and so on, and itself.

    Edges that are delayed by a bar count: a layer of the account needs all of the account. Values that are an epoch late keep
    their start values.
    """
    wiring = load(defaults().wiring)
    nodes = graph_of(layer_modules(), wiring.variants)
    late = {name: edge.source for name, edge in wiring.delayed.items() if edge.delay == "bar"}
    edges = [(late.get(p, p), node.name) for node in nodes.values() for p in node.params if late.get(p, p) in nodes]
    graph: nx.DiGraph[str] = nx.DiGraph(edges)
    graph.add_nodes_from(nodes)
    return sorted({layer, *nx.ancestors(graph, layer)}, key=lambda name: int(name.partition("_")[0][1:]))


def main(wanted: str) -> int:
    """Runs them; returns pytest's exit code, and 2 where there is no such layer."""
    names = [path.stem for path in (ROOT / "dataflows").glob("*/l*_*.py")]
    layer = layer_named(wanted, names)
    if layer is None:
        sys.stderr.write(f"there is no layer {wanted!r}; {layer_hint(wanted, names)}\n")
        return 2
    os.environ[CHOSEN] = layer
    domain = next((ROOT / "dataflows").glob(f"*/{layer}.py")).parent.name
    own = [path for path in files_of(layer) if path.stem == f"test_{layer}"]
    shared = [path for path in files_of(layer) if path.parent.name == domain]
    properties = ROOT / "tests" / "properties" / "test_one_layer.py"
    chosen = [] if own else ["-k", f"{layer} or {properties.stem}"]  # -k takes a file by its name too
    quick = ["-q", "-m", "not long", "-p", "no:cacheprovider", "-p", "no:unraisableexception"]
    return int(pytest.main([*quick, *chosen, *map(str, own or shared), str(properties)]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
