"""The checks of `sensorstream doctor` on the ways to ask for readings. Both ask for a device that there cannot be."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ConnectionError as NoConnection
from botocore.exceptions import HTTPClientError

from producer.aws.errors import explain
from producer.aws.query_api import QueryApi, Refused
from producer.aws.stack import Stack
from producer.ops.doctor import Check

NOTHING = {"Items": [], "Count": 0, "ScannedCount": 0}
FAILED = "look into the log of the query function (docs/operations.md), deploy again"
DENIED = "take on the stack's operator or client role, or have execute-api:Invoke on this API given to yours"
NO_WAY = "a way out to it from here: DNS, the firewall's port 443, a proxy (HTTPS_PROXY)"


def _no_device() -> str:
    return f"no-such-device-{uuid.uuid4().hex}"


def function(stack: Stack) -> Iterator[Check]:
    """The query function, invoked."""
    request = json.dumps({"operation": "query", "sensorid": _no_device()}).encode()
    answer = stack.session.client("lambda").invoke(FunctionName=stack.api_function, Payload=request)
    text = answer["Payload"].read()
    good = "FunctionError" not in answer and _parsed(text) == NOTHING
    yield _check("query", good, "the function answers", text)


def over_http(stack: Stack) -> Iterator[Check]:
    """The query API: whether it can be reached, lets this caller in, and knows what it is asked."""
    device = _no_device()
    try:
        answer = QueryApi(stack.session, stack.query_url).get("/readings", device=device)
    except (NoConnection, HTTPClientError) as error:
        yield Check("query API", "finding", explain(error), NO_WAY)
    except Refused as error:
        yield Check("query API", "finding", str(error), DENIED if error.status in (401, 403) else FAILED)
    else:
        good = answer == {"device": device, "readings": []}
        yield _check("query API", good, f"{stack.query_url} answers", json.dumps(answer, default=str))


def _check(name: str, good: bool, detail: str, text: Any) -> Check:
    return Check(name, "ok", detail) if good else Check(name, "finding", f"{detail} {text[:200]!r}", FAILED)


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
