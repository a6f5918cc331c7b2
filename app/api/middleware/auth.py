"""Authentication of every request, before its body is read; the policy is ``app.auth.access``."""

from collections.abc import Collection

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.problems import problem
from app.auth.access import (
    READING_METHODS,
    Anonymous,
    check_host,
    check_origin,
    check_scope,
    find_key,
    is_open,
)
from app.auth.keys import KeyFile
from app.auth.rate_limit import RateLimit
from app.errors import ServiceError
from app.telemetry.request_context import current_request

COOKIE = "srcid_key"  # how the web page sends its key for pictures, players and /live


class Auth:
    """Passes on requests that the policy allows; answers the others with 401, 403 or 429.

    A key comes as ``Authorization: Bearer KEY``, as ``X-API-Key: KEY`` or in the cookie of the
    web page.

    Args:
        app: The app to protect.
        keys: The existing keys.
        anonymous: When a request without a key is served.
        rate_limit: How often each key may be used.
        origins: Origins of other sites whose pages may call without a key; "*" is any.
        hosts: Host names that requests without a key may use; "*" is any.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: KeyFile,
        anonymous: Anonymous,
        rate_limit: RateLimit,
        origins: Collection[str] = (),
        hosts: Collection[str] = ("*",),
    ) -> None:
        self.app = app
        self.keys = keys
        self.anonymous = anonymous
        self.rate_limit = rate_limit
        self.origins = origins
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or reject it."""
        if scope["type"] in {"http", "websocket"}:
            try:
                self._check(scope)
            except ServiceError as error:
                await problem(error)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        path = path_of_call(scope)
        if is_open(path):
            return
        headers = Headers(scope=scope)
        is_socket = scope["type"] == "websocket"
        method = "GET" if is_socket else scope["method"]  # our WebSockets only read
        key = find_key(_secret(headers), self.keys, self.anonymous)
        if is_socket or (key is None and method not in READING_METHODS):
            check_origin(headers, self.origins)  # a page of another site may have sent a cookie
        if key is None:
            check_host(headers, self.hosts)
            return
        if (context := current_request.get()) is not None:
            context.key_name = key.name
        check_scope(key, method, path)
        self.rate_limit.admit(key.name)


def path_of_call(scope: Scope) -> str:
    """Return the path as routes see it: without the prefix that a proxy may have left on."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path.removeprefix(root) if path.startswith(f"{root}/") else path


def _secret(headers: Headers) -> str:
    """Return the key that a request sends, or an empty string."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return bearer.strip()
    if key := headers.get("x-api-key"):
        return key.strip()
    return cookie_parser(headers.get("cookie", "")).get(COOKIE, "")
