"""The structured log of a run: written, and read back."""
