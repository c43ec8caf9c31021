"""The process that runs the operator's decoder; own_decoder.py starts it and kills it when an answer is late.

    python -m consumer.decoder_process DESCRIPTOR package.module:function

DESCRIPTOR is a socket. First it says what is wrong with the function, or an empty text, then it answers one payload
after the other until the service closes the socket.
"""

import contextlib
import importlib
import pickle
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Final

from consumer.payload import encodings
from consumer.payload.values import Bad

ALONE_SECONDS: Final = 10
"""A call that takes longer ends this process: by then nobody waits for it, as the service has been killed."""
REASON: Final = "decoder-failed"


def main(descriptor: int, name: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to both; the service decides when to stop
    with Connection(descriptor) as service, contextlib.suppress(EOFError, ConnectionError):
        try:
            function = _function(name)
        except BaseException as error:  # noqa: BLE001  # whatever the module does when it is imported
            service.send(_shown(error))
            return
        service.send("")
        while True:
            data, partition_key = service.recv()
            # The kernel does it, whatever the function is busy with.
            signal.setitimer(signal.ITIMER_REAL, ALONE_SECONDS)
            answer = _answer(function, data, partition_key)
            signal.setitimer(signal.ITIMER_REAL, 0)
            service.send_bytes(answer)


def _function(name: str) -> Callable[[bytes, str], Any]:
    module, _, attribute = name.partition(":")
    function = getattr(importlib.import_module(module), attribute)
    if not callable(function):
        raise TypeError(f"{attribute} is no function")
    return function  # type: ignore[no-any-return]


def _answer(function: Callable[[bytes, str], Any], data: bytes, partition_key: str) -> bytes:
    """The function's answer in the types of parsed JSON, or a Bad, pickled."""
    try:
        given = function(data, partition_key)
        if given is not None and type(given) not in (dict, list):
            return pickle.dumps(Bad(REASON, f"it answers {type(given).__name__}, neither dict nor list nor None"))
        answer = pickle.dumps(encodings.plain(given))
    except Bad as bad:
        return pickle.dumps(Bad(REASON, f"its answer is of no use: {bad.detail}"))
    except BaseException as error:  # noqa: BLE001  # whatever the operator's function raises
        return pickle.dumps(Bad(REASON, _shown(error)))
    if len(answer) > encodings.MAX_EXPANDED:
        return pickle.dumps(Bad(REASON, f"its answer is of no use: more than {encodings.MAX_EXPANDED} bytes"))
    return answer


def _shown(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001  # an error of the operator's own class
        text = ""
    return f"{type(error).__name__}: {text!a}"


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
