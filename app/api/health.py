"""What is there and whether it works: /livez, /readyz, /model."""

import anyio
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter

from app.api.deps import ServiceDep
from app.api.problems import documents
from app.errors import EngineFailed, Stopping, StoreUnavailable
from app.schemas import Health, ModelInfo

router = APIRouter(tags=["service"])

CHECK_SECONDS = 1.0  # for the index to show that it can be read


@router.get("/livez")
async def livez() -> Health:
    """Tell that the process answers. Waits for no work that is going on."""
    return Health(status="alive")


@router.get("/readyz", responses=documents(EngineFailed, Stopping, StoreUnavailable))
async def readyz(service: ServiceDep) -> Health:
    """Tell that requests can be served: network and decoders work, the index is readable.

    Waits for no work that is going on. While the service is overloaded it is ready still; once
    it is told to stop it is not.
    """
    try:
        with anyio.fail_after(CHECK_SECONDS):
            # A limit of its own: the threads of the routes may all be busy.
            await to_thread.run_sync(
                service.check, limiter=CapacityLimiter(1), abandon_on_cancel=True
            )
    except TimeoutError:
        raise StoreUnavailable("the index does not answer: see what its disk does") from None
    return Health(status="ready")


@router.get("/model")
def model(service: ServiceDep) -> ModelInfo:
    """Return checkpoint, modalities, codebooks and limits."""
    return service.describe()
