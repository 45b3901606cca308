"""How much a client may ask of us that costs it little, and brings nothing."""

from __future__ import annotations

from sumun.sinkhole.https.frames import Broken, Code

GAIN = 4
"""For each request that is answered."""
_FIRST, _MOST = 400, 2_000


class Patience:
    """Of one connection."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = _FIRST

    def bear(self, cost: int = 1) -> None:
        """Use some up; raises Broken when there is none left."""
        self._left -= cost
        if self._left < 0:
            raise Broken(Code.ENHANCE_YOUR_CALM)

    def gain(self) -> None:
        """A request is answered."""
        if self._left < _MOST:
            self._left += GAIN
