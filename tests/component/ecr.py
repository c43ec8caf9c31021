"""A registry in the shape of ECR's: Basic authentication with the user AWS and the account's token, immutable tags,
repositories that have to be created beforehand. Plain HTTP on loopback."""

import base64
import hashlib
import json
import re
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, urlsplit

MANIFESTS = re.compile(r"/v2/(?P<name>.+)/manifests/(?P<reference>[^/]+)")
UPLOADS = re.compile(r"/v2/(?P<name>.+)/blobs/uploads/(?P<upload>[^/]*)")
BLOBS = re.compile(r"/v2/(?P<name>.+)/blobs/(?P<reference>sha256:[0-9a-f]{64})")


class Registry:
    """`manifests` are digest by (repository, tag); `refused` counts requests without the right password."""

    def __init__(self, password: str, repositories: set[str]) -> None:
        self.password, self.repositories = password, repositories
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[tuple[str, str], str] = {}
        self.refused = 0
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"registry": self}))
        self.address = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class _Handler(BaseHTTPRequestHandler):
    registry: Registry

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _error(self, status: int, code: str, message: str) -> None:
        self._answer(status, json.dumps({"errors": [{"code": code, "message": message}]}).encode())

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        expected = "Basic " + base64.b64encode(f"AWS:{self.registry.password}".encode()).decode()
        if self.headers.get("Authorization") != expected:
            self.registry.refused += 1
            self._answer(
                401, b"Not Authorized\n", WWW_Authenticate='Basic realm="https://registry/",service="ecr.amazonaws.com"'
            )
            return
        path = urlsplit(self.path)
        if path.path == "/v2/":
            self._answer(200)
            return
        for pattern, act in ((MANIFESTS, self._manifest), (UPLOADS, self._upload), (BLOBS, self._blob)):
            if found := pattern.fullmatch(path.path):
                if found["name"] not in self.registry.repositories:
                    self._error(404, "NAME_UNKNOWN", f"The repository with name '{found['name']}' does not exist")
                else:
                    act(found, body)
                return
        self._error(404, "UNSUPPORTED", path.path)

    do_GET = do_HEAD = do_POST = do_PUT = _handle

    def _upload(self, found: re.Match[str], body: bytes) -> None:
        if self.command == "POST":
            self._answer(202, Location=f"/v2/{found['name']}/blobs/uploads/{uuid.uuid4()}")
            return
        [digest] = parse_qs(urlsplit(self.path).query)["digest"]
        if digest != digest_of(body):
            self._error(400, "DIGEST_INVALID", digest)
            return
        self.registry.blobs[digest] = body
        self._answer(201, Docker_Content_Digest=digest)

    def _blob(self, found: re.Match[str], _: bytes) -> None:
        self._answer(200 if found["reference"] in self.registry.blobs else 404)

    def _manifest(self, found: re.Match[str], body: bytes) -> None:
        place, digest = (found["name"], found["reference"]), digest_of(body)
        if self.command != "PUT":
            known = self.registry.manifests.get(place)
            self._answer(200 if known else 404, Docker_Content_Digest=known or "none")
            return
        manifest = json.loads(body)
        parts = [manifest["config"], *manifest["layers"]]
        if missing := [part["digest"] for part in parts if part["digest"] not in self.registry.blobs]:
            self._error(404, "BLOB_UNKNOWN", missing[0])
        elif self.registry.manifests.setdefault(place, digest) != digest:
            self._error(400, "TAG_INVALID", f"The image tag '{place[1]}' already exists and cannot be overwritten")
        else:
            self._answer(201, Docker_Content_Digest=digest)
