"""Who the service is to AWS, for itself and for the daemon: found and renewed here alone, by botocore's chain.

The Java SDK's chain is another one (its jars know no single sign-on), so the daemon is not left to it: it asks an
address on loopback, as a container does, and gets what the service signs with at that moment. The address answers only
to who knows its token, which stands in the daemon's environment. See docs/decisions/0016-one-credential-chain.md.
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

from consumer.aws.errors import AWS_ERRORS, NotRenewed, told

log = logging.getLogger(__name__)

AHEAD: Final = 900.0
"""Seconds before their end that credentials are renewed; half of their time for those that do not last so long."""
LAST: Final = 60.0
"""Seconds before their end from which on a failed renewal is an error; before, the old ones are used on."""
PAUSE: Final = 5.0
"""Seconds in which a failed renewal is not tried again: every request would, and each might start a process."""
LASTING: Final = timedelta(hours=1)
"""What the daemon is told of credentials that do not end: ask again after so long."""

EARLIER: Final = (
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
"""Variables that would give the daemon other credentials, or ours where they are not needed: it gets none of them."""


@dataclass(frozen=True, slots=True, repr=False)
class Keys:
    """What a request is signed with; `expires` in UTC, None: not by itself."""

    access_key: str
    secret_key: str
    token: str | None
    expires: datetime | None


class Credentials:
    """What all clients of a session sign with. Where it ends by itself it is renewed ahead of that, by botocore."""

    def __init__(self, found: Any) -> None:
        """`found` is what aiobotocore's chain has found."""
        self._found = found
        self._end = isinstance(found, AioRefreshableCredentials)
        self._failed: tuple[float, str] | None = None  # when, and why
        if self._end:
            self._fetch: Callable[[], Any] = found._refresh_using
            found._refresh_using = self._renew
            if found._expiry_time is not None:  # else nothing has been fetched yet
                self._pace(found._expiry_time)

    @classmethod
    async def find(cls, session: AioSession, region: str) -> "Credentials":
        """Raises what the AWS SDK raises, NoCredentialsError where the chain has none; see aws_errors.told.

        `region` is where a role is taken on; botocore itself does not look at AWS_REGION.
        """
        session.set_config_variable("region", region)
        found = await session.get_credentials()
        if found is None:
            raise NoCredentialsError
        credentials = cls(found)
        await credentials.keys()
        return credentials

    async def keys(self) -> Keys:
        """Valid ones; raises NotRenewed where they have ended and there are no new ones."""
        frozen = await self._found.get_frozen_credentials()
        return Keys(frozen.access_key, frozen.secret_key, frozen.token, getattr(self._found, "_expiry_time", None))

    async def keep_fresh(self) -> None:
        """Renews them ahead of their end, until cancelled: a request that had to wait for that might not wait enough.

        Returns at once where they have no end.
        """
        told_last: str | None = None
        while self._end:
            with contextlib.suppress(*AWS_ERRORS):
                await self.keys()
            why = self._failed[1] if self._failed else None
            if why and why != told_last:
                log.error("AWS credentials are not renewed, trying again: %s", why)
            elif told_last and not why:
                log.info("AWS credentials are renewed again")
            told_last = why
            left = (self._found._expiry_time - datetime.now(UTC)).total_seconds()
            await asyncio.sleep(max(PAUSE if why else 0.5, left - self._found._advisory_refresh_timeout))

    async def _renew(self) -> dict[str, Any]:
        """In the place of botocore's own function; raises NotRenewed only, whatever the reason."""
        if self._failed and time.monotonic() - self._failed[0] < PAUSE:
            raise NotRenewed(why=self._failed[1])
        try:
            answer = self._fetch()
            fetched: dict[str, Any] = await answer if inspect.isawaitable(answer) else answer
            expires = self._found._expiry_datetime(fetched["expiry_time"])
            if expires <= datetime.now(UTC):
                raise RuntimeError(f"they have been expired since {expires:%Y-%m-%dT%H:%M:%SZ} when fetched anew")
        except Exception as error:
            why = told(error) or f"{type(error).__name__}: {error}"
            self._failed = time.monotonic(), why
            raise NotRenewed(why=why) from error
        self._failed = None
        self._pace(expires)
        return fetched

    def _pace(self, expires: datetime) -> None:
        """botocore's own times would renew credentials of a quarter of an hour at each request."""
        left = (expires - datetime.now(UTC)).total_seconds()
        self._found._advisory_refresh_timeout = min(AHEAD, left / 2)
        self._found._mandatory_refresh_timeout = min(LAST, left / 4)


class Endpoint:
    """The daemon's address for them, on loopback only, from `start` to `stop`."""

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
        """`environ` for a process that shall ask here, and find no credentials elsewhere."""
        left = {name: value for name, value in environ.items() if name not in EARLIER}
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
            why = told(error)
            if why is None:
                raise
            # No 5xx: the daemon's SDK would ask five times more at once.
            return _refusal(424, "NoCredentials", why)
        return web.json_response(
            {
                "AccessKeyId": keys.access_key,
                "SecretAccessKey": keys.secret_key,
                "Token": keys.token,
                "Expiration": (keys.expires or datetime.now(UTC) + LASTING).strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        )


def _refusal(status: int, code: str, message: str) -> web.Response:
    """As the SDKs read it."""
    return web.json_response({"code": code, "message": message}, status=status)
