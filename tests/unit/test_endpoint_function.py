"""The endpoint function against an IoT Core that refuses a fresh role for a while; its response is received."""

import importlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.unit.policies import TEMPLATES

DENIED = (403, "AccessDeniedException", "User is not authorized to perform: iot:DescribeEndpoint")
INVALID = (400, "InvalidRequestException", "no such type of endpoint")
SLOW = (503, "ServiceUnavailableException", "later")


class Services:
    """IoT Core and the address that CloudFormation waits at: `refusals` come first, `lost` answers are refused."""

    def __init__(self, refusals: list[tuple[int, str, str]], lost: int = 0) -> None:
        self.refusals, self.lost = refusals, lost
        self.asked = 0
        self.reported: list[dict[str, Any]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"services": self}))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    services: Services

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""

    def _answer(self, status: int, document: dict[str, str], kind: str = "") -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("x-amzn-ErrorType", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        self.services.asked += 1
        if self.services.refusals:
            status, code, message = self.services.refusals.pop(0)
            self._answer(status, {"message": message}, code)
        else:
            self._answer(200, {"endpointAddress": "a1b2-ats.iot.example.com"})

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.services.lost:
            self.services.lost -= 1
            self._answer(503, {})
        else:
            self.services.reported.append(json.loads(body))
            self._answer(200, {})


class Clock:
    """Time that passes only by waiting, and the function's context."""

    def __init__(self, seconds: float) -> None:
        self.left = seconds
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.left -= seconds

    def get_remaining_time_in_millis(self) -> int:
        return int(self.left * 1000)


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    return importlib.import_module("infra.functions.endpoint.handler")


@pytest.fixture
def run(handler: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Handles one event of CloudFormation's."""
    running: list[Services] = []

    def call(services: Services, kind: str = "Create", seconds: float = 300) -> Clock:
        running.append(services)
        clock = Clock(seconds)
        config = Config(retries={"total_max_attempts": 1})
        client = boto3.client(
            "iot",
            "eu-central-1",
            endpoint_url=services.url,
            aws_access_key_id="x",
            aws_secret_access_key="x",
            config=config,
        )
        monkeypatch.setattr(handler, "iot", client)
        monkeypatch.setattr(handler, "time", clock)
        event = {"RequestType": kind, "ResponseURL": services.url, "StackId": "s", "RequestId": "r"}
        handler.handle(event | {"LogicalResourceId": "IotEndpoint"}, clock)
        return clock

    yield call
    for services in running:
        services.close()


def test_a_fresh_role_is_waited_for(run: Any) -> None:
    services = Services([DENIED] * 6)
    clock = run(services)
    [reported] = services.reported
    assert (reported["Status"], reported["Data"]) == ("SUCCESS", {"Address": "a1b2-ats.iot.example.com"})
    assert services.asked == 7
    assert clock.waits == sorted(clock.waits), "the waits grow"
    assert sum(clock.waits) > 30, "IAM may take that long"


def test_an_address_that_was_not_reached_is_tried_again(run: Any) -> None:
    services = Services([SLOW], lost=2)
    run(services)
    assert [reported["Status"] for reported in services.reported] == ["SUCCESS"]


def test_a_role_that_stays_without_permissions_is_reported_in_time(run: Any) -> None:
    services = Services([DENIED] * 1000)
    clock = run(services)
    [reported] = services.reported
    assert (reported["Status"], "iot:DescribeEndpoint" in reported["Reason"]) == ("FAILED", True)
    assert 10 < clock.left < 45


def test_what_time_does_not_cure_fails_at_once(run: Any) -> None:
    services = Services([INVALID] * 1000)
    clock = run(services)
    assert [reported["Status"] for reported in services.reported] == ["FAILED"]
    assert (services.asked, clock.waits) == (1, [])


def test_a_deletion_asks_nothing(run: Any) -> None:
    services = Services([DENIED] * 1000)
    run(services, "Delete")
    assert [reported["Status"] for reported in services.reported] == ["SUCCESS"]
    assert services.asked == 0


def test_cloudformation_waits_longer_than_the_function_may_run() -> None:
    made = TEMPLATES["data"]["Resources"]
    assert (
        made["IotEndpoint"]["Properties"]["ServiceTimeout"] > made["EndpointFunction"]["Properties"]["Timeout"] >= 120
    )


@pytest.mark.parametrize("name", ["ReadingsRule", "HumidityRule", "AlertInvocation"])
def test_what_is_checked_with_a_fresh_role_comes_after_one_has_been_seen_to_work(name: str) -> None:
    """IoT Core takes the rules' role on, Lambda looks whether the alert's may send to the queue, both at creation."""
    assert TEMPLATES["data"]["Resources"][name]["DependsOn"] == "IotEndpoint"
