"""Environments in which no request to AWS can work, each with what the one line about it must name.

`CASES` maps a name to a function that takes a folder to write in and the address of a stand-in for AWS that refuses
everything (`refusing`); it returns the environment and a pattern for the line.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

Case = tuple[dict[str, str], str]
Make = Callable[[Path, str], Case]

KEYS = {"AWS_ACCESS_KEY_ID": "AKIAPLANTEDPLANTED00", "AWS_SECRET_ACCESS_KEY": "planted-secret"}
PLANTED = "planted-token"
PAST = datetime.now(UTC) - timedelta(hours=1)


def base(folder: Path) -> dict[str, str]:
    """An environment with a region and without any credentials; botocore asks once and looks at no machine's role."""
    (folder / "config").touch()
    return {
        "HOME": str(folder),
        "AWS_CONFIG_FILE": str(folder / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(folder / "credentials"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_REGION": "eu-central-1",
    }


def profile(folder: Path, text: str, fix: str, **more: str) -> Case:
    (folder / "config").write_text(f"[profile p]\n{text}\n")
    return {"AWS_PROFILE": "p", **more}, fix


def process(folder: Path, printed: str, fix: str, code: int = 0) -> Case:
    script = folder / "process.py"
    script.write_text(f"import sys\nprint({printed!r})\nprint('process says no', file=sys.stderr)\nsys.exit({code})\n")
    return profile(folder, f"credential_process = {sys.executable} {script}", fix)


def answer(**changes: object) -> str:
    """What a credential process prints."""
    given = {"Version": 1, "AccessKeyId": "A", "SecretAccessKey": "planted-secret", "SessionToken": "planted-token"}
    return json.dumps(given | changes)


SSO_SESSION = """sso_session = s
sso_account_id = 123456789012
sso_role_name = Reader
[sso-session s]
sso_start_url = https://example.awsapps.com/start
sso_region = eu-central-1
sso_registration_scopes = sso:account:access"""
SSO_LEGACY = """sso_start_url = https://example.awsapps.com/start
sso_region = eu-central-1
sso_account_id = 123456789012
sso_role_name = Reader"""


def cached_login(
    folder: Path, name: str, expires: datetime, *, token: str = PLANTED, text: str | None = None, **more: str
) -> None:
    """A single sign-on's token where botocore looks for it (HOME must be the folder)."""
    cache = folder / ".aws/sso/cache"
    cache.mkdir(parents=True, exist_ok=True)
    login = {
        "startUrl": "https://example.awsapps.com/start",
        "region": "eu-central-1",
        "accessToken": token,
        "expiresAt": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        **more,
    }
    key = sha1(name.encode(), usedforsecurity=False).hexdigest()
    (cache / f"{key}.json").write_text(json.dumps(login) if text is None else text)


def _expired_login(folder: Path, _: str) -> Case:
    cached_login(folder, "https://example.awsapps.com/start", PAST)
    return profile(folder, SSO_LEGACY, "aws sso login --profile p")


def _expired_session(folder: Path, _: str) -> Case:
    cached_login(folder, "s", PAST)
    return profile(folder, SSO_SESSION, "aws sso login --profile p")


def _broken_login(folder: Path, _: str) -> Case:
    cached_login(folder, "s", PAST, text="{")
    return profile(folder, SSO_SESSION, "aws sso login --profile p")


def _broken_file(folder: Path, _: str) -> Case:
    (folder / "config").write_text("no section\n")
    return {}, "correct this file"


def _binary_file(folder: Path, _: str) -> Case:
    (folder / "config").write_bytes(b"[default]\nregion = \xff\n")
    return {}, "correct this file"


def _refused(code: str, fix: str) -> Make:
    return lambda _, server: (KEYS | {"AWS_ENDPOINT_URL": f"{server}/{code}"}, fix)


def _keys(fix: str, **more: str) -> Make:
    return lambda _, server: (KEYS | {"AWS_ENDPOINT_URL": server} | more, fix)


CASES: Mapping[str, Make] = {
    "none": lambda *_: ({}, "no AWS credentials: set AWS_PROFILE"),
    "half-a-key": lambda *_: ({"AWS_ACCESS_KEY_ID": "A"}, "set the missing part too"),
    "half-a-profile": lambda folder, _: profile(folder, "aws_access_key_id = A", "set the missing part too"),
    "no-profile": lambda *_: ({"AWS_PROFILE": "absent"}, "absent.*AWS_PROFILE must name a profile"),
    "broken-file": _broken_file,
    "binary-file": _binary_file,
    "sso-legacy": lambda folder, _: profile(folder, SSO_LEGACY, "aws sso login --profile p"),
    "sso-session": lambda folder, _: profile(folder, SSO_SESSION, "aws sso login --profile p"),
    "sso-legacy-expired": _expired_login,
    "sso-session-expired": _expired_session,
    "sso-broken-cache": _broken_login,
    "sso-incomplete": lambda folder, _: profile(folder, "sso_session = s", "sso.*AWS configuration|no AWS credentials"),
    "login-absent": lambda folder, _: profile(folder, "login_session = arn:aws:iam::1:user/u", "log in again|another"),
    "process-absent": lambda folder, _: profile(folder, "credential_process = /not/there", "/not/there.*correct it"),
    "process-fails": lambda folder, _: process(folder, "", "process says no.*credential_process", code=3),
    "process-no-json": lambda folder, _: process(folder, "planted-token", "not JSON.*credential_process"),
    "process-old-version": lambda folder, _: process(folder, answer(Version=2), "credential_process"),
    "process-no-key": lambda folder, _: process(folder, '{"Version": 1}', "credential_process"),
    "process-expired": lambda folder, _: process(folder, answer(Expiration=PAST.isoformat()), "expired"),
    "role-without-source": lambda folder, _: profile(
        folder, "role_arn = arn:aws:iam::123456789012:role/r", "role.*AWS configuration|source_profile"
    ),
    "role-of-itself": lambda folder, _: profile(
        folder, "role_arn = arn:aws:iam::123456789012:role/r\nsource_profile = q", "q.*AWS configuration"
    ),
    "web-identity-absent": lambda *_: (
        {"AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/r", "AWS_WEB_IDENTITY_TOKEN_FILE": "/not/there"},
        "/not/there.*correct it",
    ),
    "container-foreign": lambda *_: (
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://example.org/x"},
        "example.org.*AWS configuration",
    ),
    "container-refuses": lambda _, server: (
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{server}/AccessDenied"},
        "role",
    ),
    "container-no-token-file": lambda _, server: (
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": server, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": "/not/there"},
        "/not/there.*correct it",
    ),
    "nothing-listens": lambda *_: (KEYS | {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}, "is the local stack up"),
    "no-such-host": lambda *_: (KEYS | {"AWS_ENDPOINT_URL": "http://aws.invalid"}, "check the address"),
    "proxy-absent": lambda *_: (KEYS | {"HTTPS_PROXY": "http://127.0.0.1:1"}, "proxy"),
    "no-authority": lambda _, server: (
        KEYS | {"AWS_CA_BUNDLE": "/not/there", "AWS_ENDPOINT_URL": server.replace("http:", "https:")},
        "/not/there|AWS_CA_BUNDLE",
    ),
    "retry-mode": _keys("often.*AWS configuration", AWS_RETRY_MODE="often"),
    "attempts": _keys("often.*AWS configuration", AWS_MAX_ATTEMPTS="often"),
    "line-break": _keys("line break", AWS_SESSION_TOKEN="planted-token\nplanted"),
    "expired": _refused("ExpiredToken", "expired.*set AWS_ACCESS_KEY_ID"),
    "unknown-key": _refused("UnrecognizedClientException", "does not accept these credentials"),
    "denied": _refused("AccessDenied", "may not do this.*AWS_PROFILE"),
    "clock": _refused("RequestExpired", "clock"),
    "not-enabled": _refused("OptInRequired", "not enabled"),
    "throttled": _refused("Throttling", "try again"),
    "fails": _refused("InternalFailure", "try again"),
    "no-aws": _refused("garbage", "not AWS|no stack"),
}


@contextmanager
def refusing() -> Iterator[str]:
    """Address of a server that refuses each request with the error that the path begins with, in all of AWS's forms."""

    class Handler(BaseHTTPRequestHandler):
        def refuse(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            code = self.path.split("/")[1].partition("?")[0] or "AccessDenied"
            body = json.dumps({"__type": code, "message": "refused here", "Code": code}).encode()
            if "json" not in self.headers.get("Content-Type", "") and not self.headers.get("X-Amz-Target"):
                reported = f"<Error><Code>{code}</Code><Message>refused</Message></Error>"
                body = f"<ErrorResponse>{reported}</ErrorResponse>".encode()
            if code == "garbage":
                body = b"\x00<html>"
            self.send_response(200 if code == "garbage" else 400)
            self.send_header("x-amzn-ErrorType", code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_GET = do_POST = do_HEAD = do_PUT = do_DELETE = refuse

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
