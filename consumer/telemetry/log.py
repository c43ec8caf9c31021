"""The log: one event per line on stderr, as JSON for machines or readable on a terminal.

Besides the message a line has the fields of `extra`, as in `log.info("stored", extra={"records": 12})`, and those that
the task has bound: all lines about a shard have the field `shard`, in every module.
"""

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final

_STANDARD: Final = frozenset(
    vars(logging.LogRecord("", 0, "", 0, "", None, None)) | {"message": "", "asctime": "", "taskName": None}
)
# They log every request at INFO or DEBUG; their failures are raised anyway.
_VERBOSE: Final = ("aiobotocore", "aiohttp", "asyncio", "botocore", "urllib3")
# They log a traceback for each failed renewal, which credentials.py logs in one line.
_LOGGED_ELSEWHERE: Final = ("aiobotocore.credentials", "botocore.credentials", "aiobotocore.tokens", "botocore.tokens")

_bound: ContextVar[dict[str, Any]] = ContextVar("log_fields", default={})  # noqa: B039 (never changed in place)


def bind(**fields: Any) -> None:
    """Adds fields to all further log lines of this task and of the tasks that it starts."""
    _bound.set(_bound.get() | fields)


def setup(level: str, format: str) -> None:
    """Sends all logging of at least `level` to stderr; `format` is json, text, or auto: text on a terminal."""
    handler = logging.StreamHandler(sys.stderr)
    text = format == "text" or (format == "auto" and sys.stderr.isatty())
    handler.setFormatter(TextFormatter() if text else JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    for name in _VERBOSE:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _LOGGED_ELSEWHERE:
        logging.getLogger(name).setLevel(logging.CRITICAL)


class JsonFormatter(logging.Formatter):
    """`{"time": ISO-8601 UTC, "level", "logger", "message", <extra fields>, "exception"?}`, always one line."""

    def format(self, record: logging.LogRecord) -> str:
        event: dict[str, Any] = {
            "time": _moment(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if exception := _exception(self, record):
            event["exception"] = exception
        # An extra field cannot replace one of these.
        event |= {name: value for name, value in _extra(record).items() if name not in event}
        return json.dumps(event, default=str)


class TextFormatter(logging.Formatter):
    """`10:48:16.123 INFO    consumer.archive.store: stored  records=12`, then the exception, if any, on further
    lines."""

    def format(self, record: logging.LogRecord) -> str:
        time = _moment(record).astimezone().strftime("%H:%M:%S.%f")[:-3]
        extra = "".join(f"  {name}={value}" for name, value in _extra(record).items())
        line = f"{time} {record.levelname:7} {record.name}: {record.getMessage()}{extra}"
        exception = _exception(self, record)
        return f"{line}\n{exception}" if exception else line


def _moment(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _extra(record: logging.LogRecord) -> dict[str, Any]:
    return _bound.get() | {name: value for name, value in vars(record).items() if name not in _STANDARD}


def _exception(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    parts = [formatter.formatException(record.exc_info)] if record.exc_info else []
    if record.stack_info:
        parts.append(formatter.formatStack(record.stack_info))
    return "\n".join(parts)
