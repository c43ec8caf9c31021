"""What the peers write to: a lean server for DynamoDB, S3 and CloudWatch that keeps nothing.

    .local-aws/bin/python -m tests.bench.sink PORT EMULATOR [--delay MS] [--tls FOLDER]

It counts requests, items and bytes by operation, takes the age of rows if asked, and checks signatures: their presence
on each request, and every SAMPLE-th one in full. Other operations of DynamoDB (the KCL's leases) go to the EMULATOR.
`GET /bench` answers the counts, `GET /bench/ages` the ages since the last question.
"""

import argparse
import asyncio
import hashlib
import json
import re
import ssl
from collections import Counter
from datetime import datetime
from pathlib import Path
from time import time
from typing import Any

from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.bench.http import Connection, response

SAMPLE = 64
TABLES = re.compile(rb'"(sensors|devices)"')
ENTRY = b'{"PutRequest":{"Item":{"Bucket":'
"""How our service's entries in the list of devices begin, which are among its rows; the peers keep none."""
CBOR = re.compile(rb"\r\nsmithy-protocol: *rpc-v2-cbor")
KEYS = Credentials("test", "test")
AUTHORIZATION = re.compile(
    r"AWS4-HMAC-SHA256 Credential=[^/]+/\d{8}/([^/]+)/([^/]+)/aws4_request, ?SignedHeaders=([^,]+), ?Signature=(\w+)"
)
RECORDS = re.compile(rb"\r\nx-amz-meta-records: *(\d+)")
ROW_TIME = re.compile(rb'"Timestamp": ?\{"S": ?"([^"]+)"')


class Verifier(SigV4Auth):
    """Signs as the client has: with the hash of the body that its headers name, if they do."""

    def payload(self, request: Any) -> str:
        named = request.headers.get("x-amz-content-sha256")
        return str(named or hashlib.sha256(request.body).hexdigest())


class S3Verifier(Verifier, S3SigV4Auth):
    """The same for S3, where paths are signed as they are."""


class Counts:
    """What has arrived since the start; `ages`: ms from measurement to row, since they were last taken."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.items: Counter[str] = Counter()
        self.size: Counter[str] = Counter()
        self.refused = 0
        self.ages: list[int] | None = None

    def take(self, ages: bool) -> Any:
        """What the bench asks for; ages are taken from the first question on."""
        if ages:
            found, self.ages = self.ages or [], []
            return found
        return {"requests": self.requests, "items": self.items, "bytes": self.size, "refused": self.refused}


def signed(method: str, path: str, headers: dict[str, str], body: bytes) -> bool:
    """Whether the signature of a request is right."""
    found = AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if not found:
        return False
    region, service, names, signature = found.groups()
    given = headers.get("x-amz-content-sha256", "")
    if re.fullmatch("[0-9a-f]{64}", given) and given != hashlib.sha256(body).hexdigest():
        return False
    kept = {name: headers.get(name, "") for name in names.split(";")}
    request = AWSRequest(method, f"http://{headers['host']}{path}", kept, body)
    request.context["timestamp"] = headers.get("x-amz-date", "")
    signer = (S3Verifier if service == "s3" else Verifier)(KEYS, service, region)
    canonical = signer.canonical_request(request)
    return bool(signer.signature(signer.string_to_sign(request, canonical), request) == signature)


class Server(Connection):
    """One connection of a peer."""

    def __init__(self, counts: Counts, emulator: str, delay: float) -> None:
        self._counts, self._emulator, self._delay = counts, emulator, delay

    def request(self, head: bytes, low: bytes, body: bytes) -> None:
        if head.startswith(b"GET /bench"):
            self.transport.write(response(json.dumps(self._counts.take(head.startswith(b"GET /bench/ages"))).encode()))
            return
        operation = _operation(low, body)
        if operation == "leases":
            self.background(self._forward(head, body))
            return
        counts = self._counts
        counts.requests[operation] += 1
        counts.size[operation] += len(body)
        if records := RECORDS.search(low):
            counts.items["archived"] += int(records[1])
        if b"\r\nauthorization: aws4-hmac-sha256 credential=" not in low or (
            counts.requests[operation] % SAMPLE == 1 and not signed(*_parsed(head), body)
        ):
            counts.refused += 1
            refusal = response(b'{"__type":"InvalidSignatureException","message":"wrong"}', status="403 Forbidden")
            self.transport.write(refusal)
            return
        if CBOR.search(low):
            self._answer(response(b"\xa0", "application/cbor", "200 OK", "smithy-protocol: rpc-v2-cbor"))
        else:
            self._answer(self._done(operation, body))

    def _done(self, operation: str, body: bytes) -> bytes:
        counts = self._counts
        if operation == "BatchWriteItem":
            entries = body.count(ENTRY)
            counts.items["devices"] += entries
            counts.items["rows"] += body.count(b'"PutRequest"') - entries
            if counts.ages is not None:
                now = int(time() * 1000)
                rows = body[: body.find(ENTRY)] if entries else body
                counts.ages += [now - _ms(found) for found in ROW_TIME.findall(rows)]
            return response(b'{"UnprocessedItems":{}}')
        if operation == "PutItem":
            counts.items["rows"] += 1
        if operation == "DescribeTable":
            return response(b'{"Table":{}}')
        if operation == "PutObject":
            etag = f'ETag: "{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
            return response(b"", "application/xml", "200 OK", etag)
        return response(b"" if operation == "HeadBucket" else b"{}")

    def _answer(self, message: bytes) -> None:
        if self._delay:
            asyncio.get_running_loop().call_later(self._delay, self.transport.write, message)
        else:
            self.transport.write(message)

    async def _forward(self, head: bytes, body: bytes) -> None:
        host, _, port = self._emulator.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(re.sub(rb"(?i)\r\nconnection:[^\r]*", b"", head) + b"\r\nConnection: close\r\n\r\n" + body)
        answer = await reader.read()
        writer.close()
        self.transport.write(re.sub(rb"(?i)\r\nconnection: close", b"", answer, count=1))


def _operation(low: bytes, body: bytes) -> str:
    """The operation of a request with this head in small letters; `leases` for those on other tables than ours."""
    if target := re.search(rb"\r\nx-amz-target: *dynamodb_20120810\.(\w+)", low):
        ours = {b"batchwriteitem": "BatchWriteItem", b"putitem": "PutItem", b"describetable": "DescribeTable"}
        return ours.get(target[1], "leases") if TABLES.search(body) else "leases"
    if low.startswith(b"put "):
        return "PutObject"
    return "HeadBucket" if low.startswith(b"head ") else "PutMetricData"


def _parsed(head: bytes) -> tuple[str, str, dict[str, str]]:
    first, *lines = head.decode().split("\r\n")
    method, path, _ = first.split(" ")
    pairs = (line.partition(":") for line in lines)
    return method, path, {name.strip().lower(): value.strip() for name, _, value in pairs}


def _ms(moment: bytes) -> int:
    return int(datetime.fromisoformat(moment.decode().replace("Z", "+00:00")).timestamp() * 1000)


def _tls(folder: Path) -> ssl.SSLContext:
    """Writes the authority's certificate to `folder`/ca.pem."""
    import trustme

    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


async def main(port: int, emulator: str, delay: float, tls: Path | None) -> None:
    counts = Counts()
    context = _tls(tls) if tls else None
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Server(counts, emulator, delay), "127.0.0.1", port, backlog=512, ssl=context
    )
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("emulator")
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--tls", type=Path)
    given = parser.parse_args()
    asyncio.run(main(given.port, given.emulator, given.delay / 1000, given.tls))
