"""DynamoDB Local, AWS's own: a second opinion on what the emulator of this stack says of tables.

`python -m infra.local.dynamodb` fetches it from Maven Central, or from the mirror that KCL_MVN_REPO_SEARCH_URL
names (as for the KCL's own jars): exactly the files of requirements/dynamodb-local.sha256. It brings its native library
for Linux on x86-64 only. AWS's licence for it allows development and tests.
"""

import hashlib
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from consumer.kcl.java import find
from infra.local.emulator import free_port

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".local-dynamodb"
FILES = ROOT / "requirements" / "dynamodb-local.sha256"
CENTRAL = "https://repo1.maven.org/maven2/"
MAIN = "com.amazonaws.services.dynamodbv2.local.main.ServerRunner"
START_SECONDS = 60


def fetch(folder: Path) -> None:
    """Downloads what is not there; SystemExit with one line when a file cannot be had or is another one."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [line.split() for line in FILES.read_text().splitlines()]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda pair: _fetch(folder, *pair), wanted))
    (folder / "ready").touch()
    print(f"DynamoDB Local: {len(wanted)} files are there", file=sys.stderr)


def _fetch(folder: Path, digest: str, path: str) -> None:
    target = folder / path.rpartition("/")[2]
    if target.is_file() and hashlib.sha256(target.read_bytes()).hexdigest() == digest:
        return
    url = (os.environ.get("KCL_MVN_REPO_SEARCH_URL") or CENTRAL) + path
    try:
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310 - https, or the mirror that was named
            data = answer.read()
    except (OSError, ValueError) as error:
        raise SystemExit(
            f"DynamoDB Local: {path} cannot be fetched ({error}); is Maven Central reachable? "
            "KCL_MVN_REPO_SEARCH_URL names a mirror"
        ) from None
    if hashlib.sha256(data).hexdigest() != digest:
        raise SystemExit(f"DynamoDB Local: {path} is not the file of {FILES.name}; nothing of it is used")
    target.write_bytes(data)


class DynamoDbLocal:
    """A server in memory, on a free port, while the context lasts."""

    def __init__(self, log: Path) -> None:
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._log = log

    def __enter__(self) -> Self:
        """RuntimeError when it does not start, or there is no Java."""
        java = find()
        if java is None:
            raise RuntimeError("no java >= 17; make setup installs one")
        command = [str(java), "-Xmx256m", f"-Djava.library.path={FOLDER}", "-cp", f"{FOLDER}/*", MAIN]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [*command, "-inMemory", "-sharedDb", "-disableTelemetry", "-port", str(self.port)],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                raise RuntimeError(f"DynamoDB Local does not start: {self._log.read_text()[-2000:]}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.endpoint, timeout=5):  # noqa: S310 - our own address
                return True
        except urllib.error.HTTPError:  # it wants a signature
            return True
        except OSError:
            return False


if __name__ == "__main__":
    fetch(FOLDER)
