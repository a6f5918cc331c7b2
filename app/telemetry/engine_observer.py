"""The events that the engine reports. The engine imports no metrics library."""

from typing import Literal

Part = Literal["decoder", "device"]  # of the engine: decoding, or the network


class EngineObserver:
    """Receives the events of an engine; this base class ignores them.

    The engine calls a method after the event, from any of its threads. Methods must return at
    once and never raise.
    """

    def decoded(self, seconds: float) -> None:
        """One file was decoded in ``seconds``, excluding the wait for a worker."""

    def waited(self, part: Part, seconds: float) -> None:
        """One item spent ``seconds`` in the queue of ``part``."""

    def ran(self, part: Part, *, items: int, seconds: float) -> None:
        """A thread of ``part`` ran a batch in ``seconds``; ``items`` of it succeeded."""

    def restarted(self, part: Part) -> None:
        """A worker process or thread of ``part`` died or hung and was replaced."""
