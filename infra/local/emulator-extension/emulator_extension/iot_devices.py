"""The device side of IoT Core: an endpoint that devices can reach, on loopback only, and device policies in force."""

import asyncio
import os
from collections.abc import Callable
from functools import partial

from ministack.core.responses import json_response
from ministack.services import iot

from emulator_extension.upstream import Json, Response, extends, replaces

# The emulator applies device policies only where IAM is enforced for all requests.
iot._WSSession._evaluates_policies = lambda session: session.certificate_id is not None
# AWS makes RSA keys of 2,048 bits. Here each would take 60 ms, in which nobody else is answered: neither the daemon
# that starts while a fleet is made, nor who asks for credentials and waits two seconds.
iot.sign_leaf_certificate = partial(iot.sign_leaf_certificate, key_type="ec256")


@extends(iot, "_describe_endpoint")
def describe(original: Callable[[Json], Response], query: Json) -> Response:
    """`iot:Data-ATS` is where devices connect; the emulator names its HTTP port, where MQTT is not spoken."""
    if query.get("endpointType", "iot:Data-ATS") != "iot:Data-ATS":
        return original(query)
    return json_response({"endpointAddress": f"localhost:{iot._mtls_port()}"})  # type: ignore[no-any-return]


@replaces(iot, "_mtls_start_locked")
async def listen() -> None:
    """Bind the MQTT listener to HTTP's host; the emulator binds every interface.

    A port that cannot be bound ends the emulator: its starter waits for both ports.
    """
    if iot._mtls_server is not None:
        return
    loop, port = asyncio.get_running_loop(), iot._mtls_port()
    try:
        iot._mtls_server = await loop.create_server(iot._MtlsAcceptor, host=os.environ["BIND_HOST"], port=port)
    except OSError as error:
        iot._mtls_logger.critical("MQTT port %s: %s", port, error)
        os._exit(3)
    iot._mtls_loop = loop
