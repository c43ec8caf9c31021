"""PAYLOAD_DECODER: a function of the operator's own, for payloads that no contract can describe. docs/contracts.md.

It runs in a process of its own (decoder_process.py), as nothing else ends a call into C that does not return, and
outlives one that crashes. docs/decisions/0023-decoder-process.md.
"""

import os
import pickle
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import weakref
from multiprocessing.connection import Connection
from typing import Any, Final

from consumer.decoder_process import REASON
from consumer.payload.values import Bad

LIMIT: Final = 0.5
"""Seconds for one record."""
START_SECONDS: Final = 30
"""For the process to import the function's module."""

_NAME = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


class OwnDecoder:
    """`(payload, partition key) -> messages`, one call at a time. Raises ValueError if there is no such function."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._turn = threading.Lock()
        self._process = _Process(name)

    @property
    def pid(self) -> int:
        return self._process.pid

    def __call__(self, data: bytes, partition_key: str) -> Any:
        """What the function answers, in the types of parsed JSON: a message, a list of messages, or None; a Bad if it
        fails. Never raises. Takes LIMIT at most, and the start of a new process if one is needed."""
        with self._turn:
            # A process may have been ended by others, and that is no fault of the payload: it gets a second one.
            for _ in range(2):
                try:
                    if self._process.ended:
                        self._process = _Process(self.name)
                    return self._process.ask(data, partition_key)
                except BlockingIOError:
                    self._process.end()
                    return Bad(REASON, f"no answer within {LIMIT:g} s")
                except (EOFError, ConnectionError):
                    why = self._process.end()
                except ValueError as error:
                    return Bad(REASON, str(error))
            return Bad(REASON, f"its process ended: {why}")


class _Process:
    """A running process that has imported the function. Raises ValueError."""

    def __init__(self, name: str) -> None:
        ours, theirs = socket.socketpair()
        for direction in (socket.SO_SNDTIMEO, socket.SO_RCVTIMEO):
            ours.setsockopt(socket.SOL_SOCKET, direction, struct.pack("ll", 0, int(LIMIT * 1_000_000)))
        self._connection = Connection(ours.detach())
        command = [sys.executable, "-P", "-m", "consumer.decoder_process", str(theirs.fileno()), name]
        environ = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        with theirs:
            try:
                # What the function prints goes to stderr, where it is in nobody's way.
                self._popen = subprocess.Popen(
                    command, env=environ, stdin=subprocess.DEVNULL, stdout=2, pass_fds=[theirs.fileno()]
                )
            except OSError as error:
                self._connection.close()
                raise ValueError(f"{name}: its process cannot be started: {error.strerror}") from None
        self._finalize = weakref.finalize(self, _end, self._popen, self._connection)
        try:
            fault = self._connection.recv() if self._connection.poll(START_SECONDS) else f"{START_SECONDS} s are over"
        except (EOFError, ConnectionError):
            fault = f"its process ended: {self.end()}"
        if fault:
            self.end()
            raise ValueError(f"{name} cannot be imported: {fault}")

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def ended(self) -> bool:
        return self._popen.poll() is not None

    def ask(self, data: bytes, partition_key: str) -> Any:
        """Raises BlockingIOError when the answer is late, EOFError or ConnectionError when the process has ended."""
        self._connection.send((data, partition_key))
        return pickle.loads(self._connection.recv_bytes())  # noqa: S301  # our own process, see decoder_process.py

    def end(self) -> str:
        """Ends it; how it ended, for people."""
        self._finalize()
        code = self._popen.returncode
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


def _end(popen: "subprocess.Popen[bytes]", connection: Connection) -> None:
    connection.close()
    # It may be ending by itself, and how it does is worth knowing.
    try:
        popen.wait(0.1)
    except subprocess.TimeoutExpired:
        popen.kill()
        popen.wait()


def load(name: str) -> OwnDecoder:
    """`package.module:function`"""
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"must be package.module:function, not {name[:80]!r}")
    return OwnDecoder(name)
