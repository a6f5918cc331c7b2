"""Routes that take the request as it is, for what is called most."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from app.api.problems import refuse
from app.errors import ServiceError


class PlainRoute(APIRoute):
    """A route whose function takes the request, and nothing else, and returns a pydantic model.

    FastAPI's own way looks for parameters and validates the answer once more; and an error goes
    up through all that, which takes a refusal twice the time that it takes here.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return what answers a request."""
        endpoint = self.endpoint

        async def answer(request: Request) -> Response:
            try:
                made = await endpoint(request)
            except ServiceError as error:
                return await refuse(error)
            return Response(made.model_dump_json(by_alias=True), media_type="application/json")

        return answer
