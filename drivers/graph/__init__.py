"""The graph of the layers: its modules, its wiring file, and the rules that hold the two against each other."""

import dataflows.layer  # noqa: F401  (before Hamilton: it keeps Hamilton from importing all that it has extensions for)
