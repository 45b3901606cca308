"""What a running Sumun says of itself, on standard error."""

from __future__ import annotations

import logging
import sys

from rich.console import Console
from rich.logging import RichHandler

_PLAIN = "%(asctime)s %(levelname)s %(worker)s: %(message)s"


def log_to_terminal(worker: str) -> None:
    """Colour and short times on a terminal; one plain line each, as journald likes them, elsewhere."""
    terminal = sys.stderr.isatty()
    handler: logging.Handler = logging.StreamHandler()
    if terminal:
        handler = RichHandler(console=Console(stderr=True), show_path=False, log_time_format="%H:%M:%S", markup=False)
    handler.addFilter(_Naming(worker))
    pattern = "%(worker)s: %(message)s" if terminal else _PLAIN
    logging.basicConfig(level=logging.INFO, format=pattern, handlers=[handler], force=True)
    for chatty in ("mitmproxy", "hpack", "asyncio", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


class _Naming(logging.Filter):
    """Puts the worker's name into every record."""

    def __init__(self, worker: str) -> None:
        super().__init__()
        self._worker = worker

    def filter(self, record: logging.LogRecord) -> bool:
        record.worker = self._worker
        return True
