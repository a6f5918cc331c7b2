"""When a call is sent again, and after how long."""

import logging
import random

import httpx2
from pydantic import BaseModel, ConfigDict, Field, NonNegativeFloat, NonNegativeInt

from app.client.errors import Unreachable, error_of, retry_after

logger = logging.getLogger(__name__)

REFUSED = {429, 503}  # nothing was done: the same request may be sent again, whatever it is


class RetryPolicy(BaseModel):
    """How often and how patiently."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    retries: NonNegativeInt = Field(4, description="Times that a call is sent again; 0 is never")
    first_seconds: NonNegativeFloat = Field(
        0.25, description="Longest pause before the first; it doubles for each that follows"
    )
    most_seconds: NonNegativeFloat = Field(
        30, description="Longest pause; a service that asks for more is not waited for"
    )


class Attempts:
    """The attempts of one call. Tells after each how long to wait for the next, or raises.

    Args:
        policy: How many, how far apart.
        is_repeatable: Whether it does no harm to send the call a second time when nobody knows
            what became of the first.
    """

    def __init__(self, policy: RetryPolicy, *, is_repeatable: bool) -> None:
        self.policy = policy
        self.is_repeatable = is_repeatable
        self.is_uncertain = False  # whether an earlier attempt may have been carried out
        self._made = 0

    def after_answer(self, response: httpx2.Response) -> float:
        """Return the seconds to wait after an answer that is none.

        Raises:
            ServiceError: What the answer stands for, where waiting does not help or is over.
            Unreachable: It is nobody of ours who answers.
        """
        error = error_of(response)
        asked = retry_after(response)
        pause = self._pause() if asked is None else asked + self._pause()
        patient = asked is None or asked <= self.policy.most_seconds
        if response.status_code in REFUSED and patient and self._may_go_on():
            return pause
        raise error

    def after_error(self, error: httpx2.TransportError) -> float:
        """Return the seconds to wait after a connection that broke or was never made.

        Raises:
            Unreachable: It is not to be tried again.
        """
        never_sent = isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout)
        self.is_uncertain = self.is_uncertain or not never_sent
        where = error.request.url.copy_with(raw_path=b"/")
        if (never_sent or self.is_repeatable) and self._may_go_on():
            pause = self._pause()
            logger.warning("%s does not answer: it is asked again in %.1f s", where, pause)
            return pause
        raise Unreachable(
            f"{where} does not answer ({type(error).__name__}: {error}): check the address "
            "(SRCID_URL, --url) and that the service runs"
        ) from error

    def _may_go_on(self) -> bool:
        self._made += 1
        return self._made <= self.policy.retries

    def _pause(self) -> float:
        """Return a random part of a growing pause, so that many clients do not come at once."""
        longest = self.policy.first_seconds * 2**self._made
        return random.uniform(0, min(longest, self.policy.most_seconds))
