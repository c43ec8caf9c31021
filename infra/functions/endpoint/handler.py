"""A custom resource whose attribute `Address` is the account's endpoint for devices.

A role that was made seconds ago may be refused for a while (IAM is consistent in the end), so what time can cure is
tried again, as long as the function may run.
"""

import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

REFUSED = {
    "AccessDenied",
    "AccessDeniedException",
    "InvalidClientTokenId",
    "UnauthorizedException",
    "UnrecognizedClientException",
}
FIRST_WAIT, MAX_WAIT = 1.0, 15.0  # seconds
ANSWER_SECONDS = 15.0  # seconds kept for the response to CloudFormation

iot = boto3.client("iot", config=Config(connect_timeout=5, read_timeout=5))
T = TypeVar("T")


class Context(Protocol):
    """The part of Lambda's context that is used."""

    def get_remaining_time_in_millis(self) -> int: ...


def handle(event: dict[str, Any], context: Context) -> None:
    """Answers CloudFormation at the event's ResponseURL, also when IoT Core refuses; else the stack waits in vain."""

    def left() -> float:
        return context.get_remaining_time_in_millis() / 1000 - ANSWER_SECONDS

    outcome: dict[str, Any] = {"Status": "SUCCESS"}
    if event["RequestType"] != "Delete":  # of which nothing was made
        try:
            outcome["Data"] = {"Address": patiently(address, left)}
        except (BotoCoreError, ClientError) as error:
            outcome = {"Status": "FAILED", "Reason": str(error)}
    same = {name: event[name] for name in ("StackId", "RequestId", "LogicalResourceId")}
    body = json.dumps({**same, "PhysicalResourceId": "iot-endpoint", **outcome}).encode()
    patiently(lambda: respond(event["ResponseURL"], body), lambda: left() + ANSWER_SECONDS - FIRST_WAIT)


def patiently(attempt: Callable[[], T], left: Callable[[], float]) -> T:
    """What the attempt returns, repeated with growing waits while time may cure its failure and seconds are left."""
    wait = FIRST_WAIT
    while True:
        try:
            return attempt()
        except (BotoCoreError, ClientError, OSError) as error:
            if left() < wait or not curable(error):
                raise
            print(f"trying again in {wait:.0f} s: {error}")
        time.sleep(wait)
        wait = min(2 * wait, MAX_WAIT)


def curable(error: Exception) -> bool:
    """Whether the same request may succeed a little later."""
    if not isinstance(error, ClientError):
        return True  # no connection, no answer, no credentials yet
    answer = error.response
    return answer["Error"]["Code"] in REFUSED or answer["ResponseMetadata"]["HTTPStatusCode"] in (
        429,
        500,
        502,
        503,
        504,
    )


def respond(url: str, body: bytes) -> None:
    """Puts the answer where CloudFormation, which signed the address, waits for it."""
    request = urllib.request.Request(url, data=body, method="PUT", headers={"Content-Type": ""})  # noqa: S310
    with urllib.request.urlopen(request, timeout=5):  # noqa: S310
        pass


def address() -> str:
    """Host, and a port where it is not 8883."""
    return str(iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"])
