"""The graph of the layers: its modules, its wiring file, and the rules that hold the two against each other."""
