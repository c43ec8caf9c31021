"""Stand-ins for the places that give AWS credentials: the portal of the single sign-on and its token service, STS,
a container's address and a machine's metadata. All in one server on loopback; what they give lasts `seconds`."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

ROLE = "arn:aws:iam::123456789012:role/reader"


class Portal:
    """`given` counts what was given out; the n-th access key is `KEY<n>`. While `closed`, everything is refused."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.given = 0
        self.closed = False
        self.url = ""
        self.asked: list[str] = []

    def fresh(self) -> tuple[str, str, str, datetime]:
        self.given += 1
        number = self.given
        ends = datetime.now(UTC) + timedelta(seconds=self.seconds)
        return f"KEY{number}", f"planted-secret-{number}", f"planted-token-{number}", ends

    def answer(self, path: str, body: str, bearer: str) -> tuple[int, str]:
        self.asked.append(path)
        if self.closed:
            return 401, json.dumps({"__type": "UnauthorizedException", "message": "the session is over"})
        if path == "/token":  # of the single sign-on, by its refresh token
            assert json.loads(body)["refreshToken"] == "planted-refresh"
            return 200, json.dumps({"accessToken": "planted-login-2", "expiresIn": 3600, "tokenType": "Bearer"})
        if path == "/latest/api/token":
            return 200, "planted-imds"
        if path == "/latest/meta-data/iam/security-credentials/":
            return 200, "reader"
        key, secret, token, ends = self.fresh()
        moment = ends.strftime("%Y-%m-%dT%H:%M:%SZ")
        if path == "/federation/credentials":
            assert bearer.startswith("planted-login"), bearer
            given: dict[str, Any] = {"accessKeyId": key, "secretAccessKey": secret, "sessionToken": token}
            return 200, json.dumps({"roleCredentials": given | {"expiration": int(ends.timestamp() * 1000)}})
        if path == "/":
            action = parse_qs(body)["Action"][0]
            keys = f"<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>"
            keys += f"<SessionToken>{token}</SessionToken><Expiration>{moment}</Expiration>"
            user = f"<AssumedRoleUser><AssumedRoleId>A:s</AssumedRoleId><Arn>{ROLE}</Arn></AssumedRoleUser>"
            result = f"<{action}Result><Credentials>{keys}</Credentials>{user}</{action}Result>"
            return 200, f"<{action}Response>{result}</{action}Response>"
        given = {"AccessKeyId": key, "SecretAccessKey": secret, "Token": token, "Expiration": moment}
        return 200, json.dumps(given | {"Code": "Success", "Type": "AWS-HMAC"})


@contextmanager
def portal(seconds: float = 3600) -> Iterator[Portal]:
    """One that listens."""
    made = Portal(seconds)

    class Handler(BaseHTTPRequestHandler):
        def reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            bearer = self.headers.get("x-amz-sso_bearer_token", "")
            status, text = made.answer(urlsplit(self.path).path, body, bearer)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            if status == 401:
                self.send_header("x-amzn-ErrorType", "UnauthorizedException")
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do_PUT = reply

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
