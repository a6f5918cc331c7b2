"""The current request: its id, its API key and its problem, for logs and metrics."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class RequestContext:
    """Filled by the middleware, read when the request is logged."""

    id: str
    key_name: str | None = None  # of the API key
    problem: str | None = None  # kind of the problem answered, such as "not-found"
    is_over: bool = False  # timers set by a request still run in its context later


# Each request has its own context; threads that work for it have copies, with the same object.
current_request: ContextVar[RequestContext | None] = ContextVar("current_request", default=None)
