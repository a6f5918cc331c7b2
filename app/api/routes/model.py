"""GET /model: the checkpoint and the limits."""

from fastapi import APIRouter

from app.api.deps import ServiceDep
from app.schemas.service import ModelInfo

router = APIRouter(tags=["service"])


@router.get("/model")
async def model(service: ServiceDep) -> ModelInfo:
    """Return checkpoint, modalities, codebooks and limits."""
    return await service.model()
