"""The bodies of archive objects: a function of their lines and the epoch, whatever came between, and whole."""

import random
import shutil
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.archive.compression import PIECE, SUFFIXES, Body, Compression
from consumer.archive.writer import ObjectWriter, RotationPolicy
from consumer.payload.decode import decode
from consumer.record import Record
from tests.compression import unpacked

ROOT = Path(__file__).parents[2]
T0 = 1_767_268_800_000
RNG = random.Random(1)
LINES = [
    *(b'{"sequenceNumber":"%d","payload":{"humidity":%d}}\n' % (10**55 + n, RNG.randrange(100)) for n in range(4_000)),
    RNG.randbytes(3 * PIECE).hex().encode() + b"\n",  # longer than a piece, and hardly to be compressed
    *(b'{"sequenceNumber":"%d"}\n' % n for n in range(900)),
]
compressions = pytest.mark.parametrize("compression", SUFFIXES)


def body(compression: Compression, lines: list[bytes], epoch: int = 7) -> bytes:
    made = Body(compression, epoch)
    for line in lines:
        made.write([line])
    return made.read()


@compressions
@pytest.mark.parametrize("count", [0, 1, 2, 1_000, len(LINES)])
def test_what_was_written_can_be_read(compression: Compression, count: int) -> None:
    assert unpacked(body(compression, LINES[:count])) == b"".join(LINES[:count])


@compressions
@given(st.sets(st.integers(0, len(LINES)), max_size=12))
def test_the_bytes_do_not_depend_on_when_it_was_read_before(compression: Compression, reads: set[int]) -> None:
    made = Body(compression, 7)
    for number, line in enumerate(LINES):
        if number in reads:
            assert unpacked(made.read()) == b"".join(LINES[:number])
        made.write([line])
    assert made.read() == made.read() == body(compression, LINES)


@compressions
@given(st.data())
def test_the_bytes_of_an_object_do_not_depend_on_where_deliveries_end(
    compression: Compression, data: st.DataObject
) -> None:
    rng = random.Random(data.draw(st.integers(0, 1 << 32)))
    size = data.draw(st.integers(1, 2_000))
    records = [Record(b'{"humidity":%d}' % rng.randrange(99), "d", str(n), 0, T0 + n) for n in range(1, size)]
    records.insert(rng.randrange(size), Record(rng.randbytes(rng.choice((10, PIECE))), "d", "0", 0, T0))
    cuts = sorted({0, len(records), *(rng.randrange(len(records)) for _ in range(data.draw(st.integers(0, 9))))})

    def written(cuts: list[int]) -> tuple[bytes, bytes]:
        """Each delivery is decoded, then archived, and the object is read as an idle shard's would be."""
        writer = ObjectWriter(
            "s", 1, compression, RotationPolicy(10**6, 1 << 28, 10**6), records[0].position, records[0]
        )
        for start, end in pairwise(cuts):
            for record in records[start:end]:
                writer.take([(record.position, record, decode(record.data))])
            writer.close()
        made = writer.close()
        return made.body, made.dead_letters

    assert written(cuts) == written([0, len(records)])


@compressions
def test_equal_lines_of_two_epochs_never_have_one_body(compression: Compression) -> None:
    one, two = body(compression, LINES[:1], 1), body(compression, LINES[:1], 2)
    assert one != two
    assert unpacked(one) == unpacked(two)
    assert body(compression, [], 1) != body(compression, [], 2)


@compressions
@pytest.mark.parametrize("count", [0, 1, len(LINES)])
def test_the_usual_programs_read_it(compression: Compression, count: int) -> None:
    program = shutil.which(compression) or str(ROOT / ".local-zstd/zstd")
    assert shutil.which(program), f"{program} is missing: make .local-zstd/ready"
    packed = body(compression, LINES[:count])
    answer = subprocess.run([program, "-dc"], input=packed, capture_output=True, check=True)
    assert answer.stdout == b"".join(LINES[:count])


def test_no_frame_is_skippable() -> None:
    """Trino, and so Athena, reads no object that has one."""
    packed = body("zstd", LINES)
    assert packed.startswith(b"\x28\xb5\x2f\xfd")
    assert not any(packed.startswith(b"%c\x2a\x4d\x18" % kind) for kind in range(0x50, 0x60))
