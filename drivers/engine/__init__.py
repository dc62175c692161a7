"""Reads and checks the wiring, compiles the graph, runs it. No I/O but the machine-code cache."""
