"""Messages on the wire, as devices publish them: whatever becomes of them afterwards."""

import json
import secrets
import threading
import time
from collections.abc import Callable
from typing import Any

from producer.aws.stack import Stack, ca_file, devices_dir
from producer.fleet.credentials import Credentials
from producer.fleet.message import iso_utc
from producer.fleet.temporary import TemporaryDevices
from producer.fleet.topics import DEVICE
from producer.ops.dead_letters import payload


def filters(stack: Stack) -> list[str]:
    """All topics of the deployment's devices."""
    return [str(pattern).replace(DEVICE, "+") for pattern in stack.topics]


def as_json(topic: str, data: bytes) -> str:
    """A message on one line: when it was heard, its topic, its payload as `text` or `base64`."""
    return json.dumps(_heard(topic) | {"bytes": len(data), **payload(data)})


def as_text(topic: str, data: bytes) -> str:
    """The same for people."""
    ((form, content),) = payload(data).items()
    heard = _heard(topic)
    return f"{heard['at']}  {topic}  {' '.join(content.split())}" + ("" if form == "text" else f"  ({form})")


def _heard(topic: str) -> dict[str, Any]:
    return {"at": iso_utc(time.time_ns() // 1_000_000), "topic": topic}


def watch(stack: Stack, wanted: list[str], heard: Callable[[str, bytes], None], stop: threading.Event) -> str | None:
    """Until `stop`, with a certificate that may receive and nothing else, and is taken away at the end; returns what is
    left of it, if anything. Raises UserError."""
    from producer.fleet.mqtt import listen

    name, folder = f"{stack.name}-watch-{secrets.token_hex(3)}", devices_dir()
    device = TemporaryDevices(stack.session, stack.watch_policy, folder)
    left = None
    try:
        device.make([name], stop, lambda _: None)
        if not stop.is_set():
            credentials = Credentials(name, folder / name)
            end = listen(stack.iot_host, stack.iot_port, ca_file(), credentials, wanted, heard)
            stop.wait()
            end()
    finally:
        left = device.take_away()
    return left
