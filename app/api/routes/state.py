"""GET /livez, /readyz, /model and /metrics: the state of the service."""

import anyio
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from app.api.deps import ServiceDep
from app.api.problems import may_answer
from app.errors import EngineFailed, Starting, Stopping, StoreUnavailable
from app.schemas.service import Health, ModelInfo

probes = APIRouter(tags=["service"])
OPEN: dict[str, list[str]] = {"security": []}  # without a key
router = APIRouter(tags=["service"])

CHECK_SECONDS = 1.0  # for the index to answer


@probes.get("/livez", openapi_extra=OPEN)
async def livez() -> Health:
    """Tell that the process answers. Waits for no work in progress."""
    return Health(status="alive")


@probes.get(
    "/readyz",
    openapi_extra=OPEN,
    responses=may_answer(EngineFailed, Starting, Stopping, StoreUnavailable),
)
async def readyz(service: ServiceDep) -> Health:
    """Tell that requests can be served: network and decoders work, the index is readable.

    Waits for no work in progress. An overloaded service is ready; a stopping one is not.
    """
    try:
        with anyio.fail_after(CHECK_SECONDS):
            # With its own limiter: all threads of the routes may be busy.
            await to_thread.run_sync(
                service.check, limiter=CapacityLimiter(1), abandon_on_cancel=True
            )
    except TimeoutError:
        raise StoreUnavailable("the index does not answer: check its disk") from None
    return Health(status="ready", decode_sandbox=service.decode_sandbox)


@router.get("/model")
async def model(service: ServiceDep) -> ModelInfo:
    """Return checkpoint, modalities, codebooks and limits."""
    return await service.model()


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus's text format"}},
)
async def metrics(request: Request) -> Response:
    """Return metrics of requests, durations, batches, the queue and the index."""
    return Response(request.app.state.metrics.render(), media_type=CONTENT_TYPE_LATEST)
