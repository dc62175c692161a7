"""What can go wrong when a domain runs alone."""

from __future__ import annotations


class DomainError(ValueError):
    """A domain cannot be run alone on what was given. One sentence: what is missing or does not fit, and what to do."""
