"""What DynamoDB and what stands before it may answer to BatchWriteItem, by a real server: botocore's exceptions."""

import asyncio
import json
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate

import pytest
from botocore import exceptions as sdk
from hypothesis import given
from hypothesis import strategies as st

from consumer.aws.codes import NON_RETRYABLE, THROTTLED, code
from consumer.aws.credentials import Credentials, Keys
from consumer.aws.dynamodb import Operation
from consumer.aws.errors import NotRenewed, NotUnderstood, explain
from consumer.aws.http1 import Answer
from consumer.aws.retry import FAILURES
from tests.unit.http_server import Request, Server, answer
from tests.unit.test_signature import botocores

REGION = "eu-central-1"
WRITTEN = b'{"UnprocessedItems":{}}'
WARNED = "com.amazonaws.dynamodb.v20120810#"


class Chain(Credentials):
    """Keys that change; None: they could not be renewed."""

    def __init__(self) -> None:
        self.current: Keys | None = Keys("AKID", "secret", "token", None)

    async def keys(self) -> Keys:
        if self.current is None:
            raise NotRenewed(why="no answer")
        return self.current


@asynccontextmanager
async def sending(server: Server, chain: Chain | None = None) -> AsyncIterator[Operation]:
    made = Operation("BatchWriteItem", server.url, REGION, chain or Chain(), None)
    try:
        yield made
    finally:
        await made.close()


def says(server: Server, body: bytes = WRITTEN, status: str = "200 OK", **headers: object) -> None:
    async def reply(request: Request) -> None:
        request.write(answer(body, status, **headers))

    server.reply = reply


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server().running() as running:
        says(running)
        yield running


def error(name: str, message: str = "why") -> bytes:
    return json.dumps({"__type": WARNED + name, "message": message}).encode()


def signed_at(request: Request) -> float:
    return time.mktime(time.strptime(request.headers["x-amz-date"], "%Y%m%dT%H%M%SZ")) - time.timezone


def well_signed(request: Request, keys: Keys) -> bool:
    host = f"http://{request.headers['host']}"
    expected = botocores(host, request.body, keys, REGION, signed_at(request))
    return request.headers["authorization"] == expected["authorization"]


async def refused(client: Operation, name: str) -> Exception:
    with pytest.raises(FAILURES) as raised:
        await client.send(b"{}")
    assert code(raised.value) == name
    return raised.value


async def test_a_request_is_what_botocore_would_send(server: Server) -> None:
    chain = Chain()
    async with sending(server, chain) as client:
        assert await client.send(b'{"RequestItems":{}}') == WRITTEN
    (request,) = server.requests
    assert (request.line, request.body) == ("POST / HTTP/1.1", b'{"RequestItems":{}}')
    assert request.headers["x-amz-target"] == "DynamoDB_20120810.BatchWriteItem"
    assert request.headers["content-type"] == "application/x-amz-json-1.0"
    assert chain.current
    assert well_signed(request, chain.current)


@pytest.mark.parametrize(
    ("status", "name"),
    [
        ("400 Bad Request", "ProvisionedThroughputExceededException"),
        ("400 Bad Request", "ThrottlingException"),
        ("400 Bad Request", "ResourceNotFoundException"),
        ("400 Bad Request", "ValidationException"),
        ("400 Bad Request", "ExpiredTokenException"),
        ("403 Forbidden", "AccessDeniedException"),
        ("500 Internal Server Error", "InternalServerError"),
        ("503 Service Unavailable", "ServiceUnavailable"),
    ],
)
async def test_a_refusal_has_dynamodbs_code(server: Server, status: str, name: str) -> None:
    says(server, error(name), status)
    async with sending(server) as client:
        raised = await refused(client, name)
        assert isinstance(raised, sdk.ClientError)
        assert raised.response["ResponseMetadata"]["HTTPStatusCode"] == int(status[:3])
        assert str(raised) == f"An error occurred ({name}) when calling the BatchWriteItem operation: why"
        await refused(client, name)
    assert server.connections == 1
    assert (name in THROTTLED, name in NON_RETRYABLE) == ("hrott" in name or "Throughput" in name, "Validation" in name)


