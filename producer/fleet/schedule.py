"""Pure: when the messages are due. The times come from the rate alone, so that a slow moment is made up
for."""

import heapq
import random
from collections.abc import Iterator


def due_times(per_second: float, jitter: float, rng: random.Random) -> Iterator[float]:
    """Ascending offsets in seconds from the start: message i at i / per_second, each up to `jitter`
    seconds later."""
    heap: list[float] = []
    count = 0
    while True:
        # Whatever may come earlier than the earliest one known has to be known before that one is given
        # out.
        while not heap or count / per_second <= heap[0]:
            heapq.heappush(heap, count / per_second + jitter * rng.random())
            count += 1
        yield heapq.heappop(heap)
