"""Pure: several records in one record of the stream, in the format of the Kinesis Producer Library (KPL).

A magic number, a protobuf message and the message's MD5; the KCL unpacks it. The format:
https://github.com/awslabs/amazon-kinesis-producer/blob/master/aggregation-format.md
"""

import hashlib
from collections.abc import Iterator, Sequence

AGGREGATED = b"\xf3\x89\x9a\xc2"
"""How an aggregate begins; the archive holds its records one by one."""
DIGEST_BYTES = 16
KEY, HASH_KEY, RECORD = 1, 2, 3  # fields of the message: its tables of keys, its records
KEY_INDEX, HASH_KEY_INDEX, DATA = 1, 2, 3  # fields of a record
NUMBER, BYTES = 0, 2  # types of a field


def hash_of(key: str) -> int:
    """Where Kinesis places a record of this partition key: in the shard whose range of hash keys has this one."""
    return int.from_bytes(_md5(key.encode()))


def aggregate(records: Sequence[tuple[str, bytes]], hash_key: int) -> bytes:
    """The data of one record that holds all of these (partition key, data), to be put under this explicit hash key.

    All of them have it, too: the KCL drops a whole aggregate when one of its records hashes to another shard.
    """
    indexes = {key: index for index, key in enumerate(dict.fromkeys(key for key, _ in records))}
    parts = [_bytes(KEY, key.encode()) for key in indexes]
    parts.append(_bytes(HASH_KEY, str(hash_key).encode()))
    for key, data in records:
        head = _number(KEY_INDEX, indexes[key]) + _number(HASH_KEY_INDEX, 0)
        parts.append(_bytes(RECORD, head + _bytes(DATA, data)))
    message = b"".join(parts)
    return AGGREGATED + message + _md5(message)


def unpacked(data: bytes) -> list[bytes]:
    """What the KCL makes of a record's data, by sub-sequence number: an aggregate's records, else the data itself, as
    of an aggregate whose digest is wrong. It makes nothing of one that is broken in another way; then the data, too."""
    if not data.startswith(AGGREGATED):
        return [data]
    message, digest = data[len(AGGREGATED) : -DIGEST_BYTES], data[-DIGEST_BYTES:]
    if digest != _md5(message):
        return [data]
    try:
        return [dict(_fields(record))[DATA] for field, record in _fields(message) if field == RECORD]
    except (IndexError, KeyError, ValueError):
        return [data]


def _md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _number(field: int, number: int) -> bytes:
    return _varint(field << 3 | NUMBER) + _varint(number)


def _bytes(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | BYTES) + _varint(len(data)) + data


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of a message's fields of bytes. Raises IndexError or ValueError where it is none."""
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        number, at = _read_varint(message, at)
        if tag & 7 == BYTES:
            if at + number > len(message):
                raise ValueError("cut off")
            yield tag >> 3, message[at : at + number]
            at += number
        elif tag & 7 != NUMBER:
            raise ValueError(f"no field of an aggregate: {tag}")


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    """The number that stands there, and where it ends. Raises IndexError where it is cut off."""
    number = shift = 0
    while True:
        byte = message[at]
        number |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return number, at
        shift += 7
