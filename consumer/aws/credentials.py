"""The AWS credentials of the service and of the daemon: found and renewed here, by botocore's chain.

The Java SDK has a chain of its own (its jars do not support single sign-on), so the daemon does not use it: it asks an
endpoint on loopback, as in a container, and gets the service's current credentials. The endpoint requires a token,
which is in the daemon's environment. See docs/decisions/0016-one-credential-chain.md.
"""

import asyncio
import contextlib
import hmac
import inspect
import logging
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from aiobotocore.credentials import AioRefreshableCredentials
from aiobotocore.session import AioSession
from aiohttp import web
from botocore.exceptions import NoCredentialsError

from consumer.aws.errors import AWS_ERRORS, NotRenewed, explain_if_aws

log = logging.getLogger(__name__)

RENEW_AHEAD: Final = 900.0
"""Seconds before expiry at which credentials are renewed; half of their lifetime if that is shorter."""
RENEWAL_REQUIRED: Final = 60.0
"""Seconds before expiry from which on a failed renewal is an error; before, the old credentials remain in use."""
RETRY_PAUSE: Final = 5.0
"""Seconds after a failed renewal without another try: otherwise every request would try, perhaps by a new process."""
PERMANENT_LIFETIME: Final = timedelta(hours=1)
"""The lifetime that the daemon sees for credentials without an expiry; it asks again after that time."""

CREDENTIAL_VARIABLES: Final = (
    "AWS_ACCESS_KEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SECRET_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CREDENTIAL_EXPIRATION",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
)
"""Variables that are removed from the daemon's environment, since they would give it other credentials."""


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """What a request is signed with; `expires` in UTC, None: never."""

    access_key: str
    secret_key: str
    token: str | None
    expires: datetime | None


class Credentials:
    """The credentials of all clients of a session; those that expire are renewed before that, by botocore."""

    def __init__(self, found: Any) -> None:
        """`found` is the credentials object that aiobotocore's chain returned."""
        self._found = found
        self._expiring = isinstance(found, AioRefreshableCredentials)
        self._failed: tuple[float, str] | None = None  # when, and why
        if self._expiring:
            self._fetch: Callable[[], Any] = found._refresh_using
            found._refresh_using = self._renew
            if found._expiry_time is not None:  # else nothing has been fetched yet
                self._set_renewal_times(found._expiry_time)

    @classmethod
    async def find(cls, session: AioSession, region: str) -> "Credentials":
        """Raises what the AWS SDK raises, NoCredentialsError where the chain has none; see errors.explain_if_aws.

        `region` is where a role is assumed; botocore itself does not read AWS_REGION.
        """
        session.set_config_variable("region", region)
        found = await session.get_credentials()
        if found is None:
            raise NoCredentialsError
        credentials = cls(found)
        await credentials.keys()
        return credentials

    async def keys(self) -> Keys:
        """Valid keys; raises NotRenewed where they have expired and could not be renewed."""
        frozen = await self._found.get_frozen_credentials()
        return Keys(frozen.access_key, frozen.secret_key, frozen.token, getattr(self._found, "_expiry_time", None))

    async def keep_fresh(self) -> None:
        """Renews the credentials before they expire, until cancelled, so that no request has to wait for a renewal.

        Returns at once where they do not expire.
        """
        logged: str | None = None
        while self._expiring:
            with contextlib.suppress(*AWS_ERRORS):
                await self.keys()
            why = self._failed[1] if self._failed else None
            if why and why != logged:
                log.error("AWS credentials are not renewed, trying again: %s", why)
            elif logged and not why:
                log.info("AWS credentials are renewed again")
            logged = why
            left = (self._found._expiry_time - datetime.now(UTC)).total_seconds()
            await asyncio.sleep(max(RETRY_PAUSE if why else 0.5, left - self._found._advisory_refresh_timeout))

    async def _renew(self) -> dict[str, Any]:
        """Replaces botocore's own function; raises only NotRenewed, whatever the cause."""
        if self._failed and time.monotonic() - self._failed[0] < RETRY_PAUSE:
            raise NotRenewed(why=self._failed[1])
        try:
            answer = self._fetch()
            fetched: dict[str, Any] = await answer if inspect.isawaitable(answer) else answer
            expires = self._found._expiry_datetime(fetched["expiry_time"])
            if expires <= datetime.now(UTC):
                raise RuntimeError(f"new credentials were already expired ({expires:%Y-%m-%dT%H:%M:%SZ})")
        except Exception as error:
            why = explain_if_aws(error) or f"{type(error).__name__}: {error}"
            self._failed = time.monotonic(), why
            raise NotRenewed(why=why) from error
        self._failed = None
        self._set_renewal_times(expires)
        return fetched

    def _set_renewal_times(self, expires: datetime) -> None:
        """botocore's defaults would renew credentials with a lifetime of 15 minutes at each request."""
        left = (expires - datetime.now(UTC)).total_seconds()
        self._found._advisory_refresh_timeout = min(RENEW_AHEAD, left / 2)
        self._found._mandatory_refresh_timeout = min(RENEWAL_REQUIRED, left / 4)


class Endpoint:
    """The daemon's credentials endpoint, on loopback only, from `start` to `stop`."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials
        self._token = secrets.token_urlsafe(32)
        app = web.Application()
        app.add_routes([web.get("/credentials", self._answer)])
        self._runner = web.AppRunner(app, access_log=None)
        self._fresh: asyncio.Task[None] | None = None
        self._uri = ""

    async def start(self) -> None:
        """Listens on a free port of 127.0.0.1."""
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self._uri = f"http://127.0.0.1:{self._runner.addresses[0][1]}/credentials"
        self._fresh = asyncio.create_task(self._credentials.keep_fresh())

    async def stop(self) -> None:
        if self._fresh:
            self._fresh.cancel()
            await asyncio.gather(self._fresh, return_exceptions=True)
        await self._runner.cleanup()

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """`environ` for a process that is to use this endpoint and no other source of credentials."""
        left = {name: value for name, value in environ.items() if name not in CREDENTIAL_VARIABLES}
        return left | {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": self._uri,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": self._token,
        }

    async def _answer(self, request: web.Request) -> web.Response:
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(errors="surrogateescape"), self._token.encode()):
            return _refusal(403, "AccessDenied", "the token is not the right one")
        try:
            keys = await self._credentials.keys()
        except Exception as error:
            why = explain_if_aws(error)
            if why is None:
                raise
            # No 5xx: the daemon's SDK would repeat the request five times at once.
            return _refusal(424, "NoCredentials", why)
        return web.json_response(
            {
                "AccessKeyId": keys.access_key,
                "SecretAccessKey": keys.secret_key,
                "Token": keys.token,
                "Expiration": (keys.expires or datetime.now(UTC) + PERMANENT_LIFETIME).strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        )


def _refusal(status: int, code: str, message: str) -> web.Response:
    """An error in the format that the SDKs expect."""
    return web.json_response({"code": code, "message": message}, status=status)
