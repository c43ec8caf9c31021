"""PAYLOAD_DECODER: a function of the operator's own, for payloads that no contract can describe. docs/contracts.md.

The function runs in this process, on the event loop's thread. What it does wrong is a reject of the record: an
exception, an answer of no use, and an answer that takes longer than LIMIT, for which a timer interrupts it.
"""

import importlib
import re
import signal
import threading
from collections.abc import Callable
from typing import Any, Final

LIMIT: Final = 0.2
"""Seconds for one record."""

_NAME = re.compile(r"(?P<module>[A-Za-z_][\w.]*):(?P<function>[A-Za-z_]\w*)")


class TooSlow(BaseException):
    """Not an Exception, or the function's own handlers would take it for one of theirs."""


class OwnDecoder:
    """`(payload, partition key) -> messages`, bounded in time."""

    def __init__(self, name: str, function: Callable[[bytes, str], Any]) -> None:
        self.name = name
        self._function = function
        self._running = self._late = False

    def __call__(self, data: bytes, partition_key: str) -> Any:
        """What the function answers. Raises what it raises, and TimeoutError when it takes too long.

        A timer can interrupt the main thread only; elsewhere (a replay) the function may take its time.
        """
        if threading.current_thread() is not threading.main_thread():
            return self._function(data, partition_key)
        before = signal.signal(signal.SIGALRM, self._interrupt)
        self._running, self._late = True, False
        # Again and again: a bare `except:` in the function might swallow the first one.
        signal.setitimer(signal.ITIMER_REAL, LIMIT, LIMIT)
        try:
            answer = self._function(data, partition_key)
        except TooSlow:
            answer = None
        finally:
            self._running = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        if self._late:
            raise TimeoutError(f"no answer within {LIMIT:g} s")
        return answer

    def _interrupt(self, *_: object) -> None:
        if self._running:
            self._late = True
            raise TooSlow


def load(name: str) -> OwnDecoder:
    """The function that `package.module:function` names. Raises ValueError."""
    found = _NAME.fullmatch(name)
    if found is None:
        raise ValueError(f"must be package.module:function, not {name[:80]!r}")
    try:
        function = getattr(importlib.import_module(found["module"]), found["function"])
    except Exception as error:  # noqa: BLE001  # whatever the module does when it is imported
        raise ValueError(f"{name} cannot be imported: {type(error).__name__}: {error}") from None
    if not callable(function):
        raise ValueError(f"{name} is no function")
    return OwnDecoder(name, function)
