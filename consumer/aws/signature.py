"""Signature Version 4 for requests that differ only in their body: one operation, one address. Reads no clock.

What all requests of a second have in common is hashed once; each request adds its body's hash and two short ones. The
tests compare the signatures with those of botocore's signer.
"""

import hashlib
import hmac
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import quote, urlsplit

from botocore.exceptions import HTTPClientError

from consumer.aws.credentials import Keys

_PORTS: Final = {"http": 80, "https": 443}


class Signature:
    """Signs requests of one second with one set of keys."""

    def __init__(self, url: str, service: str, region: str, headers: Mapping[str, str], keys: Keys, at: float) -> None:
        """`url` without a query; `headers` are signed, their names in lower case; `at` in seconds since the epoch.

        Raises HTTPClientError where a key cannot stand in a header: a line break in it would add headers of its own.
        """
        if not all(text.isascii() and text.isprintable() for text in (keys.access_key, keys.token or "")):
            raise HTTPClientError(error="a key or a token has a character that a header may not have")
        parts = urlsplit(url)
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
        scope = f"{moment[:8]}/{region}/{service}/aws4_request"
        signed = {**headers, "host": _host(url), "x-amz-date": moment}
        if keys.token:
            signed["x-amz-security-token"] = keys.token
        names = ";".join(sorted(signed))
        path = parts.path or "/"
        canonical = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
        self._canonical = hashlib.sha256(f"POST\n{quote(path, safe='/~')}\n\n{canonical}\n{names}\n".encode())
        key = _signing_key(keys.secret_key, moment[:8], region, service)
        self._mac = hmac.new(key, f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n".encode(), "sha256")
        lines = "".join(f"{name}: {value}\r\n" for name, value in signed.items())
        credential = f"Credential={keys.access_key}/{scope}, SignedHeaders={names}"
        self._head = f"POST {path} HTTP/1.1\r\n{lines}authorization: AWS4-HMAC-SHA256 {credential}, Signature="

    def request(self, body: bytes) -> bytes:
        """The whole HTTP/1.1 request."""
        canonical, mac = self._canonical.copy(), self._mac.copy()
        canonical.update(hashlib.sha256(body).hexdigest().encode())
        mac.update(canonical.hexdigest().encode())
        return f"{self._head}{mac.hexdigest()}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body


def _host(url: str) -> str:
    """The Host header: without the scheme's own port."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else f"{parts.hostname}"
    return host if parts.port in (None, _PORTS[parts.scheme]) else f"{host}:{parts.port}"


@lru_cache(maxsize=2)
def _signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    key = b"AWS4" + secret.encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
