"""What an evaluation refuses."""


class EvaluationError(ValueError):
    """It cannot be made as asked. One sentence: what, and what to do."""
