"""Loading by ``mitmdump -s``: for trying, and for set-ups that run mitmproxy already.

mitmproxy reads a script again when it changes, and goes on without it when it fails: the filter's own process
(``sumun proxy``) does neither, and is what a network should rely on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mitmproxy import ctx
from mitmproxy.addonmanager import Loader
from mitmproxy.exceptions import OptionsError

OPTION = "sumun_config"


class Shim:
    """Builds the addons when mitmproxy knows its options, before it serves."""

    def __init__(self, build: Callable[[Path], Sequence[object]], default: str = "config/sumun.yaml") -> None:
        self._build = build
        self._default = default
        self.addons: list[object] = []
        """What mitmproxy calls besides this: children of an addon."""

    def load(self, loader: Loader) -> None:
        """Declare ``--set sumun_config=…``."""
        loader.add_option(OPTION, str, self._default, "Configuration file of Sumun.")

    def configure(self, _: set[str]) -> None:
        """Build once; a configuration that is no good stops mitmproxy."""
        if self.addons:
            return
        try:
            self.addons = list(self._build(Path(getattr(ctx.options, OPTION))))
        except Exception as error:
            raise OptionsError(f"sumun: {error}") from error
