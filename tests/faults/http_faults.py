"""What services and networks do to single requests. Each function makes a fault for Proxy.fault."""

import asyncio
import json
import random
from collections.abc import Callable
from dataclasses import replace

from tests.faults.proxy import Fault, Forward, Reply, Request, Reset, altered

Which = Callable[[Request], bool]

TABLE_THROTTLE = "ProvisionedThroughputExceededException"


def names_table(table: str) -> Which:
    """Requests to DynamoDB that name this table: the daemon's lease tables go through the same door."""
    quoted = f'"{table}"'.encode()
    return lambda request: request.service == "dynamodb" and quoted in request.body


def to(service: str, method: str | None = None) -> Which:
    return lambda request: request.service == service and method in (None, request.method)


def share(which: Which, part: float, rng: random.Random) -> Which:
    return lambda request: which(request) and rng.random() < part


def refused(which: Which, status: int, error: str) -> Fault:
    """The service answers with an error, in its own protocol, and does nothing."""

    async def fault(request: Request, forward: Forward) -> Reply:
        return _error(request, status, error) if which(request) else await forward(request)

    return fault


def slow(which: Which, seconds: float) -> Fault:
    """The service does it at once, its answer takes so long."""

    async def fault(request: Request, forward: Forward) -> Reply:
        reply = await forward(request)
        if which(request):
            await asyncio.sleep(seconds)
        return reply

    return fault


def hanging(which: Which) -> Fault:
    """No answer, ever; nothing was done."""

    async def fault(request: Request, forward: Forward) -> Reply:
        if which(request):
            await asyncio.Event().wait()
        return await forward(request)

    return fault


def answer_lost(which: Which) -> Fault:
    """The request was executed, but its answer is lost."""

    async def fault(request: Request, forward: Forward) -> Reply:
        reply = await forward(request)
        if which(request):
            raise Reset
        return reply

    return fault


def answer_cut(which: Which) -> Fault:
    """It was done; the connection is reset in the middle of the answer."""

    async def fault(request: Request, forward: Forward) -> Reply:
        reply = await forward(request)
        return replace(reply, cut=True) if which(request) else reply

    return fault


def unprocessed(table: str, part: float, rng: random.Random) -> Fault:
    """BatchWriteItem takes some of the rows only and returns the others, as a table at its limit does."""
    which = names_table(table)

    async def fault(request: Request, forward: Forward) -> Reply:
        if not which(request) or not request.headers.get("x-amz-target", "").endswith(".BatchWriteItem"):
            return await forward(request)
        document = json.loads(request.body)
        rows = document["RequestItems"][table]
        left = [row for row in rows if rng.random() < part] or [rows[0]]
        taken = [row for row in rows if row not in left]
        if not taken:
            return _json({"UnprocessedItems": {table: left}})
        document["RequestItems"][table] = taken
        reply = await forward(altered(request, json.dumps(document).encode()))
        answer = json.loads(reply.body)
        answer.setdefault("UnprocessedItems", {}).setdefault(table, []).extend(left)
        return _json(answer) if reply.status == 200 else reply

    return fault


def _json(document: object, status: int = 200) -> Reply:
    return Reply(status, {"content-type": "application/x-amz-json-1.0"}, json.dumps(document).encode())


def _error(request: Request, status: int, error: str) -> Reply:
    if request.service == "s3":
        body = f"<?xml version='1.0'?><Error><Code>{error}</Code><Message>fault</Message></Error>".encode()
        return Reply(status, {"content-type": "application/xml"}, b"" if request.method == "HEAD" else body)
    if request.service == "cloudwatch":
        return Reply(status, {"x-amzn-query-error": f"{error};Receiver"}, b"")
    return _json({"__type": f"com.amazonaws.dynamodb.v20120810#{error}", "message": "fault"}, status)
