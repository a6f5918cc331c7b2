"""The errors a client raises: those of the service, and ``Unreachable``."""

import re
from collections.abc import Iterator

import httpx2
from pydantic import ValidationError

from app.errors import ServiceError
from app.schemas.service import Problem
from model.errors import SRCIDError


class Unreachable(SRCIDError):
    """The service does not answer, or something else answers at its address."""


def error_of(response: httpx2.Response) -> ServiceError | Unreachable:
    """Return the error of a response, of the class that the service raised."""
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        start = response.text[:200]
        return Unreachable(
            f"{response.url} answered {response.status_code}, not by SRCID, with {start!r}: "
            "check the address (SRCID_URL, --url) and any proxy in between"
        )
    kind = _kinds().get(problem.type.removeprefix("urn:srcid:"), ServiceError)
    error = kind.__new__(kind)  # skip __init__: the message is complete
    Exception.__init__(error, problem.detail)
    error.retry_after_seconds = retry_after(response)
    if problem.request_id:
        error.add_note(f"request {problem.request_id}")
    return error


def retry_after(response: httpx2.Response) -> float | None:
    """Return the seconds of a Retry-After header, if there is one."""
    value = response.headers.get("retry-after", "")
    return float(value) if re.fullmatch(r"\d{1,6}(\.\d+)?", value) else None


def _kinds() -> dict[str, type[ServiceError]]:
    words = re.compile(r"(?<=[a-z])(?=[A-Z])")
    return {words.sub("-", kind.__name__).lower(): kind for kind in _subclasses(ServiceError)}


def _subclasses(kind: type[ServiceError]) -> Iterator[type[ServiceError]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)
