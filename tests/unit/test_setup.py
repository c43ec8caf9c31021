"""Environments use the package indexes that pip knows; a command that is not a Python is reported."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from infra.indexes import configured, exports
from infra.local.process import ROOT

MIRROR = "https://user:secret@mirror.example.com/simple"


@pytest.mark.parametrize(
    ("options", "environ", "made"),
    [
        ({}, {}, {}),
        ({"index-url": [MIRROR]}, {}, {"UV_DEFAULT_INDEX": MIRROR}),
        ({}, {"PIP_INDEX_URL": MIRROR}, {"UV_DEFAULT_INDEX": MIRROR}),
        ({"index-url": ["https://other"]}, {"PIP_INDEX_URL": MIRROR}, {"UV_DEFAULT_INDEX": MIRROR}),
        ({"index-url": [MIRROR]}, {"UV_DEFAULT_INDEX": "https://own"}, {}),
        ({"index-url": [MIRROR]}, {"UV_INDEX_URL": "https://own"}, {}),
        (
            {"extra-index-url": ["https://a", "https://b"]},
            {},
            {"UV_INDEX": "https://a https://b", "UV_INDEX_STRATEGY": "unsafe-best-match"},
        ),
        ({"trusted-host": ["a", "b:80"]}, {}, {"UV_INSECURE_HOST": "a b:80"}),
        ({"cert": ["/x.pem"], "client-cert": ["/y.pem"]}, {}, {"SSL_CERT_FILE": "/x.pem", "SSL_CLIENT_CERT": "/y.pem"}),
        ({"cert": ["/x.pem"]}, {"SSL_CERT_FILE": "/own.pem"}, {}),
        ({"no-index": ["true"], "find-links": ["/a", "/b"]}, {}, {"UV_NO_INDEX": "true", "UV_FIND_LINKS": "/a,/b"}),
        ({"no-index": ["false"]}, {}, {}),
        ({"proxy": ["http://p:1"]}, {}, {"HTTPS_PROXY": "http://p:1", "HTTP_PROXY": "http://p:1"}),
    ],
)
def test_what_pip_knows_is_passed_to_uv(
    options: dict[str, list[str]], environ: Mapping[str, str], made: dict[str, str]
) -> None:
    assert exports(options, environ, image=False) == made


def test_the_image_is_built_with_the_indexes_and_with_no_file_of_this_machine() -> None:
    options = {"index-url": [MIRROR], "extra-index-url": ["https://a"], "cert": ["/x.pem"], "find-links": ["/wheels"]}
    assert exports(options, {"KCL_MVN_REPO_SEARCH_URL": "https://m"}, image=True) == {
        "PIP_INDEX_URL": MIRROR,
        "UV_DEFAULT_INDEX": MIRROR,
        "PIP_EXTRA_INDEX_URL": "https://a",
        "UV_INDEX": "https://a",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "KCL_MVN_REPO_SEARCH_URL": "https://m",
    }
    assert exports({}, {"UV_INDEX_URL": MIRROR}, image=True) == {"PIP_INDEX_URL": MIRROR, "UV_DEFAULT_INDEX": MIRROR}


def bare() -> dict[str, str]:
    """The environment without what it says of indexes."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_"))}


def test_pips_files_are_read_as_pip_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    config = tmp_path / "pip.conf"
    config.write_text(
        f"[global]\nindex-url = {MIRROR}\nextra-index-url =\n  https://a\n  https://b\n[install]\ntrusted-host = h\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    found = configured(sys.executable)
    assert found["index-url"] == [MIRROR]
    assert found["extra-index-url"] == ["https://a", "https://b"]
    assert found["trusted-host"] == ["h"]


@pytest.fixture
def mirror() -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """An index that has nothing: its address, and who asked it for what."""
    asked: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.headers.get("User-Agent", ""), self.path))
            self.send_error(404)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/simple", asked
    server.shutdown()
    thread.join()
    server.server_close()


def setup(python: str, env: Path, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    command = ["infra/setup.sh", python, str(env), "requirements/local.txt", "a test"]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=300, check=False)


def test_a_mirror_of_pips_configuration_is_asked_by_uv(
    tmp_path: Path, mirror: tuple[str, list[tuple[str, str]]]
) -> None:
    url, asked = mirror
    config, env = tmp_path / "pip.conf", tmp_path / "env"
    config.write_text(f"[global]\nindex-url = {url}\n")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(env)], check=True, timeout=120)
    # A pip that knows its configuration and a uv, as after the first step, which pip itself does.
    packages = next((ROOT / ".venv/lib").glob("python3*/site-packages"))
    next((env / "lib").glob("python3*/site-packages")).joinpath("pip.pth").write_text(f"{packages}\n")
    (env / "bin/uv").symlink_to(ROOT / ".venv/bin/uv")
    done = setup(sys.executable, env, {**bare(), "PIP_CONFIG_FILE": str(config), "UV_NO_CACHE": "1"})
    assert done.returncode == 1
    assert "is the package index reachable?" in done.stderr
    assert any(agent.startswith("uv/") and path.startswith("/simple/") for agent, path in asked), asked


@pytest.mark.parametrize(
    ("script", "reported"),
    [
        (
            "echo 'pyenv: python3: command not found' >&2; exit 127",
            "does not run: pyenv: python3: command not found; install",
        ),
        ("echo 3.8.1; [[ $2 != *sys.exit* ]]", "is Python 3.8.1, which is too old; install Python >= 3.11"),
    ],
)
def test_a_command_that_is_not_python_is_reported_in_a_line(tmp_path: Path, script: str, reported: str) -> None:
    shim = tmp_path / "python3"
    shim.write_text(f"#!/usr/bin/env bash\n{script}\n")
    shim.chmod(0o755)
    done = setup(str(shim), tmp_path / "env", bare())
    assert done.returncode == 1
    assert f"{shim} {reported}" in done.stderr
    assert done.stderr.count("\n") == 1
