"""GET /model: what is served."""

from fastapi import APIRouter

from app.api.deps import ServiceDep
from app.schemas import ModelInfo

router = APIRouter(tags=["service"])


@router.get("/model")
def model(service: ServiceDep) -> ModelInfo:
    """Return checkpoint, modalities, codebooks and limits."""
    return service.describe()
