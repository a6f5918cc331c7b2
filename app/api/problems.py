"""Errors as ``application/problem+json`` (RFC 9457): the one place where they become responses."""

import asyncio
import math
import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from app.errors import InvalidRequest, NotFound, Overloaded, ServiceError
from app.schemas.service import Problem
from app.telemetry.logs import current_request

MEDIA_TYPE = "application/problem+json"
KIND = "urn:srcid:"
PROBLEM: dict[str, Any] = {MEDIA_TYPE: {"schema": Problem.model_json_schema()}}
OPENAI = "/v1/"  # below it, problems are also errors as OpenAI's clients read them
INVALID = "invalid_request_error"
OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
# By the method that routes know it by; see ``HttpRules``.
METHODS = {name: name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")} | {
    "HEAD": "GET"
}
# The phrases of RFC 9110, as in Python 3.13: a problem's type must not depend on the Python.
RENAMED = {413: "Content too large", 416: "Range not satisfiable", 422: "Unprocessable content"}
# Rejections of an overloaded server leave together, this often. One by one, each would find cold
# caches; and where several processes share a port, a process that rejects at once would attract
# the next requests, away from processes that have room (decision 26).
REJECTION_SECONDS = 0.01


def documents(*errors: type[ServiceError]) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of a route that may reject a field or fail with these errors."""
    return may_answer(InvalidRequest, *errors)


def may_answer(*errors: type[ServiceError]) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of routes that may fail with these errors."""
    by_status: dict[int | str, list[str]] = {}
    for error in errors:
        by_status.setdefault(error.status, []).append((error.__doc__ or "").rstrip("."))
    return {
        status: {"description": "; or ".join(dict.fromkeys(texts)), "content": PROBLEM}
        for status, texts in by_status.items()
    }


def install(app: FastAPI) -> None:
    """Make ``app`` answer every error with a problem document."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _internal_error)


def problem(error: ServiceError) -> JSONResponse:
    """Return the response for ``error``."""
    wait = error.retry_after_seconds
    headers = {} if wait is None else {"Retry-After": str(math.ceil(wait))}
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"  # required by RFC 9110
    return _answer(error.status, _title(error), str(error), headers)


async def reject(error: ServiceError) -> JSONResponse:
    """Return the response for ``error``; rejections of an overloaded server wait for their time."""
    if isinstance(error, Overloaded):
        now = asyncio.get_running_loop().time()
        await asyncio.sleep(REJECTION_SECONDS - now % REJECTION_SECONDS)
    return problem(error)


def describe(error: ServiceError) -> Problem:
    """Return the problem of one part of a request, such as an item of a batch."""
    return _problem(error.status, _title(error), str(error))


async def _service_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ServiceError)
    return await reject(error)


async def _validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    errors = error.errors()
    if errors[0]["type"] == "json_invalid":
        return problem(InvalidRequest(f"the body is not JSON: {errors[0]['ctx']['error']}"))
    # The first part of each location is where the field was sent: "body", "query" or "path".
    return problem(InvalidRequest.of_fields([{**each, "loc": each["loc"][1:]} for each in errors]))


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    """Answer the framework's own errors: unknown paths, methods, malformed bodies."""
    assert isinstance(error, HTTPException)
    here = f"{request.method} {request.url.path}"
    if error.status_code == HTTPStatus.NOT_FOUND:
        return problem(NotFound(f"there is no {here}: the calls are listed at /docs"))
    detail = error.detail
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = ", ".join(_allowed(request))
        detail = f"there is no {here}: use {allowed}"
        return _answer(error.status_code, "Method not allowed", detail, {"Allow": allowed})
    title = RENAMED.get(error.status_code) or HTTPStatus(error.status_code).phrase.capitalize()
    return _answer(error.status_code, title, detail, error.headers)


def _allowed(request: Request) -> list[str]:
    """Return the methods of all routes at a path: the framework names those of the first."""
    return [
        method
        for method, routed_as in METHODS.items()
        for scope in [{**request.scope, "method": routed_as}]
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes)
    ]


async def _gone(request: Request, error: Exception) -> JSONResponse:
    """Keep broken uploads out of the log of our own failures; nobody reads this response."""
    return _answer(400, "Client disconnected", "the connection closed before the body was whole")


async def _internal_error(request: Request, error: Exception) -> JSONResponse:
    return _answer(
        500, "Internal error", "the service failed; its log says why. Nothing of this was kept"
    )


def _answer(
    status: int, title: str, detail: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    body = _problem(status, title, detail)
    headers = dict(headers or {})
    if (request := current_request.get()) is not None:
        body.request_id, request.problem = request.id, body.type.removeprefix(KIND)
        headers["X-Request-ID"] = request.id  # no middleware adds it to a 500
        if request.path.startswith(OPENAI):
            kind = OPENAI_TYPES.get(status, "server_error" if status >= 500 else INVALID)
            code = request.problem
            body.error = {"message": detail, "type": kind, "param": None, "code": code}
    return JSONResponse(body.model_dump(), status, headers, media_type=MEDIA_TYPE)


def _problem(status: int, title: str, detail: str) -> Problem:
    kind = title.lower().replace(" ", "-")
    return Problem(type=f"{KIND}{kind}", title=title, status=status, detail=detail)


def _title(error: ServiceError) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).capitalize()
