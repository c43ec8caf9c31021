"""The device side of IoT Core: loopback only, an endpoint that devices can dial, and policies that hold."""

import asyncio
import os
from typing import Any

from ministack.core.responses import json_response
from ministack.services import iot


def install() -> None:
    original_describe = iot._describe_endpoint

    def describe(query: dict[str, Any]) -> Any:
        """`iot:Data-ATS` is where devices connect; the emulator names its HTTP port, which is not."""
        if query.get("endpointType", "iot:Data-ATS") == "iot:Data-ATS":
            return json_response({"endpointAddress": f"localhost:{iot._mtls_port()}"})
        return original_describe(query)

    iot._describe_endpoint = describe
    iot._mtls_start_locked = _listen
    # The emulator holds devices to their policies only where IAM is enforced for everybody.
    iot._WSSession._evaluates_policies = lambda session: session.certificate_id is not None


async def _listen() -> None:
    """Bind the MQTT listener to the host that HTTP is bound to; the emulator binds every interface.

    A port that cannot be bound ends the emulator: whoever starts it waits for both ports.
    """
    if iot._mtls_server is not None:
        return
    loop, port = asyncio.get_running_loop(), iot._mtls_port()
    host = os.environ["BIND_HOST"]
    try:
        iot._mtls_server = await loop.create_server(iot._MtlsAcceptor, host=host, port=port)
    except OSError as error:
        iot._mtls_logger.critical("MQTT port %s: %s", port, error)
        os._exit(3)
    iot._mtls_loop = loop
