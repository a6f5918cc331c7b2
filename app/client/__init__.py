"""Python clients of the service: ``Client`` and, for asyncio, ``AsyncClient``.

They depend on httpx2 and pydantic only: importing them loads neither torch nor FastAPI.
"""

from app.client.asynchronous import AsyncClient
from app.client.errors import Unreachable
from app.client.retry import RetryPolicy
from app.client.synchronous import Client

__all__ = ["AsyncClient", "Client", "RetryPolicy", "Unreachable"]
