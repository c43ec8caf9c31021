"""Kept connections against a real server, in all that servers, networks and proxies do to them."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from botocore import exceptions as sdk

from consumer.aws import connections, http1
from consumer.aws.codes import code
from consumer.aws.connections import Connections
from consumer.aws.retry import FAILURES
from tests.unit.http_server import Reply, Request, Server, answer


def post(body: bytes = b"x") -> bytes:
    return b"POST / HTTP/1.1\r\nhost: rows\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)


@asynccontextmanager
async def used(url: str, ca_bundle: str | None = None) -> AsyncIterator[Connections]:
    made = Connections(url, ca_bundle)
    try:
        yield made
    finally:
        await made.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with Server().running() as running:
        yield running


@pytest.fixture
async def client(server: Server) -> AsyncIterator[Connections]:
    async with used(server.url) as made:
        yield made


async def test_a_connection_is_kept(server: Server, client: Connections) -> None:
    for n in range(3):
        assert (await client.exchange(post(b"%d" % n))).body == b"{}"
    assert [request.body for request in server.requests] == [b"0", b"1", b"2"]
    assert server.connections == 1


async def test_there_are_as_many_connections_as_requests_at_a_time(server: Server, client: Connections) -> None:
    together = asyncio.Barrier(20)

    async def meet(request: Request) -> None:
        await together.wait()
        request.write(answer(request.body))

    server.reply = meet
    for _ in range(2):
        answers = await asyncio.gather(*(client.exchange(post(b"%d" % n)) for n in range(20)))
        assert [int(each.body) for each in answers] == list(range(20))
    assert server.connections == 20


def whole(*parts: bytes) -> Reply:
    """Each part in a packet of its own, as far as that can be had."""

    async def reply(request: Request) -> None:
        for part in parts:
            request.write(part)
            await request.writer.drain()
            await asyncio.sleep(0)

    return reply


@pytest.mark.parametrize(
    "parts",
    [
        [answer(b"hello", x="1")],
        [bytes([byte]) for byte in answer(b"hello", x="1")],
        [
            b"HTTP/1.1 200 OK\r\nX: 1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n",
            b"3;a=b\r\nllo\r\n",
            b"0\r\n\r\n",
        ],
        [b"HTTP/1.1 100 Continue\r\n\r\n", answer(b"hello", x="1")],
        [b"HTTP/1.1 103 Early Hints\r\nX: 2\r\n\r\n" + answer(b"hello", x="1")],
        [b"HTTP/1.1 200\r\ncontent-length: 5\r\nX:1\r\n\r\nhello"],
    ],
    ids=["once", "bytewise", "chunked", "continue", "hints", "no reason"],
)
async def test_an_answer_is_read_whatever_its_framing(server: Server, client: Connections, parts: list[bytes]) -> None:
    server.reply = whole(*parts)
    for _ in range(2):
        found = await client.exchange(post())
        assert (found.status, found.body, found.headers["x"]) == (200, b"hello", "1")
    assert server.connections == 1


@pytest.mark.parametrize(
    "given",
    [
        answer(connection="close"),
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        answer() + b"HTTP/1.1 ",
        answer() + answer(b"another"),
        answer() + b"\x00",
    ],
    ids=["close", "http 1.0", "half of another", "another", "rubbish"],
)
async def test_a_connection_that_is_not_in_order_is_not_used_again(
    server: Server, client: Connections, given: bytes
) -> None:
    server.reply = whole(given)
    for n in range(1, 4):
        assert (await client.exchange(post())).body == b"{}"
        assert server.connections == n


async def fail(client: Connections, expected: type[Exception], name: str) -> Exception:
    """A request fails, in a way that is tried again and counted under `name`."""
    with pytest.raises(expected) as raised:
        await client.exchange(post())
    assert isinstance(raised.value, FAILURES)
    assert code(raised.value) == name
    return raised.value


@pytest.mark.parametrize(
    "given",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n{}",
    ],
    ids=["none", "half a head", "half a body", "a chunk", "without its length"],
)
@pytest.mark.parametrize("reset", [True, False])
async def test_part_of_an_answer_is_none(server: Server, client: Connections, given: bytes, reset: bool) -> None:
    async def cut(request: Request) -> None:
        request.write(given)
        await request.writer.drain()
        if reset:
            request.reset()
        request.writer.close()

    server.reply = cut
    await fail(client, sdk.ConnectionClosedError, "ConnectionClosedError")
    server.reply = whole(answer(b"good"))
    assert (await client.exchange(post())).body == b"good"


@pytest.mark.parametrize(
    "given",
    [
        b"SSH-2.0-x\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n{}\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    ],
    ids=["another protocol", "two lengths", "a negative length", "a wrong chunk", "an upgrade"],
)
async def test_what_is_no_answer_ends_the_connection(server: Server, client: Connections, given: bytes) -> None:
    server.reply = whole(given)
    await fail(client, sdk.HTTPClientError, "HTTPClientError")
    server.reply = whole(answer(b"good"))
    assert (await client.exchange(post())).body == b"good"


async def test_an_answer_without_end_is_given_up(
    server: Server, client: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http1, "MAX_ANSWER", 1000)
    server.reply = whole(answer(bytes(2000)))
    await fail(client, sdk.HTTPClientError, "HTTPClientError")
    server.reply = whole(answer(bytes(900)))
    for _ in range(2):  # of each answer by itself
        assert len((await client.exchange(post())).body) == 900


async def never(request: Request) -> None:
    await asyncio.Event().wait()


async def test_an_answer_that_takes_too_long(
    server: Server, client: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.exchange(post())
    server.reply = never
    monkeypatch.setattr(connections, "ANSWER_SECONDS", 0.01)
    await fail(client, sdk.ReadTimeoutError, "ReadTimeoutError")
    monkeypatch.undo()
    server.reply = whole(answer(b"good"))
    assert (await client.exchange(post())).body == b"good"
    assert server.connections == 2


async def test_a_cancelled_request_ends_its_connection(server: Server, client: Connections) -> None:
    arrived = asyncio.Event()

    async def arrive(request: Request) -> None:
        arrived.set()
        await request.writer.wait_closed()

    server.reply = arrive
    task = asyncio.create_task(client.exchange(post()))
    await arrived.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    server.reply = whole(answer(b"good"))
    assert (await client.exchange(post())).body == b"good"
    assert server.connections == 2


async def test_an_answer_before_the_whole_request_ends_the_connection(server: Server, client: Connections) -> None:
    """As of a request that is too large: the rest of it must not be taken for another request."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        loop = asyncio.get_running_loop()

        async def early() -> socket.socket:
            accepted, _ = await loop.sock_accept(listening)
            await loop.sock_sendall(accepted, answer(status="413 Too Large"))
            return accepted

        serving = asyncio.create_task(early())
        async with used(f"http://127.0.0.1:{listening.getsockname()[1]}") as other:
            assert (await other.exchange(post(bytes(1 << 25)))).status == 413
            assert not other._idle
        (await serving).close()


