"""Runs of the whole graph: batch, stream and replay."""
