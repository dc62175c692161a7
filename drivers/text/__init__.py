"""Text that people read: times, suggestions, identifiers."""
