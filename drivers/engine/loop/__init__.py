"""The step stage as one native loop, generated from the graph."""
