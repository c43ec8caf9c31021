"""make watch: a Prometheus with the rules beside whatever local stack runs, at whichever port its consumer is."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from infra.local.emulator import free_port
from infra.local.process import ROOT


@pytest.fixture
def consumer() -> Iterator[str]:
    """Something that has metrics: its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(b"sensorstream_owned_shards 7\n")

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def watch(folder: Path, *words: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "infra.local", "watch", *words]
    env = os.environ | {"LOCAL_DIR": str(folder)}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)


def ask(url: str, path: str, **query: str) -> Any:
    with urllib.request.urlopen(f"{url}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=5) as answer:  # noqa: S310
        return json.load(answer)["data"]


def test_it_scrapes_the_running_stack_and_judges_by_the_rules(consumer: str, tmp_path: Path) -> None:
    (tmp_path / "env").write_text(f"export STREAM_NAME=x\nexport CONSUMER_URL={consumer}\n")
    url = f"http://127.0.0.1:{(port := free_port())}"
    process = watch(tmp_path, f"PROMETHEUS_PORT={port}")
    try:
        assert process.stdout
        assert f"{url}/alerts" in process.stdout.readline()
        assert f"{consumer}/metrics" in process.stdout.readline()
        deadline = time.monotonic() + 60
        while not (found := ask(url, "query", query="sensorstream_owned_shards")["result"]):
            assert time.monotonic() < deadline, "nothing was scraped"
            time.sleep(0.2)
        assert found[0]["value"][1] == "7"
        names = {rule["name"] for group in ask(url, "rules")["groups"] for rule in group["rules"]}
        assert len(names) > 10
    finally:
        process.send_signal(signal.SIGINT)
        out, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (0, ""), out


@pytest.mark.parametrize(
    ("env", "reported"),
    [
        (None, "no local stack runs here (there is no {folder}/env); start one in another terminal: make up"),
        ("export STREAM_NAME=x\n", "{folder}/env names no CONSUMER_URL; start the local stack again: make up"),
    ],
)
def test_without_a_local_stack_a_line_says_so(tmp_path: Path, env: str | None, reported: str) -> None:
    if env is not None:
        (tmp_path / "env").write_text(env)
    out, error = watch(tmp_path).communicate(timeout=60)
    assert (out, error) == ("", f"sensorstream: {reported.format(folder=tmp_path)}\n")
