"""Who is told how the engine works. The engine knows no metrics library; metrics know no engine."""

from typing import Protocol


class EngineObserver(Protocol):
    """Told what happened, after it happened, from whichever thread it happened in.

    Methods must return at once and never raise.
    """

    def decoded(self, seconds: float) -> None:
        """One upload was decoded; ``seconds`` of wall time, waiting for a worker not included."""

    def waited(self, seconds: float) -> None:
        """One item waited so long between being ready and the start of its batch."""

    def ran(self, *, items: int, seconds: float) -> None:
        """A batch of ``items`` went through the network in ``seconds``."""

    def restarted(self, part: str) -> None:
        """A decode worker ("decoder") or the device thread ("device") died and was replaced."""


class Unobserved:
    """The observer of an engine that nobody watches."""

    def decoded(self, seconds: float) -> None:
        """Keep nothing."""

    def waited(self, seconds: float) -> None:
        """Keep nothing."""

    def ran(self, *, items: int, seconds: float) -> None:
        """Keep nothing."""

    def restarted(self, part: str) -> None:
        """Keep nothing."""