async def test_the_server_may_end_a_connection_between_requests(server: Server, client: Connections) -> None:
    async def once(request: Request) -> None:
        request.write(answer())
        request.writer.close()

    server.reply = once
    for n in range(1, 4):
        await client.exchange(post())
        await client._idle[0].closed.wait()
        assert server.connections == n


@pytest.mark.parametrize("limit", ["IDLE_SECONDS", "AGE_SECONDS"])
async def test_an_old_connection_is_not_used_again(
    server: Server, client: Connections, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    await client.exchange(post())
    monkeypatch.setattr(http1, limit, 0.0)
    await client.exchange(post())
    await server.ended.wait()
    assert server.connections == 2


async def test_another_address_in_the_dns_gets_the_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    addresses = {"rows.test": "127.0.0.1"}
    real = socket.getaddrinfo

    def look_up(host: Any, *rest: Any, **options: Any) -> Any:
        return real(addresses.get(host, host), *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    async with (
        Server().running() as first,
        Server(host="127.0.0.2", port=first.port).running() as second,
        used(f"http://rows.test:{first.port}") as client,
    ):
        await client.exchange(post())
        addresses["rows.test"] = "127.0.0.2"
        await client.exchange(post())
        assert (len(first.requests), len(second.requests)) == (2, 0)
        monkeypatch.setattr(http1, "AGE_SECONDS", 0.0)
        await client.exchange(post())
        assert (len(first.requests), len(second.requests)) == (2, 1)


async def test_no_server_and_no_such_host() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and does not listen
        async with used(f"http://127.0.0.1:{bound.getsockname()[1]}") as client:
            await fail(client, sdk.EndpointConnectionError, "EndpointConnectionError")
    async with used("http://rows.invalid") as client:
        await fail(client, sdk.EndpointConnectionError, "EndpointConnectionError")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def context(authority: trustme.CA, *names: str) -> ssl.SSLContext:
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(made)
    return made


@pytest.fixture
def bundle(authority: trustme.CA, tmp_path: Path) -> str:
    path = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


async def test_tls_with_a_certificate_of_ca_bundle(authority: trustme.CA, bundle: str) -> None:
    tls = context(authority, "localhost")
    async with Server().running(tls) as server, used(f"https://localhost:{server.port}", bundle) as client:
        for _ in range(3):
            assert (await client.exchange(post(bytes(200_000)))).body == b"{}"
        assert server.connections == 1


async def test_a_certificate_for_another_name_or_of_another_authority(authority: trustme.CA, bundle: str) -> None:
    async with Server().running(context(authority, "example.org")) as server:
        for trusted, why in ((bundle, "Hostname mismatch"), (None, "unable to get local issuer")):
            async with used(f"https://localhost:{server.port}", trusted) as client:
                assert why in str(await fail(client, sdk.SSLError, "SSLError"))
        assert not server.requests


async def test_a_bundle_that_is_missing() -> None:
    async with Server().running() as server, used(f"https://localhost:{server.port}", "/nowhere/ca.pem") as client:
        assert "No such file" in str(await fail(client, sdk.HTTPClientError, "HTTPClientError"))


async def test_a_server_that_does_not_speak_tls(bundle: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with used("https://localhost:1", bundle) as client:
        await fail(client, sdk.EndpointConnectionError, "EndpointConnectionError")  # it has read the bundle
        with socket.create_server(("127.0.0.1", 0)) as silent:
            client._port = silent.getsockname()[1]
            monkeypatch.setattr(connections, "CONNECT_SECONDS", 0.01)
            await fail(client, sdk.ConnectTimeoutError, "ConnectTimeoutError")


class Proxy(Server):
    """Opens tunnels, with a `status` to be decided."""

    status = "200 Connection established"

    async def forward(self, request: Request) -> None:
        request.write(f"HTTP/1.1 {self.status}\r\n\r\n".encode())
        if self.status.startswith("200"):
            host, _, port = request.line.split()[1].rpartition(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            await asyncio.gather(pump(reader, request.writer), pump(request.reader, writer))


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
    writer.close()


@pytest.fixture
async def proxy(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Proxy]:
    proxy = Proxy()
    proxy.reply = proxy.forward
    async with proxy.running():
        for scheme in ("HTTP", "HTTPS"):
            monkeypatch.setenv(f"{scheme}_PROXY", f"http://me:p%40ss@127.0.0.1:{proxy.port}")
        yield proxy


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_of_the_environment(proxy: Proxy, authority: trustme.CA, bundle: str, scheme: str) -> None:
    tls = context(authority, "localhost") if scheme == "https" else None
    async with Server().running(tls) as server, used(f"{scheme}://localhost:{server.port}", bundle) as client:
        for _ in range(2):
            assert (await client.exchange(post())).body == b"{}"
        (request,) = proxy.requests
        assert request.line == f"CONNECT localhost:{server.port} HTTP/1.1"
        assert request.headers["proxy-authorization"] == "Basic bWU6cEBzcw=="
        assert server.connections == 1


async def test_a_proxy_that_is_spoken_to_by_tls(
    authority: trustme.CA, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, tls = Proxy(), context(authority, "localhost")
    proxy.reply = proxy.forward
    async with proxy.running(tls), Server().running(tls) as server:
        monkeypatch.setenv("HTTPS_PROXY", f"https://localhost:{proxy.port}")
        async with used(f"https://localhost:{server.port}", bundle) as client:
            for _ in range(2):
                assert (await client.exchange(post(bytes(100_000)))).body == b"{}"
        assert (len(proxy.requests), server.connections) == (1, 1)


async def test_a_host_that_needs_no_proxy(proxy: Proxy, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    async with used(server.url) as client:
        await client.exchange(post())
    assert not proxy.requests


async def test_a_proxy_that_refuses_and_one_that_is_absent(
    proxy: Proxy, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy.status = "407 Proxy Authentication Required"
    async with used(server.url) as client:
        error = await fail(client, sdk.ProxyConnectionError, "ProxyConnectionError")
    assert "p%40ss" not in str(error)
    monkeypatch.setenv("HTTP_PROXY", "127.0.0.1:1")
    async with used(server.url) as client:
        await fail(client, sdk.ProxyConnectionError, "ProxyConnectionError")
    assert not server.requests
