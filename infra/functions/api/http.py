"""The query API over HTTP: events of an HTTP API (payload format 2.0) in, its responses out; contract: openapi.json."""

from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from .answers import ROUTES
from .parameters import BadRequest, parsed
from .store import Store
from .values import as_json

JSON, PROBLEM = "application/json", "application/problem+json"


def respond(event: dict[str, Any], store: Store) -> dict[str, Any]:
    """The response to a request; a problem of RFC 9457 for one that is not understood."""
    path, method = event["rawPath"], event["requestContext"]["http"]["method"]
    if path != "/openapi.json" and path not in ROUTES:
        return _problem(HTTPStatus.NOT_FOUND, f"there is no {path}; there is: {', '.join([*ROUTES, '/openapi.json'])}")
    if method != "GET":
        response = _problem(HTTPStatus.METHOD_NOT_ALLOWED, f"{path} is for GET only")
        return response | {"headers": response["headers"] | {"allow": "GET"}}
    query = event.get("rawQueryString", "")
    try:
        if path == "/openapi.json":
            parsed(query, {})
            return _response(HTTPStatus.OK, JSON, _document())
        route = ROUTES[path]
        answer = route.answer(store, parsed(query, route.parameters, route.required))
    except BadRequest as bad:
        return _problem(HTTPStatus.BAD_REQUEST, str(bad), field=bad.field)
    return _response(HTTPStatus.OK, JSON, as_json(answer))


def _problem(status: HTTPStatus, detail: str, **more: str) -> dict[str, Any]:
    document = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail} | more
    return _response(status, PROBLEM, as_json(document))


def _response(status: HTTPStatus, kind: str, body: str) -> dict[str, Any]:
    return {"statusCode": status.value, "headers": {"content-type": kind}, "body": body, "isBase64Encoded": False}


@cache
def _document() -> str:
    return Path(__file__).with_name("openapi.json").read_text()
