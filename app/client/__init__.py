"""Python clients of the service: ``SRCIDClient`` and, for asyncio, ``AsyncSRCIDClient``.

They depend on httpx2 and pydantic only: importing them loads neither torch nor FastAPI.
"""

from app.client.asynchronous import AsyncSRCIDClient
from app.client.errors import Unreachable
from app.client.retry import RetryPolicy
from app.client.synchronous import SRCIDClient

__all__ = ["AsyncSRCIDClient", "RetryPolicy", "SRCIDClient", "Unreachable"]
