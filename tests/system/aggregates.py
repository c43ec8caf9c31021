"""KPL-aggregated records, well made and broken (format: the KPL's aggregation-format.md, a protobuf message)."""

import hashlib

MAGIC = b"\xf3\x89\x9a\xc2"


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def aggregate(payloads: list[bytes], key: str, hash_key: str, key_index: int = 0) -> bytes:
    """One record that holds all payloads under one partition key and one explicit hash key.

    A `key_index` beyond the table of keys makes the aggregate that cannot be de-aggregated.
    """
    message = _field(1, key.encode()) + _field(2, hash_key.encode())
    for payload in payloads:
        record = _varint(1 << 3) + _varint(key_index) + _varint(2 << 3) + _varint(0) + _field(3, payload)
        message += _field(3, record)
    return MAGIC + message + hashlib.md5(message, usedforsecurity=False).digest()


def mixed_aggregate(payloads: list[bytes], key: str, hash_keys: tuple[str, str]) -> bytes:
    """One record whose payloads have one explicit hash key and the other in turn: for two shards, when those are."""
    message = _field(1, key.encode()) + b"".join(_field(2, hash_key.encode()) for hash_key in hash_keys)
    for number, payload in enumerate(payloads):
        record = _varint(1 << 3) + _varint(0) + _varint(2 << 3) + _varint(number % 2) + _field(3, payload)
        message += _field(3, record)
    return MAGIC + message + hashlib.md5(message, usedforsecurity=False).digest()
