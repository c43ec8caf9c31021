"""pip-audit itself, against vulnerability data of our own: nothing is green that was not looked at."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from infra import dependencies
from infra.dependencies import audit, pinned, report
from infra.local.emulator import free_port
from infra.local.process import ROOT

KNOWN = {
    "id": "GHSA-test",
    "aliases": ["CVE-2026-1"],
    "summary": "bad",
    "modified": "2026-01-01T00:00:00Z",
    "affected": [
        {
            "package": {"name": "broken", "ecosystem": "PyPI"},
            "versions": ["1.0"],
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}],
        }
    ],
}


class Database(BaseHTTPRequestHandler):
    """Speaks as OSV does; it knows of broken 1.0."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = (asked["package"]["name"], asked["version"]) == ("broken", "1.0")
        body = json.dumps({"vulns": [KNOWN]} if known else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def osv() -> Iterator[tuple[str, ...]]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Database) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield "osv", "--osv-url", f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def nobody() -> tuple[str, ...]:
    return "osv", "--osv-url", f"http://127.0.0.1:{free_port()}/"


def test_what_is_known_is_found(osv: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    pins = [("broken", "1.0"), ("broken", "1.1"), ("sound", "1.0")]
    assert report(pins, audit(pins, [osv])) == 1
    assert capsys.readouterr() == ("broken 1.0: CVE-2026-1, GHSA-test; fixed in 1.1\n", "")


def test_when_nothing_is_known_that_is_said(osv: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    pins = [("broken", "1.1"), ("sound", "1.0")]
    assert report(pins, audit(pins, [osv])) == 0
    assert capsys.readouterr() == ("2 dependencies checked: nothing is known against them\n", "")


def test_without_data_it_says_that_nothing_was_checked(capsys: pytest.CaptureFixture[str]) -> None:
    pins = [("broken", "1.0"), ("sound", "1.0")]
    assert report(pins, audit(pins, [nobody()])) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("audit-dependencies: 2 of 2 dependencies could NOT be checked (osv: ")
    assert captured.err.count("\n") == 1


def test_the_next_source_is_asked_for_what_is_left(osv: tuple[str, ...]) -> None:
    answer = audit([("broken", "1.0")], [nobody(), osv])
    assert (len(answer.findings), answer.unchecked) == (1, [])


def test_a_package_that_the_source_does_not_know_is_not_fine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What pip-audit prints where the index has no data; with it, it ends with 0."""
    answer = {
        "dependencies": [{"name": "some-thing", "skip_reason": "not found"}, {"name": "b", "version": "1", "vulns": []}]
    }
    program = tmp_path / "pip-audit"
    program.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n")
    program.chmod(0o755)
    monkeypatch.setattr(dependencies, "PIP_AUDIT", program)
    pins = [("Some_Thing", "1"), ("b", "1")]
    assert report(pins, audit(pins, [("pypi",)])) == 3
    assert "1 of 2 dependencies could NOT be checked" in capsys.readouterr().err


def test_every_requirement_is_asked_about() -> None:
    files = list((ROOT / "requirements").glob("*.txt"))
    named = {
        line.split()[0].partition(";")[0]
        for file in files
        for line in file.read_text().splitlines()
        if line[:1].isalnum()
    }
    assert {f"{name}=={version}" for name, version in pinned(files)} == named
    assert len(named) > 100
