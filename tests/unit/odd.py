"""An archive of every odd record, written by the consumer's code."""

import itertools
from collections.abc import Iterator
from pathlib import Path

from consumer.archive.compression import Body, Compression
from consumer.archive.format import DEAD_LETTERS, READINGS, UNDELIVERABLE, undeliverable_line
from consumer.archive.writer import ObjectWriter, RotationPolicy
from consumer.payload.decode import decode
from consumer.record import Record
from tests.unit.malformed import malformed

SHARD = "shardId-000000000000"
T0 = 1_795_604_400_000  # 2026-11-25T11:00:00Z
GOOD = b'{"name":"good","humidity":%d.5,"timeStampEpoch":1795604400000}'

ODD = [
    b"",
    b"null",
    b"[]",
    b"{}",
    b"5",
    b"true",
    b'"n/a"',
    b'"text with \\"payload\\":1}"',
    b'{"name":"a","humidity":"n/a","timeStampEpoch":1795604400000}',
    b'{"name":"a","humidity":[1],"timeStampEpoch":"then"}',
    b'{"name":"a","humidity":1e300,"timeStampEpoch":9223372036854775807}',
    b'{"name":"a","humidity":"1e300","timeStampEpoch":-9223372036854775808}',
    b'{"name":{"a":1},"humidity":{"b":1},"timeStampEpoch":{"c":1}}',
    b'{"name":"a","Name":"b","NAME":"c","humidity":1,"timeStampEpoch":1795604400000}',
    b'{"name":"a","name":"b","humidity":1,"humidity":2,"timeStampEpoch":1795604400000}',
    b'[{"name":"x","humidity":1,"timeStampEpoch":1795604400000},{"name":"y","humidity":"2","timeStampEpoch":1795604400001}]',
    b'[{"name":"x"},5,null,"n/a",[{}]]',
    b'{"name":"a",\r\n "humidity": 20.10,\n "timeStampEpoch":1795604400000}\n',
    b'{"name":"l1","humidity":1,"timeStampEpoch":1795604400000}\n{"name":"l2","humidity":2,"timeStampEpoch":1795604400000}\nmalformed',
    b' {"name":"spaces","humidity":1,"timeStampEpoch":1795604400000} ',
    b'{"payload":{"payload":1},"shard":"other","date":"1999-01-01","hour":99,"line":1,"data":"AA==","rejected":7}',
    b'{"name":"big","humidity":41.10000000000000012345,"timeStampEpoch":1795604400000}',
    b'{"name":"unused","humidity":1,"timeStampEpoch":1795604400000,"x":1e400,"y":%s}' % (b"1" * 2000),
    b'{"name":"escaped","humidity":1,"timeStampEpoch":1795604400000,"s":"\\u0000\\u0001\\n\\ud83d\\ude00"}',
    '{"name":"ü🌱\u2028\u2029\u0085","humidity":1,"timeStampEpoch":1795604400000}'.encode(),
    b'{"name":"\\ud800","humidity":1,"timeStampEpoch":1795604400000}',
    b'{"":1,"a.b":2,"$":3,"a b":4,"\\"":5,"\'; DROP TABLE x; --":6}',
    b'{"name":"raw\x01control","humidity":1}',
    b"\xff\xfe\x00",
    b"\x00" * 10,
    b"[" * 60 + b"]" * 60,
    b"[" * 5000,
    b'{"name":"long","humidity":1,"timeStampEpoch":1795604400000,"x":"%s"}' % (b"y" * 300_000),
    b'{"name":"lines",\n"x":"%s"}' % (b"z" * 10_000_000),  # Kinesis takes 10 MiB; this is kept twice, once in base64
    b'a,b;c\t"d"\\N|e',
    b"\xef\xbb\xbf{}",
]


def records() -> list[Record]:
    """Odd ones between good ones; partition keys are odd, too."""
    payloads = [*ODD, *malformed(1500, seed=1)]
    keys = ["d", "", '"payload":', '\\"', "ü\u2028", "\x01", "'", "x" * 256]
    found = []
    for number, data in enumerate(payloads):
        found.append(Record(GOOD % number, "good", str(10**55 + 2 * number), 0, T0 + number))
        found.append(Record(data, keys[number % len(keys)], str(10**55 + 2 * number + 1), number % 3, T0 + number))
    return found


def write(folder: Path) -> None:
    """Makes it a folder as `aws s3 sync` would make it."""
    writer: ObjectWriter | None = None
    compressions: Iterator[Compression] = itertools.cycle(("zstd", "gzip"))

    def put(key: str, body: bytes) -> None:
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)

    def close(writer: ObjectWriter) -> None:
        made = writer.close()
        put(READINGS + made.key, made.body)
        put(DEAD_LETTERS + made.key, made.dead_letters)  # an object without a line among them, as replacements leave

    for record in records():
        if writer is None:
            compression = next(compressions)
            rotation = RotationPolicy(200, 1 << 22, 3_600_000)
            writer = ObjectWriter(SHARD, 7, compression, rotation, record.position, record)
        writer.take([(record.position, record, decode(record.data))])
        if writer.full:
            close(writer)
            writer = None
    if writer:
        close(writer)
    broken = Body("gzip", 0)
    broken.write([undeliverable_line(b"\xf3\x89\x9a\xc2broken")])
    put(f"{UNDELIVERABLE}abc.ndjson.gz", broken.read())
    put(f"{DEAD_LETTERS}date=2026-11-25/hour=10/{SHARD}/{'0' * 56}-0000000000.ndjson.gz", Body("gzip", 9).read())
