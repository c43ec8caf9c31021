"""How fast an hour of the archive is compacted, and whether every line of it is there: generated objects, real code.

    python -m tests.bench.compact [LINES] [ODD]

One core. CPU seconds, since the wall clock belongs to whatever else runs. One line in ODD is rejected (0: none).
"""

import json
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Final

from consumer.archive.compression import Body
from consumer.payload.contracts import DEFAULT
from producer.compact import rows
from producer.compact.verify import Source, verify

T0: Final = 1_795_604_400_000  # 2026-11-25T11:00:00Z
DEVICES, SHARDS, OBJECT = 10_000, 8, 10_000
MALFORMED: Final = b'"rejected":1,"rejects":[{"index":0,"reason":"wrong-type","detail":"humidity is no number"}],'


def lines(count: int, shard: int, odd: int) -> Iterator[bytes]:
    """A shard's share of an hour with `count` lines, one reading each."""
    random_of = random.Random(shard)
    sequence = 49_650_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000
    for n in range(shard, count, SHARDS):
        sequence += random_of.randrange(1, 1 << 70)
        device, at, value = random_of.randrange(DEVICES), T0 + n * 3_600_000 // count, random_of.gauss(50, 10)
        bad = odd and n % odd == 0
        yield b'{"shard":"shardId-%012d","sequenceNumber":"%d","subSequenceNumber":0,"partitionKey":"sensor-%08x",' % (
            shard, sequence, device,
        ) + b'"arrival":%d,%b"payload":{"name":"sensor-%08x","humidity":%b,"timeStampEpoch":%d}}\n' % (
            at, MALFORMED if bad else b"", device, b'"n/a"' if bad else b"%.2f" % value,
            at - random_of.randrange(2000),
        )  # fmt: skip


def generate(folder: Path, count: int, odd: int) -> list[Source]:
    """The archive objects of an hour, shard by shard."""
    sources: list[Source] = []
    for shard in range(SHARDS):
        made = lines(count, shard, odd)
        while of_object := list(islice(made, OBJECT)):
            body = Body("zstd", 7)
            body.write(of_object)
            file = folder / f"{len(sources):08d}.ndjson.zst"
            file.write_bytes(body.read())
            sources.append(Source(f"readings/{file.name}", file, len(of_object)))
    return sources


def measured(count: int, odd: int) -> dict[str, float]:
    """Compacts and verifies; raises when a line is not there."""
    with tempfile.TemporaryDirectory(prefix="sensorstream-bench-") as name:
        folder = Path(name)
        sources = generate(folder, count, odd)
        with rows.connect(folder) as db:
            db.execute("SET threads = 1")
            start = time.process_time()
            file = rows.write(db, folder, [source.file for source in sources], DEFAULT)
            written = time.process_time()
            verified = verify(db, file, sources)
            end = time.process_time()
        if verified != count:
            raise SystemExit(f"{verified} lines of {count}")
        sizes = {
            "archived_mb": sum(s.file.stat().st_size for s in sources) / 1e6,
            "parquet_mb": file.stat().st_size / 1e6,
        }
    rates = {
        "write_lines_per_cpu_second": count / (written - start),
        "verify_lines_per_cpu_second": count / (end - written),
    }
    return {"lines": count, "odd": odd, **sizes, **rates, "lines_per_cpu_second": count / (end - start)}


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]]
    print(json.dumps(measured(*(given + [5_000_000, 0][len(given) :])), indent=1))
