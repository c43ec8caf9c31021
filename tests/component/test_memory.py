"""The service's memory stays bounded where every shard has an answer of 10 MB at once, and the table is slow."""

from pathlib import Path

from consumer.kcl.protocol import LINES_BYTES
from tests.bench.paths import Parts
from tests.bench.system import Servers, Service

SHARDS = 24
RECORDS, RECORD_BYTES = 10, 1 << 20
LINE = RECORDS * RECORD_BYTES * 4 // 3
"""Bytes of an answer of Kinesis as the daemon writes it."""
REST = 96 << 20
"""What else the service takes while it works: parts of lines, pieces, archive objects, and what the allocator keeps."""


def peak(service: Service) -> int:
    """Most bytes that were resident at any time."""
    (pid,) = service.pids
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024


def test_answers_of_10_mb_on_all_shards_take_turns_in_memory() -> None:
    with Servers(delay_ms=300) as servers, Service(servers, SHARDS) as service:
        parts = Parts()
        service.feed(**parts.next(100, 10))
        before = peak(service)
        service.feed(**parts.next(RECORDS, RECORDS), padding=RECORD_BYTES)
        grown = peak(service) - before
    # The lines that are held, one more, and the data of the one that is decoded.
    assert grown < LINES_BYTES + 2 * LINE + REST < SHARDS * LINE
