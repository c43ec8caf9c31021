"""Unpacks archive objects, by their first bytes."""

import sys
import zlib

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["unpacked", "zstd"]


def unpacked(body: bytes) -> bytes:
    """The lines of an object in zstd or gzip; fails if it is not complete, or if bytes follow it."""
    if not body.startswith(b"\x1f\x8b"):
        return zstd.decompress(body)
    member = zlib.decompressobj(zlib.MAX_WBITS | 16)
    lines = member.decompress(body)
    assert member.eof
    assert not member.unused_data
    return lines
