"""The one kind of failure that a person is shown as it is."""

from __future__ import annotations


class OperatorFault(Exception):
    """Something that only the operator can put right; the message says what is wrong and what to do."""
