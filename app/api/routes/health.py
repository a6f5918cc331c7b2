"""Health checks: /livez and /readyz. Open to all."""

import anyio
from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter

from app.api.deps import ServiceDep
from app.api.problems import may_answer
from app.errors import EngineFailed, Starting, Stopping, StoreUnavailable
from app.schemas.service import Health

router = APIRouter(tags=["service"])

CHECK_SECONDS = 1.0  # for the index to answer


@router.get("/livez")
async def livez() -> Health:
    """Tell that the process answers. Waits for no work in progress."""
    return Health(status="alive")


@router.get("/readyz", responses=may_answer(EngineFailed, Starting, Stopping, StoreUnavailable))
async def readyz(service: ServiceDep) -> Health:
    """Tell that requests can be served: network and decoders work, the index is readable.

    Waits for no work in progress. An overloaded service is ready; one that is being stopped is
    not.
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
