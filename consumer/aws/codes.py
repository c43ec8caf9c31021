"""The meaning of AWS error codes, for every program. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from botocore.exceptions import ClientError

NON_RETRYABLE: Final = frozenset({"ValidationException", "SerializationException", "InvalidRequest", "MalformedXML"})
"""Errors that the same request always gets. All others (throttling, 5xx, a missing table or permission) may pass."""
THROTTLED: Final = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
    }
)
CONDITION_FAILED: Final = "ConditionalCheckFailedException"
"""DynamoDB: the condition of a conditional write was not met."""
CHANGED: Final = frozenset({"412", "PreconditionFailed"})
"""S3: the condition of a conditional write was not met."""
CONFLICT: Final = frozenset({"409", "ConditionalRequestConflict"})
"""S3: another write to the same key was in progress."""
NO_SUCH_OBJECT: Final = frozenset({"404", "NoSuchKey", "NotFound"})
ABSENT: Final = NO_SUCH_OBJECT | {"NoSuchBucket", "NoSuchEntity"}
EXPIRED: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})
CLOCK_SKEW: Final = frozenset({"RequestExpired", "RequestTimeTooSkewed", "RequestInTheFuture"})
INVALID_CREDENTIALS: Final = frozenset(
    {
        "AuthFailure",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "InvalidToken",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
OTHER_REGION: Final = frozenset(
    {"301", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"}
)
QUOTA: Final = frozenset({"LimitExceeded", "LimitExceededException", "ServiceQuotaExceededException"})
DENIED: Final = frozenset({"403", "Forbidden", "UnauthorizedException", "UnauthorizedOperation"})
UNAVAILABLE: Final = frozenset(
    {
        "500",
        "502",
        "503",
        "504",
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "SlowDown",
        "TooManyRequestsException",
    }
)
NO_SERVICE: Final = frozenset({"OptInRequired", "SubscriptionRequiredException"})


def code(error: Exception) -> str:
    """A short, bounded name of a failure, also for a metric's label: AWS's code, or the class of another error."""
    if isinstance(error, ClientError):
        return error.response.get("Error", {}).get("Code", "Unknown")
    return type(error).__name__


def unmet(error: BaseException) -> Mapping[str, Any] | None:
    """The item of DynamoDB that did not meet a write's condition, empty where there is none; None for other errors."""
    if not isinstance(error, ClientError) or code(error) != CONDITION_FAILED:
        return None
    response: Mapping[str, Any] = error.response
    return response.get("Item", {})  # type: ignore[no-any-return]
