"""Who may talk to the console: the browser that was given its address, on this machine, and no page of another site.

The address that the command prints holds a token. It is good for one browser: for it the browser gets a cookie, which
scripts cannot read and other sites cannot have sent, and the command prints another address for the next one.
"""

import hmac
import secrets
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HOST = "127.0.0.1"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer."""


class Access:
    """`port` is that of the server, `announce` is called with each new address that a browser may open."""

    def __init__(self, announce: Callable[[str], None]) -> None:
        self.port = 0
        self._announce = announce
        self._token = ""
        self._cookies: set[str] = set()

    def begin(self, port: int) -> None:
        """The server listens there: announces the first address."""
        self.port = port
        self._renew()

    def _renew(self) -> None:
        self._token = secrets.token_urlsafe(24)
        self._announce(f"http://{HOST}:{self.port}/?token={self._token}")

    @property
    def _cookie(self) -> str:
        """Cookies do not know ports: two consoles on one machine must not take each other's."""
        return f"sensorstream-{self.port}"

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Refuses who may not; every answer gets HEADERS."""
        refusal = self._refusal(request)
        if refusal is not None:
            return _plain(*refusal)
        if request.path == "/" and "token" in request.query:
            return self._exchange(request)
        if not self._known(request):
            return _plain(HTTPStatus.UNAUTHORIZED, "Open the address that sensorstream console has printed last.")
        return await handler(request)

    def _refusal(self, request: web.Request) -> tuple[HTTPStatus, str] | None:
        """Another name for this machine may be a site's own (DNS rebinding); a request that another site's page has
        made says so itself."""
        hosts = {f"{name}:{self.port}" for name in (HOST, "localhost")}
        if request.headers.get("Host") not in hosts:
            return HTTPStatus.MISDIRECTED_REQUEST, f"This is the console of {HOST}:{self.port} only."
        origin = request.headers.get("Origin")
        if origin is not None and origin != f"http://{request.headers['Host']}":
            return HTTPStatus.FORBIDDEN, "Another site may not ask the console."
        if request.headers.get("Sec-Fetch-Site", "none") not in ("none", "same-origin"):
            return HTTPStatus.FORBIDDEN, "Another site may not ask the console."
        if request.method not in ("GET", "HEAD") and origin is None:
            return HTTPStatus.FORBIDDEN, "A request that changes something says where it comes from (Origin)."
        return None

    def _exchange(self, request: web.Request) -> web.Response:
        if not hmac.compare_digest(request.query["token"].encode(), self._token.encode()):
            if self._known(request):  # the same browser, once more
                return web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": "/"})
            return _plain(HTTPStatus.FORBIDDEN, "This address has been used. The console has printed another one.")
        value = secrets.token_urlsafe(24)
        self._cookies.add(value)
        answer = web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": "/"})
        answer.set_cookie(self._cookie, value, httponly=True, samesite="Strict", path="/")
        self._renew()
        return answer

    def _known(self, request: web.Request) -> bool:
        return request.cookies.get(self._cookie) in self._cookies


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """For `on_response_prepare`. Answers about data are never kept; the page's files are asked for again each time."""
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-store" if request.path.startswith("/api/") else "no-cache")


def _plain(status: HTTPStatus, text: str) -> web.Response:
    return web.Response(status=status, text=f"{text}\n")
