"""Rules of HTTP that hold for every route: HEAD with GET, encoded slashes, no encoded bodies."""

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.middleware.auth import path_of_call
from app.api.problems import problem
from app.errors import UnsupportedBody

BODIES = {"POST", "PUT", "PATCH"}  # methods that have one
PLAIN = {"", "identity"}
ITEMS = "/items/"


class HttpRules:
    """Answers HEAD as GET without the body, and rejects bodies that are compressed.

    The id of an item reaches its route percent-encoded, so that a slash in it ends nothing.

    Source: RFC 9110, 9.3.2 (HEAD), 14.2 (Range is of GET only), 15.5.16 (415 for an encoding,
    with ``Accept-Encoding``).
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or reject it."""
        if scope["type"] == "http" and path_of_call(scope).startswith(ITEMS):
            # In place, as the change of method below is not: the router notes its route here, by
            # which requests are counted.
            scope["path"] = _encoded_path(scope)
        if scope["type"] == "http" and scope["method"] == "HEAD":
            get = _as_get(scope)
            try:
                await self.app(get, receive, _without_body(send))
            finally:
                scope.update({name: get[name] for name in ("route", "endpoint") if name in get})
        elif scope["type"] == "http" and (encodings := _encodings(scope)):
            response = problem(
                UnsupportedBody(
                    f"the body has content encoding {', '.join(encodings)!r}: send it as it is, "
                    "without the header Content-Encoding"
                )
            )
            response.headers["Accept-Encoding"] = "identity"
            await response(scope, receive, send)
        else:
            await self.app(scope, receive, send)


def _encoded_path(scope: Scope) -> str:
    """Return the path as it was sent, behind the prefix of a proxy."""
    path = scope["path"]
    prefix = path[: len(path) - len(path_of_call(scope))]
    parts = scope["raw_path"].decode("latin-1").split("/")[1 + prefix.count("/") :]
    return "/".join((prefix, *parts))


def _encodings(scope: Scope) -> list[str]:
    """Return what the body of a request is encoded with."""
    if scope["method"] not in BODIES:
        return []
    header = ",".join(Headers(scope=scope).getlist("content-encoding"))
    return [name for each in header.split(",") if (name := each.strip().lower()) not in PLAIN]


def _as_get(scope: Scope) -> Scope:
    """Return the request as a GET whose files are not read."""
    headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
    extensions = {**scope.get("extensions", {}), "http.response.pathsend": {}}
    return {**scope, "method": "GET", "headers": headers, "extensions": extensions}


def _without_body(send: Send) -> Send:
    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.pathsend":
            message = {"type": "http.response.body"}
        elif message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_head
