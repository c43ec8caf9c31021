"""Errors of the AWS SDK, explained in one line that names the fix; for every program.

`explain_if_aws` decides by the class of an error, or, for the plain exceptions that botocore lets through (a missing
credential process, a cached login that is not JSON), by the code that raised it. The lines hold no secret: what an
error about keys and tokens quotes is left out.
"""

import json
import os
import re
import ssl
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Final
from urllib.parse import urlsplit

from botocore import exceptions as sdk
from botocore import parsers
from botocore.exceptions import BotoCoreError, ClientError

from consumer.aws import codes

AWS_ERRORS: Final = (BotoCoreError, ClientError)
"""Everything that botocore raises by classes of its own."""

SDK_PACKAGES: Final = ("botocore", "boto3", "aiobotocore", "s3transfer", "awscrt")
"""Packages whose plain exceptions (OSError, ValueError ...) are about the environment, too."""

_LOCAL_HINT: Final = "for the local stack: source .local/env"


class NotRenewed(BotoCoreError):
    """Credentials that have expired, or are about to, could not be renewed; `why` is a line for people."""

    fmt = "the AWS credentials cannot be renewed: {why}"


class NotUnderstood(BotoCoreError):
    """An answer says neither that a request was executed nor that it was refused; `what` is a few words."""

    fmt = "{operation}: the answer cannot be understood: {what}"


NOT_AWS: Final = "what answers is not AWS: check AWS_ENDPOINT_URL... and proxies"
_HEADER: Final = "an AWS key or token holds a character that is not allowed in a header (a line break?); set it again"


def explain_if_aws(error: BaseException) -> str | None:
    """One line for an error of the AWS SDK, with the fix; None for any other error."""
    if isinstance(error, AWS_ERRORS) or type(error).__module__.partition(".")[0] in SDK_PACKAGES:
        return explain(error)
    plain = isinstance(error, OSError | ValueError | RuntimeError | LookupError | TypeError | AttributeError)
    return _plain(error) if plain and any(name in SDK_PACKAGES for name in _packages(error.__traceback__)) else None


def explain(error: BaseException) -> str:
    """One line for any error of the AWS SDK, with the fix."""
    if isinstance(error, ClientError):
        return _answered(error)
    if isinstance(error, sdk.HTTPClientError) and " header" in str(error):  # its text may quote the token
        return _HEADER
    for kinds, fix in _FIXES:
        if isinstance(error, kinds):
            return fix(error)
    return f"{_line(error)}; look at the AWS configuration (~/.aws/config, AWS_... variables)"


def is_credential_error(error: BaseException) -> bool:
    """Whether the credentials are the cause, not the requested resource."""
    if isinstance(error, ClientError):
        return codes.code(error) in codes.EXPIRED | codes.INVALID_CREDENTIALS | codes.CLOCK_SKEW
    return isinstance(error, _CREDENTIALS) or (
        type(error).__module__ == "builtins" and explain_if_aws(error) is not None
    )


def _answered(error: ClientError) -> str:
    code = codes.code(error)
    said = f"{error.operation_name}: {code}: {_flat(error.response.get('Error', {}).get('Message', ''))}".rstrip(": ")
    if code in codes.EXPIRED:
        return f"{said}; the credentials have expired: {_renew()}"
    if code in codes.CLOCK_SKEW or (code in codes.INVALID_CREDENTIALS and "xpired" in said):
        return f"{said}; set this machine's clock"
    if code in codes.INVALID_CREDENTIALS:
        return f"{said}; AWS does not accept these credentials: {_renew()}"
    if code.startswith("KMS") and "AccessDenied" not in code and "Throttl" not in code:
        return f"{said}; the key must be there and enabled: see it in KMS, and the parameter KmsKeyArn"
    if code in codes.DENIED or "AccessDenied" in code:
        return f"{said}; these credentials may not do this: {_other_role()}, or allow it"
    if code in codes.NO_SERVICE:
        return f"{said}; this account has not enabled the service, or not in this region"
    if code in codes.OTHER_REGION:
        return f"{said}; it is in another region: set AWS_REGION"
    if code in codes.QUOTA:
        return f"{said}; try again in a while, or ask for more in the Service Quotas console"
    if code in codes.ABSENT or code.endswith(("NotFound", "NotFoundException", "DoesNotExist", "NonExistentQueue")):
        return f"{said}; is it the right account, region (AWS_REGION) and name? It may have been deleted"
    if code in codes.UNAVAILABLE or "Throttl" in code:
        return f"{said}; try again in a while"
    return said


def _plain(error: BaseException) -> str:
    """A builtin exception raised inside the SDK; its text may quote a secret, so only known parts are shown."""
    if isinstance(error, json.JSONDecodeError):
        return f"a credentials response or a cached login is not JSON; check credential_process, or {_renew()}"
    if isinstance(error, OSError):
        what = f"{error.filename}: {error.strerror}" if error.filename else _line(error)
        if not isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError | NotADirectoryError):
            return what
        return f"{what}; the AWS configuration names it (credential_process, AWS_CA_BUNDLE, a token's file): correct it"
    text = _line(error)
    if "header" in text.lower():
        return _HEADER
    if isinstance(error, RuntimeError) and "expired" in text:
        return f"new AWS credentials were already expired: {_renew()}, or check credential_process"
    if isinstance(error, LookupError):
        return f"{text} is missing in what gives the AWS credentials (a cached login?): {_renew()}"
    return f"{text}; look at the AWS configuration (~/.aws/config, AWS_... variables)"


