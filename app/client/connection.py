"""Address, key and timeout of a connection to the service."""

from importlib.metadata import version
from typing import Any

import httpx2
from pydantic import BaseModel, ConfigDict, Field, HttpUrl, TypeAdapter, ValidationError

from model.errors import ConfigError

DEFAULT_URL = "http://127.0.0.1:8000"
CONNECT_SECONDS = 5.0


class Connection(BaseModel):
    """Connection settings of both clients."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str
    key: str | None = Field(repr=False)
    timeout_seconds: float = Field(gt=0)

    def options(self) -> dict[str, Any]:
        """Return keyword arguments for httpx2's clients.

        Raises:
            ConfigError: The URL is invalid, or the key cannot be sent in a header.
        """
        try:
            TypeAdapter(HttpUrl).validate_python(self.url)
        except ValidationError:
            raise ConfigError(
                f"{self.url!r} is not a valid service URL: use one such as {DEFAULT_URL} "
                "(SRCID_URL, --url)"
            ) from None
        headers = {"User-Agent": f"srcid/{version('srcid')}"}
        if self.key:
            if not (self.key.isascii() and self.key.isprintable() and " " not in self.key):
                raise ConfigError(
                    "the API key contains invalid characters: copy it again (SRCID_API_KEY, --key)"
                )
            headers["Authorization"] = f"Bearer {self.key}"
        return {
            "base_url": self.url,
            "headers": headers,
            "timeout": httpx2.Timeout(self.timeout_seconds, connect=CONNECT_SECONDS),
        }
