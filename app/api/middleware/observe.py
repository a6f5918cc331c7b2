"""The outermost middleware: gives each request an id, counts it, and logs it."""

import asyncio
import logging
import random
import re
import time
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.middleware.auth import path_of_call
from app.telemetry.logs import RequestContext, current_request
from app.telemetry.metrics import Metrics

logger = logging.getLogger(__name__)

HEADER = "x-request-id"
SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
PROBES = {"/livez", "/readyz", "/metrics"}  # called every few seconds: logged at debug level
CLIENT_CLOSED = 499  # nginx's status: the client disconnected before the response began


@dataclass
class _Traffic:
    received: int = 0
    sent: int = 0
    status: int = CLIENT_CLOSED


class Observe:
    """Counts and logs every request. ``X-Request-ID`` is echoed, or generated if missing.

    Bodies, query strings and headers are not logged: they hold keys and private sentences.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and record it."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        sent_id = Headers(scope=scope).get(HEADER, "")
        request_id = sent_id if SANE_ID.fullmatch(sent_id) else new_id()
        request = RequestContext(request_id, path_of_call(scope))
        current_request.set(request)
        traffic = _Traffic()

        async def counted_receive() -> Message:
            message = await receive()
            traffic.received += len(message.get("body") or message.get("bytes") or b"")
            return message

        async def counted_send(message: Message) -> None:
            kind = message["type"]
            if kind == "websocket.accept":
                traffic.status = 101
            elif kind.endswith("response.start"):  # also of a rejected WebSocket
                traffic.status = message["status"]
                MutableHeaders(scope=message)[HEADER] = request.id
            traffic.sent += len(message.get("body") or message.get("bytes") or b"")
            await send(message)

        started, over = time.perf_counter(), False
        try:
            with self.metrics.in_flight.track_inprogress():
                await self.app(scope, counted_receive, counted_send)
                await asyncio.sleep(0)  # send the response before recording it
            over = True
        except Exception:  # counted as a 500; the framework answers it
            if traffic.status == CLIENT_CLOSED:
                traffic.status = 500
            request.problem = "internal-error"
            raise
        finally:
            self._record(scope, request, traffic, time.perf_counter() - started)
            request.is_over = over  # otherwise the error is still to be logged

    def _record(
        self, scope: Scope, request: RequestContext, traffic: _Traffic, seconds: float
    ) -> None:
        method, route = scope.get("method", "GET"), route_of(scope)
        self.metrics.answered(
            method=method,
            route=route,
            status=traffic.status,
            seconds=None if scope["type"] == "websocket" else seconds,
            problem=request.problem,
        )
        fields = {
            "client": (scope.get("client") or [None])[0],
            "method": method,
            "route": route,
            "path": scope.get("raw_path", b"").decode("latin-1"),
            "status": traffic.status,
            "ms": round(1000 * seconds, 1),
            "bytes_in": traffic.received,
            "bytes_out": traffic.sent,
            "key": request.key_name,
            "problem": request.problem,
        }
        present = {name: value for name, value in fields.items() if value is not None}
        level = logging.DEBUG if route in PROBES else logging.INFO
        logger.log(level, "answered", extra={"fields": present})


def new_id() -> str:
    """Return a request id. It is no secret, so it takes no system call."""
    return f"{random.getrandbits(128):032x}"


def route_of(scope: Scope) -> str:
    """Return the route's template, ``/items/{id}``; "page" for pages, "unmatched" for the rest."""
    return getattr(scope.get("route"), "path", "page" if "endpoint" in scope else "unmatched")
