"""Many equal observations at once, which prometheus_client has no call for."""

from __future__ import annotations

from prometheus_client import Histogram


def observe(histogram: Histogram, amount: float, times: int) -> None:
    """Observe the amount so many times; the same sums as ``Histogram.observe`` would make, in two additions."""
    histogram._sum.inc(amount * times)
    for bound, bucket in zip(histogram._upper_bounds, histogram._buckets, strict=True):
        if amount <= bound:
            bucket.inc(times)
            return
