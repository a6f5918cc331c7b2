"""The service from Python: ``SRCIDClient`` and, for asyncio, ``AsyncSRCIDClient``.

Both need httpx2 and pydantic only: neither torch nor the web framework is imported.
"""

from app.client.asynchronous import AsyncSRCIDClient
from app.client.errors import Unreachable
from app.client.retry import RetryPolicy
from app.client.synchronous import SRCIDClient

__all__ = ["AsyncSRCIDClient", "RetryPolicy", "SRCIDClient", "Unreachable"]
