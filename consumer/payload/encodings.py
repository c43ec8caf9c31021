"""Pure: encodings besides JSON: CBOR and MessagePack, and gzip or zlib around any of them.

They are recognised by their first bytes, which cannot begin JSON. Decoded values are converted to the types of parsed
JSON; NaN and values of other types are replaced by a `Bad`.
"""

import re
import zlib
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from io import BytesIO
from typing import Any, Final

import cbor2
import msgspec

from consumer.payload.json_text import MAX_DEPTH
from consumer.payload.values import Bad

MAX_EXPANDED: Final = 8 * 2**20
"""Bytes that a compressed record may hold. Kinesis takes records of up to 10 MiB, most are of some KiB."""
MAX_VALUES: Final = 1_000_000
"""Values in one record; CBOR can refer to a value many times."""
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_AUTO: Final = zlib.MAX_WBITS | 32  # zlib's own header or gzip's


def compressed(data: bytes) -> bool:
    """Whether the data begins as gzip or zlib."""
    return data[:2] == b"\x1f\x8b" or (data[:1] == b"\x78" and len(data) > 1 and int.from_bytes(data[:2]) % 31 == 0)


def expanded(data: bytes) -> bytes:
    """The decompressed data of all members. Raises Bad."""
    parts: list[bytes] = []
    room = MAX_EXPANDED
    while data.strip(b"\0"):
        stream = zlib.decompressobj(_AUTO)
        try:
            parts.append(stream.decompress(data, room + 1))
        except zlib.error as error:
            raise Bad("bad-encoding", f"gzip or zlib: {error}") from None
        room -= len(parts[-1])
        if room < 0:
            raise Bad("too-large", f"expands to more than {MAX_EXPANDED} bytes")
        if not stream.eof:
            raise Bad("bad-encoding", "gzip or zlib that ends early")
        data = stream.unused_data
    return b"".join(parts)


_INERT: Final = dict.fromkeys((30, 35, 36, 37, 258, 260, 261), lambda value, _: value)
"""CBOR tags that are ignored, as decoding them runs more code: fractions, regular expressions, e-mails, addresses."""


_SELF_DESCRIBED: Final = b"\xd9\xd9\xf7"
"""CBOR's tag for self-described data."""


def _cbor(data: bytes) -> Any:
    file = BytesIO(data.removeprefix(_SELF_DESCRIBED))
    value = cbor2.CBORDecoder(file, max_depth=MAX_DEPTH + 1, tag_hook=_unknown_tag, semantic_decoders=_INERT).decode()
    if rest := file.read():
        raise ValueError(f"{len(rest)} bytes too many")
    return value


def _unknown_tag(tag: Any, _: bool) -> Any:
    return Bad("wrong-type", f"CBOR's tag {tag.tag} is none of JSON's kinds")


_MSGPACK: Final = msgspec.msgpack.Decoder()
_BINARY: Final[dict[str, Callable[[bytes], Any]]] = {"cbor": _cbor, "msgpack": _MSGPACK.decode}


def binary(data: bytes, first: str | None) -> tuple[Any, str] | None:
    """The value of CBOR or MessagePack and its encoding; None if the first byte begins an object or array of neither.

    Where both are possible, `first` is tried first. Raises Bad.
    """
    may_be = _candidates(data[0] if data else 0)
    if not may_be:
        return None
    errors: list[str] = []
    for name in sorted(may_be, key=lambda each: each != first):
        try:
            value = _BINARY[name](data)
        except Exception as error:  # noqa: BLE001  # the libraries' own, and what strange bytes bring about in them
            errors.append(f"{name}: {error}")
            continue
        return plain(value), name
    raise Bad("bad-encoding", "; ".join(errors))


def plain(value: Any) -> Any:
    """Converts a value to the types of parsed JSON. Raises Bad if it is too large or nested too deeply."""
    return _Plain().value(value, 0)


def _candidates(byte: int) -> tuple[str, ...]:
    if 0x80 <= byte <= 0x9B or byte == 0x9F:  # MessagePack's small objects and arrays; CBOR's arrays
        return ("msgpack", "cbor")
    if 0xA0 <= byte <= 0xBB or byte in (0xBF, 0xD9):  # CBOR's objects, and its tag for itself
        return ("cbor",)
    return ("msgpack",) if 0xDC <= byte <= 0xDF else ()


class _Plain:
    """Converts values to the types of parsed JSON."""

    def __init__(self) -> None:
        self._left = MAX_VALUES

    def value(self, given: Any, depth: int) -> Any:
        """Raises Bad for more than MAX_VALUES of them, or MAX_DEPTH levels."""
        self._left -= 1
        if self._left < 0:
            raise Bad("too-large", f"more than {MAX_VALUES} values")
        kind = type(given)
        if kind is str:
            return given if _encodes(given) else Bad("not-utf8", "text with half of a surrogate pair")
        if given is None or kind is bool:
            return given
        if kind is int:
            return given if given.bit_length() < 8192 else Bad("number-out-of-range", "a number of thousands of digits")
        if kind is Decimal:
            return given if given.is_finite() else Bad("not-finite", f"{given}")
        if kind is float:
            return given if given - given == 0 else Bad("not-finite", f"{given}")
        if kind is dict or kind is list:
            if depth >= MAX_DEPTH:
                raise Bad("bad-encoding", f"nested deeper than {MAX_DEPTH} levels")
            if kind is list:
                return [self.value(each, depth + 1) for each in given]
            return {_key(key): self.value(each, depth + 1) for key, each in given.items()}
        return _otherwise(given)


def _encodes(text: str) -> bool:
    """Whether UTF-8 has it. Only the operator's own decoder gives other text."""
    return text.isascii() or not _SURROGATE.search(text)


def _key(given: Any) -> str:
    """The text of a key; CBOR and MessagePack have them of all kinds, mostly whole numbers."""
    text = given.hex() if isinstance(given, bytes) else str(given)
    return text if _encodes(text) else ascii(text)


def _otherwise(given: Any) -> Any:
    if isinstance(given, datetime):
        return given.isoformat() if given.tzinfo else given.isoformat(" ")
    if isinstance(given, bytes):
        return given.hex()
    if given is cbor2.undefined:
        return None
    if isinstance(given, Bad):
        return given
    return Bad("wrong-type", f"{type(given).__name__} is none of JSON's kinds")
