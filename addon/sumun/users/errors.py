"""What can go wrong in asking who somebody is."""

from __future__ import annotations

from sumun.model.fault import OperatorFault


class UsersFault(OperatorFault):
    """The file of users cannot be used; the message says what to do about it."""


class Unavailable(Exception):
    """Nobody can tell now whether a password is right; the message, for the log, holds neither name nor password."""


class Busy(Unavailable):
    """More is asked at once than will be answered; that is no failure of the directory."""
