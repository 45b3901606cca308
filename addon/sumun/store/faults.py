"""What can go wrong, divided by who must act."""

from __future__ import annotations

from sumun.model.fault import OperatorFault


class StoreFault(OperatorFault):
    """The store cannot be used; the message says why and what to do. Nothing was changed."""


class Full(StoreFault):
    """A bound was reached: too much is waiting already."""


class Used(Exception):
    """The form was sent before."""
