"""The daemon's end of the conversations, without Java: gives recorded deliveries to a multi-language child per shard.

    python -m tests.bench.feed SOCKET [COMMAND]

The service starts it as its `java`, so that everything but Java is what production runs; COMMAND is then the
connector, from the properties file. For the other peers COMMAND is their program. It connects to the bench at SOCKET
and answers one JSON line for each that it gets:

    {"open": SHARDS}           starts the children and initialises them; answers with their process ids
    {"part": N, "readings": R, "since": MS, "per_record": P, "size": S, "padding": B}
                               each child gets part N of the recorded input, in deliveries of S records, B bytes
                               more in each reading (or none); answers with the seconds that it took
"""

import json
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.bench.recorded import deliveries, records

VERSION = 'openjdk version "17.0.0"'


class Child:
    """One shard's conversation with a child of its own."""

    def __init__(self, command: str, shard: str) -> None:
        self._process = subprocess.Popen(shlex.split(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self._process.pid
        self._shard = shard

    def initialize(self) -> None:
        first = {"action": "initialize", "shardId": self._shard, "sequenceNumber": "TRIM_HORIZON"}
        self.give(json.dumps(first | {"subSequenceNumber": 0}).encode() + b"\n")

    def give(self, line: bytes) -> None:
        """Returns when the child has answered; it may checkpoint before."""
        self._send(line)
        assert self._process.stdout
        for answer in self._process.stdout:
            if not answer.strip():
                continue
            message = json.loads(answer)
            if message["action"] == "status":
                return
            self._send(json.dumps(message | {"error": None}).encode() + b"\n")
        raise SystemExit(f"the child of {self._shard} has ended")

    def _send(self, line: bytes) -> None:
        assert self._process.stdin
        self._process.stdin.write(line)
        self._process.stdin.flush()


class Feeder:
    """The children of all shards."""

    def __init__(self, command: str) -> None:
        self._command = command
        self._children: list[Child] = []

    def open(self, shards: int) -> list[int]:
        """Starts and initialises a child per shard; returns their process ids."""
        self._children = [Child(self._command, f"shardId-{place:012d}") for place in range(shards)]
        self._each(Child.initialize)
        return [child.pid for child in self._children]

    def feed(self, part: int, readings: int, since: int, per_record: int, size: int, padding: int = 0) -> float:
        """Gives every shard the same part; returns seconds, without those for making it."""
        lines = deliveries(list(records(part, readings, since, per_record, padding)), size)
        began = time.monotonic()
        self._each(lambda child: [child.give(line) for line in lines])
        return time.monotonic() - began

    def _each(self, work: Any) -> None:
        with ThreadPoolExecutor(len(self._children)) as threads:
            list(threads.map(work, self._children))


def main(arguments: Sequence[str]) -> None:
    path, *rest = arguments
    if "-version" in rest:
        sys.stderr.write(f"{VERSION}\n")
        return
    command = rest[0]
    if "--properties-file" in rest:
        text = Path(rest[rest.index("--properties-file") + 1]).read_text()
        found = re.search(r"^executableName *= *(.*)$", text, re.MULTILINE)
        assert found
        command = found[1]
    feeder = Feeder(command)
    with socket.socket(socket.AF_UNIX) as bench:
        bench.connect(path)
        for line in bench.makefile("rb"):
            order = json.loads(line)
            answer = feeder.open(order["open"]) if "open" in order else feeder.feed(**order)
            bench.sendall(json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    main(sys.argv[1:])
