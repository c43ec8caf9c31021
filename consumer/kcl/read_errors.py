"""Pure: why a read failed, by the texts of the AWS SDK and the KCL in the daemon's log.

The names of the errors are those of Kinesis's GetRecords, GetShardIterator and SubscribeToShard (API reference) and of
the errors that all services share; `tests/unit/test_read_errors.py` holds lines of the real daemon.
"""

import re
from typing import Final

READERS: Final = ("retrieval.", "lifecycle.")
"""Prefixes of the KCL's loggers that report reads."""

# The order matters: a denied key mentions both KMS and AccessDenied, credentials that cannot be fetched mention both
# credentials and a refused connection.
_PATTERNS: Final = (
    ("kms", r"\bkms\w*Exception|\bkms:"),
    (
        "credentials",
        r"ExpiredToken|InvalidSignature|SignatureDoesNotMatch|IncompleteSignature|UnrecognizedClient|InvalidClientToken"
        r"|InvalidAccessKeyId|MissingAuthenticationToken|security token|(load|refresh|retrieve|resolve) credentials",
    ),
    (
        "access-denied",
        r"AccessDenied|not authorized|UnauthorizedOperation|OptInRequired|Status Code: 403",
    ),
    ("not-found", r"ResourceNotFound"),
    ("throttled", r"ProvisionedThroughputExceeded|LimitExceeded|Throttl|TooManyRequests|Rate exceeded"),
    ("expired-iterator", r"ExpiredIterator|InvalidArgumentException"),
    (
        "network",
        r"Unable to execute HTTP request|UnknownHost|Connect(ion)?\w*Exception|Connection (refused|reset|was closed)"
        r"|EndpointConnection|ConnectionClosed|Could not connect|Connect timeout|Read timeout"
        r"|NoRouteToHost|SSL\w*Exception|Timeout|timed out|ClosedChannel|unreachable",
    ),
)
REASONS: Final = (*(name for name, _ in _PATTERNS), "other")
"""Why a shard cannot be read, by the daemon's log; `other` where no pattern matches."""

_COMPILED: Final = tuple((reason, re.compile(pattern, re.IGNORECASE)) for reason, pattern in _PATTERNS)
_SHARD: Final = re.compile(r"shardId-\d{12}")
# Messages about failed reads that the KCL logs without an exception, at INFO.
_WITHOUT_EXCEPTION: Final = (
    "Caught ResourceNotFoundException",
    "Timeout occurred while waiting for response",
    "records threw ",
)
_FRAME: Final = re.compile(r"\s+(at [\w.$/@]+\(|\.\.\. \d+ (common|more))")
_MAX_SUMMARY: Final = 300


def reason(text: str) -> str:
    """The first reason whose pattern matches the text, else `other`."""
    return next((name for name, pattern in _COMPILED if pattern.search(text)), "other")


def failed_read(logger: str, exception: str, message: str) -> tuple[str | None, str, str] | None:
    """Shard (None: the line names none), reason and a text for people, if this line of the daemon's log is about a
    read that failed.

    `logger` is without the KCL's package; `exception` is the stack trace on one line.
    """
    if not logger.startswith(READERS) or not (exception or any(words in message for words in _WITHOUT_EXCEPTION)):
        return None
    found = _SHARD.search(message)
    return found and found[0], reason(exception or message), summary(exception or message)


def summary(text: str) -> str:
    """Class and message of an exception without its stack frames and package, truncated."""
    head = _FRAME.split(text, maxsplit=1)[0].strip()
    name, colon, message = head.partition(":")
    return f"{name.rpartition('.')[2]}{colon}{message}"[:_MAX_SUMMARY]
