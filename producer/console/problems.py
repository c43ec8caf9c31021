"""What went wrong, for the page: RFC 9457 problems with a line for people, and `refused` where the role may not."""

import json
import logging
from http import HTTPStatus
from typing import Any

from aiohttp import web

from consumer.archive.format import UnreadableLine
from consumer.aws import codes
from producer.aws.errors import UserError, explain_if_aws
from producer.aws.query_api import Refused
from producer.console.access import Handler

log = logging.getLogger(__name__)


class BadRequest(Exception):
    """A request that the page would not make."""


def denied(error: BaseException) -> bool:
    """Whether AWS has refused this role."""
    if isinstance(error, Refused):
        return error.status == HTTPStatus.FORBIDDEN
    name = codes.code(error) if isinstance(error, Exception) else ""
    return name in codes.DENIED or "AccessDenied" in name


def problem(error: BaseException) -> dict[str, Any] | None:
    """The document for an error; None for one that is a defect of this program."""
    if denied(error):
        return _document(HTTPStatus.FORBIDDEN, explain_if_aws(error) or str(error), refused=True)
    if isinstance(error, BadRequest | UserError):
        return _document(HTTPStatus.BAD_REQUEST, str(error))
    if isinstance(error, UnreadableLine):
        return _document(HTTPStatus.BAD_GATEWAY, str(error))
    line = explain_if_aws(error)
    return None if line is None else _document(HTTPStatus.BAD_GATEWAY, line)


def _document(status: HTTPStatus, detail: str, **more: Any) -> dict[str, Any]:
    return {"title": status.phrase, "status": int(status), "detail": detail, **more}


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors of handlers as problems."""
    try:
        return await handler(request)
    except web.HTTPException:
        raise
    except Exception as error:
        document = problem(error)
        if document is None:
            log.exception("%s %s", request.method, request.path)
            document = _document(HTTPStatus.INTERNAL_SERVER_ERROR, "a defect of the console; its terminal shows it")
        text = json.dumps(document)
        return web.Response(status=document["status"], text=text, content_type="application/problem+json")
