"""How archive objects are compressed: zstd or gzip. Pure: no I/O, no clock.

The lines are compressed in pieces, and where a piece ends depends on the lines alone. So the bytes are a function of
the lines and the epoch, wherever deliveries end, and an object that was read can be written on (as after Adopt).
docs/decisions/0025-zstd.md has the reasons.
"""

import struct
import sys
import zlib
from collections.abc import Iterable
from typing import Final, Literal, Protocol

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Compression = Literal["zstd", "gzip"]
SUFFIXES: Final[dict[Compression, str]] = {"zstd": "zst", "gzip": "gz"}

PIECE: Final = 65_536
"""Bytes of lines after which they are compressed. zstd does not gain by larger pieces; this is all that waits."""
GZIP_LEVEL: Final = 6
"""zlib's level: a third smaller than with level 1."""
_ZSTD_OPTIONS: Final[dict[int, int]] = {
    zstd.CompressionParameter.compression_level: 1,
    zstd.CompressionParameter.checksum_flag: 1,
}
"""Level 1 makes lines smaller than the next three do."""


class _Codec(Protocol):
    head: bytes
    """What an object begins with; it holds the epoch, so that two owners' objects never have one ETag."""

    def compress(self, piece: bytes) -> bytes: ...

    def end(self, piece: bytes) -> bytes:
        """The last piece and the end of the object; other pieces may still be compressed afterwards."""


class _Zstd:
    """A frame per piece. The first frame is empty: its blocks repeat the bytes of the epoch zero times.

    Not a skippable frame: Trino's reader, which is Athena's, refuses those.
    """

    def __init__(self, epoch: int) -> None:
        blocks = b"".join(b"\x02\x00\x00%c" % digit for digit in b"epoch-%d" % epoch)
        self.head = b"\x28\xb5\x2f\xfd\x00\x00" + blocks + b"\x01\x00\x00"

    def compress(self, piece: bytes) -> bytes:
        return zstd.compress(piece, options=_ZSTD_OPTIONS)

    def end(self, piece: bytes) -> bytes:
        return self.compress(piece) if piece else b""


class _Gzip:
    """One member, with the epoch in the header's file name.

    The file name, because some readers (DuckDB) refuse a comment or an extra field; not the time, because seconds are
    too coarse. The time stays 0.
    """

    def __init__(self, epoch: int) -> None:
        self.head = b"\x1f\x8b\x08\x08" + bytes(4) + b"\x00\xff" + b"epoch-%d.ndjson\x00" % epoch
        self._deflate = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
        self._crc = 0
        self._length = 0

    def compress(self, piece: bytes) -> bytes:
        self._crc = zlib.crc32(piece, self._crc)
        self._length += len(piece)
        return self._deflate.compress(piece)

    def end(self, piece: bytes) -> bytes:
        deflate = self._deflate.copy()
        trailer = struct.pack("<II", zlib.crc32(piece, self._crc), (self._length + len(piece)) & 0xFFFFFFFF)
        return deflate.compress(piece) + deflate.flush() + trailer


class Body:
    """The body of an archive object, as far as it is written."""

    def __init__(self, compression: Compression, epoch: int) -> None:
        self._codec: _Codec = _Zstd(epoch) if compression == "zstd" else _Gzip(epoch)
        self._compressed = bytearray(self._codec.head)
        self._lines: list[bytes] = []
        self._size = 0  # of the lines that wait

    def write(self, lines: Iterable[bytes]) -> None:
        """Adds lines."""
        for line in lines:
            self._lines.append(line)
            self._size += len(line)
            if self._size >= PIECE:
                self._compressed += self._codec.compress(b"".join(self._lines))
                self._lines.clear()
                self._size = 0

    def read(self) -> bytes:
        """The complete object so far; writing can go on afterwards."""
        return bytes(self._compressed) + self._codec.end(b"".join(self._lines))
