"""What is there and whether it works: /livez, /readyz, /model."""

from fastapi import APIRouter

from app.api.deps import ServiceDep
from app.schemas import Health, ModelInfo

router = APIRouter(tags=["service"])


@router.get("/livez")
async def livez() -> Health:
    """Tell that the process answers. Waits for no work that is going on."""
    return Health(status="alive")


@router.get("/readyz")
def readyz(service: ServiceDep) -> Health:
    """Tell that requests can be served: checkpoint loaded, index open and readable."""
    service.describe()
    return Health(status="ready")


@router.get("/model")
def model(service: ServiceDep) -> ModelInfo:
    """Return checkpoint, modalities, codebooks and limits."""
    return service.describe()
