"""Many settings on the same data, and what the best of them is worth after so much choice."""
