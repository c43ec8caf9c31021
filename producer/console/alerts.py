"""Alerts as they happen, and the history of those of a policy.

What happens comes by a queue of this machine's own at the stack's alert topic, for as long as the console runs. Its
name is the same each time, so that the topic does not gather subscriptions; it is deleted at the end.
"""

import asyncio
import getpass
import hashlib
import json
import logging
import socket
import threading
import time
from collections import deque
from typing import Any

from aiohttp import web

from producer.aws.errors import AWS_ERRORS, explain
from producer.aws.stack import Stack
from producer.console.live import KEEP_ALIVE, Events
from producer.console.problems import problem
from producer.console.requests import Blocking
from producer.ops.alert_history import AlertHistory
from producer.ops.alerts import WAIT_SECONDS, console_queues, subscribed

log = logging.getLogger(__name__)

KEPT = 500
RETENTION = {"MessageRetentionPeriod": "3600"}  # seconds; what a killed console leaves does not pile up
PAUSE = 2.0  # seconds after a failure


def queue_name(stack: str) -> str:
    """One of this user on this machine."""
    own = f"{getpass.getuser()}@{socket.gethostname()}"
    return f"{console_queues(stack)}{hashlib.sha256(own.encode()).hexdigest()[:8]}"


def read(body: str) -> dict[str, Any]:
    """A notification: `id`, `at` (ISO), `text`; of an alert `device`, perhaps `value`; of an alarm `alarm`, `state`."""
    document = json.loads(body)
    given = {name: each["Value"] for name, each in document.get("MessageAttributes", {}).items()}
    found = {"id": given.get("id", document["MessageId"]), "at": document["Timestamp"]}
    found |= {name: given[name] for name in ("device", "value") if name in given}
    text = document.get("Message", "")
    try:
        inside = json.loads(text)
        if "AlarmName" in inside:
            alarm = {"alarm": inside["AlarmName"], "state": inside["NewStateValue"]}
            return found | alarm | {"text": inside["NewStateReason"]}
        text = inside["content"]["description"]  # a policy's format `chat`
    except (ValueError, KeyError, TypeError):
        pass
    return found | {"text": text.partition("\n")[0]}


async def noticed(history: AlertHistory, blocking: Blocking, request: web.Request) -> web.Response:
    """The handler of /api/alert-history: `?[before=][&after=][&device=]`, a page of notices, newest first, and `next`
    for the `before` of the next one."""
    wanted = {name: request.query[name] for name in ("before", "after", "device") if name in request.query}
    page = await blocking(history.page, **wanted)
    return web.json_response({"notices": [each._asdict() for each in page.notices], "next": page.next})


class Alerts:
    """The handler of /api/alerts. The queue is made when somebody looks first."""

    def __init__(self, stack: Stack, blocking: Blocking) -> None:
        self._stack = stack
        self._blocking = blocking
        self._sqs = stack.session.client("sqs")
        self._url: str | None = None
        self._opening = asyncio.Lock()
        self._stop = threading.Event()
        self._kept: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._listeners: set[asyncio.Queue[list[dict[str, Any]]]] = set()

    async def live(self, request: web.Request) -> web.StreamResponse:
        """`alerts` with those since the console began to listen, newest last; then with each that comes."""
        events = await Events.open(request)
        queue: asyncio.Queue[list[dict[str, Any]]] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            await self._open(events)
            await events.send("alerts", list(self._kept))
            while True:
                try:
                    await events.send("alerts", await asyncio.wait_for(queue.get(), KEEP_ALIVE / 2))
                except TimeoutError:
                    await events.send("alive", {})
        except ConnectionResetError:
            return web.Response()
        finally:
            self._listeners.discard(queue)

    async def close(self) -> None:
        """Deletes the queue, if it was made."""
        self._stop.set()
        if self._url:
            try:
                await self._blocking(self._sqs.delete_queue, QueueUrl=self._url)
            except AWS_ERRORS as error:
                log.warning("the queue %s is left: %s", queue_name(self._stack.name), explain(error))

    async def _open(self, events: Events) -> None:
        """Returns when the queue is there; until then the page is told why not."""
        while not await self._opened(events):
            await events.send("alive", {})
            await asyncio.sleep(KEEP_ALIVE / 2)

    async def _opened(self, events: Events) -> bool:
        async with self._opening:
            if self._url:
                return True
            try:
                self._url = await self._blocking(subscribed, self._stack, queue_name(self._stack.name), RETENTION)
            except Exception as error:
                if (trouble := problem(error)) is None:
                    raise
                await events.send("problem", trouble)
                return False
            loop = asyncio.get_running_loop()
            threading.Thread(target=self._receive, args=(loop, self._url), name="alerts", daemon=True).start()
            return True

    def _receive(self, loop: asyncio.AbstractEventLoop, url: str) -> None:
        while not self._stop.is_set():
            try:
                answer = self._sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=WAIT_SECONDS)
                if messages := answer.get("Messages", []):
                    loop.call_soon_threadsafe(self._heard, [read(each["Body"]) for each in messages])
                    entries: Any = [{"Id": str(i), "ReceiptHandle": m["ReceiptHandle"]} for i, m in enumerate(messages)]
                    self._sqs.delete_message_batch(QueueUrl=url, Entries=entries)
            except AWS_ERRORS as error:
                if not self._stop.is_set():
                    log.warning("alerts: %s", explain(error))
                    time.sleep(PAUSE)

    def _heard(self, alerts: list[dict[str, Any]]) -> None:
        known = {each["id"] for each in self._kept}
        new = [each for each in alerts if each["id"] not in known]  # SQS and SNS may repeat
        self._kept.extend(new)
        for listener in self._listeners:
            listener.put_nowait(new)
