"""Retries: which failures are retried, and after which pause."""

import logging
import random

import httpx2
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt

from app.client.errors import Unreachable, error_of, retry_after

logger = logging.getLogger(__name__)

REFUSED = {429, 503}  # nothing was done: any request may be retried


class RetryPolicy(BaseModel):
    """How often and how long to retry."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    retries: NonNegativeInt = Field(4, description="Most retries of a call; 0 disables them")
    first_seconds: NonNegativeFloat = Field(
        0.25, description="Longest pause before the first retry; doubles with each retry"
    )
    most_seconds: NonNegativeFloat = Field(
        30, description="Longest pause; if the service asks for more, the call fails"
    )


class Attempts:
    """The attempts of one call: after each failure, returns the pause or raises.

    Args:
        policy: How often and how long to retry.
        is_repeatable: Whether sending the call again is harmless when the outcome of the first
            attempt is unknown.
    """

    def __init__(self, policy: RetryPolicy, *, is_repeatable: bool) -> None:
        self.policy = policy
        self.is_repeatable = is_repeatable
        self.is_uncertain = False  # whether an earlier attempt may have been carried out
        self._made = 0

    def after_answer(self, response: httpx2.Response) -> float:
        """Return the seconds to wait after an error response.

        Raises:
            ServiceError: The error of the response, if a retry would not help or none is left.
            Unreachable: The response is not from SRCID.
        """
        error = error_of(response)
        asked = retry_after(response)
        pause = self._pause() if asked is None else asked + self._pause()
        is_acceptable = asked is None or asked <= self.policy.most_seconds
        if response.status_code in REFUSED and is_acceptable and self._may_go_on():
            return pause
        raise error

    def after_error(self, error: httpx2.TransportError) -> float:
        """Return the seconds to wait after a failed connection.

        Raises:
            Unreachable: A retry could do harm, or none is left.
        """
        never_sent = isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout)
        self.is_uncertain = self.is_uncertain or not never_sent
        where = error.request.url.copy_with(raw_path=b"/")
        if (never_sent or self.is_repeatable) and self._may_go_on():
            pause = self._pause()
            logger.warning("%s does not answer: retrying in %.1f s", where, pause)
            return pause
        raise Unreachable(
            f"{where} does not answer ({type(error).__name__}: {error}): check the address "
            "(SRCID_URL, --url) and that the service runs"
        ) from error

    def _may_go_on(self) -> bool:
        self._made += 1
        return self._made <= self.policy.retries

    def _pause(self) -> float:
        """Return a random part of a growing pause, so that clients do not retry together."""
        longest = self.policy.first_seconds * 2**self._made
        return random.uniform(0, min(longest, self.policy.most_seconds))
