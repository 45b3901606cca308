"""A process that counts: ``python -m tests.unit.telemetry.worker FOLDER IDENTITY``; obeys lines on its standard input.

``N``: count N attempts, then say ``done``. ``queue N``: set the gauge. Ends at the end of input, or when it is killed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sumun.telemetry.shared_metrics import share

share(Path(sys.argv[1]), sys.argv[2])

from sumun.telemetry.metrics import Metrics  # noqa: E402 - after share, as share demands

metrics = Metrics()
counter = metrics.decisions.labels("dns", "hq-network", "deepseek", "block", "enforce")
print("ready", flush=True)
for line in sys.stdin:
    match line.split():
        case ["queue", number]:
            metrics.events_queued.labels("file").set(int(number))
        case ["for-ever"]:
            print("done", flush=True)
            while True:
                counter.inc()
                metrics.decision_duration.labels("dns").observe(0.001)
        case [number]:
            for _ in range(int(number)):
                counter.inc()
                metrics.decision_duration.labels("dns").observe(0.001)
    print("done", flush=True)
