"""One chain for the service and its daemon: each source of credentials, given on by the address on loopback."""

import asyncio
import json
import logging
import socket
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from aiobotocore.session import get_session
from botocore.credentials import SSOProvider
from botocore.tokens import SSOTokenProvider

from consumer.aws import credentials as module
from consumer.aws.credentials import CREDENTIAL_VARIABLES, Credentials, Endpoint
from consumer.aws.errors import NotRenewed
from tests.component.misconfigured import SSO_LEGACY, SSO_SESSION, base, cached_login
from tests.component.portal import ROLE, Portal, portal

SOON = datetime.now(UTC) + timedelta(hours=1)


@pytest.fixture
def place() -> Iterator[Portal]:
    with portal() as made:
        yield made


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets variables beside those of an environment without credentials."""
    for provider in (SSOProvider, SSOTokenProvider):  # who have looked at HOME already
        monkeypatch.setattr(provider, "_SSO_TOKEN_CACHE_DIR", str(tmp_path / ".aws/sso/cache"))

    def become(**variables: str) -> None:
        for name, value in (base(tmp_path) | variables).items():
            monkeypatch.setenv(name, value)

    return become


def ask(variables: dict[str, str], token: str | None = None) -> tuple[int, dict[str, Any]]:
    """What the address answers, to the right token or another."""
    uri, right = variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"], variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
    request = urllib.request.Request(uri, headers={"Authorization": right if token is None else token})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - own address
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@asynccontextmanager
async def served() -> AsyncIterator[tuple[Credentials, dict[str, str]]]:
    """The credentials that are found, and the variables that lead to the address."""
    credentials = await Credentials.find(get_session(), "eu-central-1")
    endpoint = Endpoint(credentials)
    await endpoint.start()
    try:
        yield credentials, endpoint.environment({})
    finally:
        await endpoint.stop()


async def given() -> dict[str, Any]:
    """What the daemon gets in this environment."""
    async with served() as (_, variables):
        status, got = await asyncio.to_thread(ask, variables)
    assert status == 200, got
    assert datetime.fromisoformat(got["Expiration"]) > datetime.now(UTC)
    return got


def configure(folder: Path, text: str) -> dict[str, str]:
    (folder / "config").write_text(f"[profile p]\n{text}\n")
    return {"AWS_PROFILE": "p"}


def process(folder: Path, seconds: float | None) -> str:
    """A credential process that counts its runs in the file `runs`, gives KEY<run>, and fails while `broken` exists."""
    script = folder / "process.py"
    script.write_text(
        f"""
import datetime, json, pathlib, sys
folder = pathlib.Path({str(folder)!r})
with (folder / "runs").open("a") as runs:
    runs.write("x")
if (folder / "broken").exists():
    sys.exit("the vault is closed")
run = (folder / "runs").stat().st_size
keys = {{"Version": 1, "AccessKeyId": f"KEY{{run}}", "SecretAccessKey": f"planted-secret-{{run}}"}}
if {seconds!r}:
    ends = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds={seconds!r} or 0)
    keys |= {{"SessionToken": f"planted-token-{{run}}", "Expiration": ends.isoformat()}}
