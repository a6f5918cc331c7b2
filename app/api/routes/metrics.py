"""GET /metrics, for Prometheus."""

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

router = APIRouter(tags=["service"])


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}, "description": "Prometheus's text format"}},
)
async def metrics(request: Request) -> Response:
    """Return metrics of requests, durations, batches, the queue and the index."""
    return Response(request.app.state.metrics.render(), media_type=CONTENT_TYPE_LATEST)
