"""What is wrong with a project: one sentence that names the folder or file and says what to do."""

from __future__ import annotations


class ProjectError(ValueError):
    """A project's folder or one of its files cannot be used. The message names it and says what to do."""
