"""What is wrong with a text of the catalogue, and where."""

from __future__ import annotations


class ServiceFault(ValueError):
    """A service's file cannot be taken; whoever edits it must act."""

    def __init__(self, file: str, line: int, message: str) -> None:
        super().__init__(f"{file}:{line}: {message}")
        self.file = file
        self.line = line
        """Counted from 1."""
        self.message = message
        """Lower case, without a full stop, the input in backticks."""