print(json.dumps(keys))
"""
    )
    return f"credential_process = {sys.executable} {script}"


def runs(folder: Path) -> int:
    return len((folder / "runs").read_text())


async def test_from_the_environment(environ: Callable[..., None]) -> None:
    environ(AWS_ACCESS_KEY_ID="KEY", AWS_SECRET_ACCESS_KEY="planted-secret", AWS_SESSION_TOKEN="planted-token")
    got = await given()
    assert (got["AccessKeyId"], got["SecretAccessKey"], got["Token"]) == ("KEY", "planted-secret", "planted-token")


async def test_from_a_profile(environ: Callable[..., None], tmp_path: Path) -> None:
    environ(**configure(tmp_path, "aws_access_key_id = KEY\naws_secret_access_key = planted-secret"))
    got = await given()
    assert (got["AccessKeyId"], got["Token"]) == ("KEY", None)


async def test_from_the_shared_file(environ: Callable[..., None], tmp_path: Path) -> None:
    (tmp_path / "credentials").write_text("[default]\naws_access_key_id = KEY\naws_secret_access_key = planted\n")
    environ()
    assert (await given())["AccessKeyId"] == "KEY"


@pytest.mark.parametrize("seconds", [None, 3600])
async def test_from_a_process(environ: Callable[..., None], tmp_path: Path, seconds: float | None) -> None:
    environ(**configure(tmp_path, process(tmp_path, seconds)))
    assert (await given())["AccessKeyId"] == "KEY1"
    assert runs(tmp_path) == 1


async def test_from_a_single_sign_on(environ: Callable[..., None], tmp_path: Path, place: Portal) -> None:
    cached_login(tmp_path, "https://example.awsapps.com/start", SOON, token="planted-login")
    environ(**configure(tmp_path, SSO_LEGACY), AWS_ENDPOINT_URL_SSO=place.url)
    assert (await given())["AccessKeyId"] == "KEY1"


async def test_from_a_session_of_a_single_sign_on(environ: Callable[..., None], tmp_path: Path, place: Portal) -> None:
    cached_login(tmp_path, "s", SOON, token="planted-login")
    environ(**configure(tmp_path, SSO_SESSION), AWS_ENDPOINT_URL_SSO=place.url)
    assert (await given())["SecretAccessKey"] == "planted-secret-1"


async def test_a_session_that_is_over_is_renewed_by_its_refresh_token(
    environ: Callable[..., None], tmp_path: Path, place: Portal
) -> None:
    again = {
        "clientId": "c",
        "clientSecret": "planted-client",
        "registrationExpiresAt": SOON.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "refreshToken": "planted-refresh",
    }
    cached_login(tmp_path, "s", datetime.now(UTC) - timedelta(minutes=1), token="planted-login", **again)
    environ(**configure(tmp_path, SSO_SESSION), AWS_ENDPOINT_URL_SSO=place.url, AWS_ENDPOINT_URL_SSO_OIDC=place.url)
    assert (await given())["AccessKeyId"] == "KEY1"
    assert place.asked[0] == "/token"


async def test_from_a_role_that_a_profile_takes_on(environ: Callable[..., None], tmp_path: Path, place: Portal) -> None:
    source = "aws_access_key_id = A\naws_secret_access_key = planted"
    environ(
        **configure(tmp_path, f"role_arn = {ROLE}\nsource_profile = q\n[profile q]\n{source}"),
        AWS_ENDPOINT_URL_STS=place.url,
    )
    assert (await given())["AccessKeyId"] == "KEY1"


async def test_from_a_web_identity(environ: Callable[..., None], tmp_path: Path, place: Portal) -> None:
    (tmp_path / "web").write_text("planted-web")
    environ(AWS_ROLE_ARN=ROLE, AWS_WEB_IDENTITY_TOKEN_FILE=str(tmp_path / "web"), AWS_ENDPOINT_URL_STS=place.url)
    assert (await given())["AccessKeyId"] == "KEY1"


async def test_from_a_container(environ: Callable[..., None], place: Portal) -> None:
    environ(AWS_CONTAINER_CREDENTIALS_FULL_URI=f"{place.url}/container")
    assert (await given())["Token"] == "planted-token-1"


async def test_from_a_task_of_ecs(environ: Callable[..., None], place: Portal, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its variable holds a path only, below an address that no test can listen on."""
    monkeypatch.setattr(
        "botocore.utils.ContainerMetadataFetcher.full_url", lambda _, relative: f"{place.url}{relative}"
    )
    environ(AWS_CONTAINER_CREDENTIALS_RELATIVE_URI="/v2/credentials/x")
    assert (await given())["AccessKeyId"] == "KEY1"
    assert place.asked == ["/v2/credentials/x"]


async def test_from_a_machine(environ: Callable[..., None], place: Portal) -> None:
    environ(AWS_EC2_METADATA_DISABLED="false", AWS_EC2_METADATA_SERVICE_ENDPOINT=place.url)
    assert (await given())["AccessKeyId"] == "KEY1"


