"""What is known about the request that is being answered: its id, its key, what went wrong."""

from contextvars import ContextVar
from dataclasses import dataclass


@dataclass
class RequestContext:
    """Filled by the middlewares while a request passes them; read when it is logged."""

    id: str
    key_name: str | None = None  # of the API key that the request came with
    problem: str | None = None  # kind of the problem that it is answered by: "not-found"
    is_over: bool = False  # timers that a request has set run in its context, long after it


# A request runs in a context of its own, and threads that work for it in copies of that:
# all of them see the one object.
current_request: ContextVar[RequestContext | None] = ContextVar("current_request", default=None)
