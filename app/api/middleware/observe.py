"""The outermost middleware: each request gets an id, and once answered a line in the log."""

import asyncio
import logging
import random
import re
import time
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.telemetry.metrics import Metrics
from app.telemetry.request_context import RequestContext, current_request

logger = logging.getLogger(__name__)

HEADER = "x-request-id"
SANE_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
WATCHERS = {"/livez", "/readyz", "/metrics"}  # ask every few seconds: logged as debug only
NOBODY_LEFT = 499  # nginx's number: the client went away before the answer began


@dataclass
class _Traffic:
    received: int = 0
    sent: int = 0
    status: int = NOBODY_LEFT


class Observe:
    """Counts and logs every request; ``X-Request-ID`` is echoed, or made where there is none.

    No body, no query and no header is logged: keys and sentences are not the log's business.
    """

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and keep its books."""
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        request = RequestContext(given if SANE_ID.fullmatch(given) else new_id())
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
            elif kind.endswith("response.start"):  # of a websocket too, where it is refused
                traffic.status = message["status"]
                MutableHeaders(scope=message)[HEADER] = request.id
            traffic.sent += len(message.get("body") or message.get("bytes") or b"")
            await send(message)

        started, over = time.perf_counter(), False
        try:
            with self.metrics.in_flight.track_inprogress():
                await self.app(scope, counted_receive, counted_send)
                await asyncio.sleep(0)  # the answer leaves at the loop's next turn: books can wait
            over = True
        except Exception:  # whatever it is, it counts as a 500, and goes on to be answered so
            if traffic.status == NOBODY_LEFT:
                traffic.status = 500  # as the framework is about to answer
            request.problem = "internal-error"
            raise
        finally:
            self._tell(scope, request, traffic, time.perf_counter() - started)
            request.is_over = over  # else an error is still to be logged

    def _tell(
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
        known = {name: value for name, value in fields.items() if value is not None}
        level = logging.DEBUG if route in WATCHERS else logging.INFO
        logger.log(level, "answered", extra={"fields": known})


def new_id() -> str:
    """Return an id for a request. It is no secret, so that nothing is asked of the system."""
    return f"{random.getrandbits(128):032x}"


def route_of(scope: Scope) -> str:
    """Return the template of the call, ``/items/{id}``; a word for pages, one for all else."""
    return getattr(scope.get("route"), "path", "page" if "endpoint" in scope else "unmatched")