def _renew() -> str:
    profile = os.environ.get("AWS_PROFILE") or os.environ.get("AWS_DEFAULT_PROFILE")
    if os.environ.get("AWS_ACCESS_KEY_ID"):
        return "set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN again"
    return f"log in again (such as aws sso login{f' --profile {profile}' if profile else ''})"


def _other_role() -> str:
    """Keys in the environment take precedence over a profile."""
    keys = "unset AWS_ACCESS_KEY_ID and its like, " if os.environ.get("AWS_ACCESS_KEY_ID") else ""
    return f"use another role ({keys}set AWS_PROFILE)"


def _no_credentials(_: BaseException) -> str:
    return (
        "no AWS credentials: set AWS_PROFILE, log in (aws sso login), or set AWS_ACCESS_KEY_ID and "
        f"AWS_SECRET_ACCESS_KEY; {_LOCAL_HINT}"
    )


def _unreachable(error: BaseException) -> str:
    """No connection, no such host or no answer: of AWS itself or of a configured endpoint."""
    known = getattr(error, "kwargs", {})
    if isinstance(known.get("error"), FileNotFoundError | IsADirectoryError | ssl.SSLError):
        return f"{_line(error)}; AWS_CA_BUNDLE (or ca_bundle of the profile) must name a file of certificates"
    where = str(known.get("endpoint_url") or "")
    host = urlsplit(where).hostname or ""
    if host in ("localhost", "127.0.0.1", "::1"):
        return f"{_line(error)}; is the local stack up (make up)?"
    if host and not host.endswith((".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".aws")):
        return f"{_line(error)}; check the address (AWS_ENDPOINT_URL..., endpoint_url of the profile) and the network"
    return f"{_line(error)}; check the region, and the network: DNS, proxy (HTTPS_PROXY), VPC endpoints"


def _then(fix: Callable[[], str] | str) -> Callable[[BaseException], str]:
    return lambda error: f"{_line(error).rstrip('.')}; {fix if isinstance(fix, str) else fix()}"


_CREDENTIALS: Final = (
    NotRenewed,
    sdk.NoCredentialsError,
    sdk.PartialCredentialsError,
    sdk.CredentialRetrievalError,
    sdk.NoAuthTokenError,
    sdk.TokenRetrievalError,
    sdk.SSOError,
    sdk.LoginError,
    sdk.MetadataRetrievalError,
    sdk.ProfileNotFound,
    sdk.ConfigParseError,
    sdk.ConfigNotFound,
    sdk.InvalidConfigError,
    sdk.UnknownCredentialError,
    sdk.RefreshWithMFAUnsupportedError,
    sdk.MissingDependencyException,
)

_FIXES: Final[tuple[tuple[tuple[type[BaseException], ...], Callable[[BaseException], str]], ...]] = (
    ((NotRenewed,), lambda error: _line(error)),
    ((NotUnderstood,), _then(NOT_AWS)),
    ((sdk.NoCredentialsError, sdk.NoAuthTokenError), _no_credentials),
    ((sdk.PartialCredentialsError,), _then("set the missing part too, in the environment or in the profile")),
    ((sdk.SSOError, sdk.TokenRetrievalError), _then(lambda: f"the single sign-on is absent or over: {_renew()}")),
    ((sdk.LoginError,), _then("log in again (aws login)")),
    ((sdk.CredentialRetrievalError,), _then("run the profile's credential_process (or call the address) by hand")),
    ((sdk.MetadataRetrievalError,), _then("the container's or the machine's role gives no credentials: see its role")),
    ((sdk.ProfileNotFound,), _then("AWS_PROFILE must name a profile of ~/.aws/config (aws configure list-profiles)")),
    ((sdk.ConfigParseError, sdk.ConfigNotFound), _then("correct this file, or AWS_CONFIG_FILE")),
    ((sdk.NoRegionError,), lambda _: f"no region; set AWS_REGION; {_LOCAL_HINT}"),
    ((sdk.InvalidRegionError,), _then("set AWS_REGION to one such as eu-central-1")),
    ((sdk.SSLError,), _then("set AWS_CA_BUNDLE to the authority's file if a proxy replaces certificates")),
    ((sdk.ConnectionError, sdk.HTTPClientError), _unreachable),
    ((parsers.ResponseParserError,), _then(NOT_AWS)),
    ((sdk.ParamValidationError,), _then("correct the name or the value that was given")),
    ((sdk.WaiterError,), _then("it takes longer than it should, or failed: see its state in AWS's console")),
    (
        (sdk.FlexibleChecksumError, sdk.ChecksumError, sdk.IncompleteReadError),
        _then("what arrived is damaged; try again"),
    ),
    ((sdk.MissingDependencyException,), _then("take another kind of profile, such as sso or credential_process")),
)


def _packages(trace: TracebackType | None) -> Iterator[str]:
    while trace:
        yield str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0]
        trace = trace.tb_next


def _line(error: BaseException) -> str:
    return _flat(str(error)) or type(error).__name__


def _flat(text: object) -> str:
    """On one line, without user and password of an address."""
    line = " ".join("".join(each if each.isprintable() else " " for each in str(text)).split())
    return re.sub(r"//[^/@\s]+@", "//...@", line)
