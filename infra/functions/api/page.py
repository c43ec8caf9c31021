"""Page tokens: where an answer ended, so that the next request goes on there. No I/O.

A token is a position and a checksum over the position and the request that it continues. So a token that was changed,
or that belongs to another request, is refused. The checksum has no key, and needs none: who makes a token of his own
gets what `from`, `to` or a name would have given him.
"""

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any

CHECKSUM = 12  # bytes


def token(request: list[Any], position: list[Any]) -> str:
    """The token for `position` in the answers to `request`; both are what JSON can write."""
    text = json.dumps(position).encode()
    return urlsafe_b64encode(_checksum(request, text) + text).decode().rstrip("=")


def position(request: list[Any], given: str) -> list[Any]:
    """The position in a token. Raises ValueError for one that `token` has not made for this request."""
    try:
        decoded = urlsafe_b64decode(given + "=" * (-len(given) % 4))
        text = decoded[CHECKSUM:]
        found: list[Any] = json.loads(text)
        good = token(request, found) == given
    except (ValueError, RecursionError):
        good = False
    if not good:
        raise ValueError("is not a page of this request; it goes with the same parameters as the answer that named it")
    return found


def _checksum(request: list[Any], text: bytes) -> bytes:
    return hashlib.blake2b(json.dumps(request).encode() + b"\0" + text, digest_size=CHECKSUM).digest()
