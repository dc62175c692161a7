"""The rules of the wiring."""
