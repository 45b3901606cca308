"""Many equal observations at once, which prometheus_client has no call for."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence

from prometheus_client import Histogram


def observe(histogram: Histogram, amount: float, times: int) -> None:
    """Observe the amount so many times; the same sums as ``Histogram.observe`` would make, in two additions."""
    histogram._sum.inc(amount * times)
    for bound, bucket in zip(histogram._upper_bounds, histogram._buckets, strict=True):
        if amount <= bound:
            bucket.inc(times)
            return


def observe_all(histogram: Histogram, amounts: Sequence[float]) -> None:
    """Observe each of these amounts, in as many additions as buckets are touched."""
    if amounts:
        histogram._sum.inc(sum(amounts))
    for place, times in Counter(bisect_left(histogram._upper_bounds, amount) for amount in amounts).items():
        histogram._buckets[place].inc(times)