async def test_the_answer_is_what_an_sdk_reads(environ: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    environ(AWS_ACCESS_KEY_ID="KEY", AWS_SECRET_ACCESS_KEY="planted-secret")
    async with served() as (_, variables):
        for name in CREDENTIAL_VARIABLES:
            monkeypatch.delenv(name, raising=False)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        found = await asyncio.to_thread(botocore.session.Session().get_credentials)
        assert found is not None
        assert (found.method, found.get_frozen_credentials().access_key) == ("container-role", "KEY")


async def test_no_other_credentials_reach_the_daemon(environ: Callable[..., None]) -> None:
    environ(AWS_ACCESS_KEY_ID="KEY", AWS_SECRET_ACCESS_KEY="planted-secret")
    endpoint = Endpoint(await Credentials.find(get_session(), "eu-central-1"))
    await endpoint.start()
    before = dict.fromkeys(CREDENTIAL_VARIABLES, "planted") | {"AWS_PROFILE": "p", "PATH": "/bin"}
    after = endpoint.environment(before)
    await endpoint.stop()
    assert after.pop("AWS_CONTAINER_CREDENTIALS_FULL_URI").startswith("http://127.0.0.1:")
    assert len(after.pop("AWS_CONTAINER_AUTHORIZATION_TOKEN")) > 30
    assert after == {"AWS_PROFILE": "p", "PATH": "/bin"}


@pytest.mark.parametrize("token", ["", "wrong", "\u00e4"])
async def test_who_does_not_know_the_token_gets_nothing(environ: Callable[..., None], token: str) -> None:
    environ(AWS_ACCESS_KEY_ID="KEY", AWS_SECRET_ACCESS_KEY="planted-secret")
    async with served() as (_, variables):
        assert await asyncio.to_thread(ask, variables, token) == (
            403,
            {"code": "AccessDenied", "message": "the token is not the right one"},
        )


async def test_it_listens_on_loopback_only(environ: Callable[..., None]) -> None:
    environ(AWS_ACCESS_KEY_ID="KEY", AWS_SECRET_ACCESS_KEY="planted-secret")
    async with served() as (_, variables):
        port = int(variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"].split(":")[2].partition("/")[0])
        with socket.socket() as elsewhere:  # taken there, if it listened on all addresses
            elsewhere.bind(("127.0.0.2", port))


async def test_short_ones_are_renewed_ahead_of_their_end_and_not_at_each_request(
    environ: Callable[..., None], tmp_path: Path
) -> None:
    environ(**configure(tmp_path, process(tmp_path, 4)))
    async with served() as (credentials, variables):
        for _ in range(100):
            await credentials.keys()
        assert runs(tmp_path) == 1
        async with asyncio.timeout(20):
            while (await asyncio.to_thread(ask, variables))[1]["AccessKeyId"] in ("KEY1", "KEY2"):
                keys = await credentials.keys()
                assert keys.expires
                assert keys.expires > datetime.now(UTC)
                await asyncio.sleep(0.1)


async def test_a_failed_renewal_is_logged_once_tried_seldom_and_ends(
    environ: Callable[..., None],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "RETRY_PAUSE", 0.5)
    environ(**configure(tmp_path, process(tmp_path, 2)))
    caplog.set_level(logging.INFO, module.__name__)

    def said() -> list[str]:
        return [record.levelname for record in caplog.records if record.name == module.__name__]

    async with served() as (credentials, variables):
        (tmp_path / "broken").touch()
        async with asyncio.timeout(20):
            while (answer := await asyncio.to_thread(ask, variables))[0] == 200:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert answer[0] == 424
        assert "the vault is closed" in answer[1]["message"]
        before = runs(tmp_path)
        for _ in range(50):
            with pytest.raises(NotRenewed, match="the vault is closed"):
                await credentials.keys()
        assert runs(tmp_path) <= before + 1
        (tmp_path / "broken").unlink()
        async with asyncio.timeout(20):
            while (await asyncio.to_thread(ask, variables))[0] != 200 or len(said()) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    assert said() == ["ERROR", "INFO"]
    assert "planted" not in caplog.text