@pytest.mark.parametrize(
    ("status", "body", "name"),
    [
        ("502 Bad Gateway", b"<html>\xff</html>", "502"),
        ("503 Service Unavailable", b"", "503"),
        ("429 Too Many", b"{}", "429"),
        ("403 Forbidden", b'["__type"]', "403"),
        ("307 Temporary Redirect", b"", "307"),
    ],
)
async def test_a_refusal_by_something_else_has_its_status_as_code(
    server: Server, status: str, body: bytes, name: str
) -> None:
    says(server, body, status)
    async with sending(server) as client:
        assert isinstance(await refused(client, name), sdk.ClientError)


@given(st.integers(300, 599), st.binary() | st.from_regex(rb'\{"(__type|code|message)": ?.*\}'), st.booleans())
def test_any_refusal_is_an_error_that_is_tried_again(status: int, body: bytes, typed: bool) -> None:
    headers = {"content-type": "application/x-amz-json-1.0", "x-amzn-requestid": "R"} if typed else {}
    client = Operation("BatchWriteItem", "http://localhost", REGION, Chain(), None)
    assert isinstance(client._refusal(Answer(status, headers, body)), FAILURES)


@pytest.mark.parametrize("status", ["201 Created", "204 No Content", "206 Partial Content"])
async def test_another_success_is_none(server: Server, status: str) -> None:
    says(server, b"" if "204" in status else WRITTEN, status)
    async with sending(server) as client:
        assert "what answers is not AWS" in explain(await refused(client, NotUnderstood.__name__))


async def test_a_damaged_answer_is_none(server: Server) -> None:
    async with sending(server) as client:
        for crc in (zlib.crc32(WRITTEN), f" {zlib.crc32(WRITTEN)} "):
            says(server, x_amz_crc32=crc)
            assert await client.send(b"{}") == WRITTEN
        for wrong in (0, "", "x"):
            says(server, x_amz_crc32=wrong)
            await refused(client, "ChecksumError")
        says(server, error("ValidationException"), "400 Bad Request", x_amz_crc32=zlib.crc32(WRITTEN))
        await refused(client, "ChecksumError")


@pytest.mark.parametrize("name", ["InvalidSignatureException", "RequestTimeTooSkewed"])
@pytest.mark.parametrize("ahead", [-86_400, 86_400])
async def test_a_wrong_clock_is_corrected_by_the_services(server: Server, name: str, ahead: int) -> None:
    """The server takes what is signed within 5 minutes of its time, as AWS does."""

    async def check(request: Request) -> None:
        now = time.time() + ahead
        good = abs(signed_at(request) - now) < 300
        message = "Signature expired" if ahead > 0 else "Signature not yet current"
        body, status = (WRITTEN, "200 OK") if good else (error(name, message), "400 Bad Request")
        request.write(answer(body, status, Date=formatdate(now, usegmt=True)))

    server.reply = check
    chain = Chain()
    async with sending(server, chain) as client:
        await refused(client, name)
        assert await client.send(b"{}") == WRITTEN
        assert chain.current
        assert well_signed(server.requests[-1], chain.current)
        ahead = 0  # this machine's clock was set
        await refused(client, name)
        assert await client.send(b"{}") == WRITTEN


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Nov 2026 11:27:00 GMT"])
async def test_a_refused_signature_without_a_time_changes_nothing(server: Server, date: str) -> None:
    says(server, error("InvalidSignatureException"), "400 Bad Request", **({"Date": date} if date else {}))
    async with sending(server) as client:
        for _ in range(2):
            await refused(client, "InvalidSignatureException")
    assert all(abs(signed_at(request) - time.time()) < 300 for request in server.requests)


async def test_renewed_keys_are_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    chain, now = Chain(), time.time()
    async with sending(server, chain) as client:
        for second in range(3):
            keys = chain.current = Keys(f"AKID{second}", "secret", None if second else "token", None)
            monkeypatch.setattr(time, "time", lambda at=now + second: at)
            await client.send(b"{}")
            assert well_signed(server.requests[-1], keys)
        chain.current = None
        monkeypatch.setattr(time, "time", lambda: now + 3)
        await refused(client, NotRenewed.__name__)
    assert len(server.requests) == 3


async def test_many_requests_at_a_time_are_each_signed_well(server: Server) -> None:
    chain = Chain()
    async with sending(server, chain) as client:
        await asyncio.gather(*(client.send(b"%d" % n) for n in range(50)))
    assert sorted(int(request.body) for request in server.requests) == list(range(50))
    assert chain.current
    assert all(well_signed(request, chain.current) for request in server.requests)
