"""How fast work goes, learnt from the work that is done."""

LATE_SECONDS = 1.0  # that work may always take longer than expected
LATE_TIMES = 20  # as long as expected: a busy machine is no broken one
WEIGHT = 0.1  # of the latest measurement


class Pace:
    """The seconds that a unit of work takes, for each kind of work."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    def note(self, kind: str, units: float, seconds: float) -> None:
        """Learn that so many ``units`` took ``seconds``."""
        measured = seconds / units
        known = self._seconds.setdefault(kind, measured)
        self._seconds[kind] = known + WEIGHT * (measured - known)

    def expected(self, kind: str, units: float) -> float | None:
        """Return how many seconds so many units take; None: nothing is known of this kind."""
        known = self._seconds.get(kind)
        return None if known is None else known * units

    def is_late(self, kind: str, units: float, seconds: float) -> bool:
        """Tell whether work that has gone on for ``seconds`` should have ended long ago."""
        expected = self.expected(kind, units)
        return expected is not None and seconds > LATE_SECONDS + LATE_TIMES * expected
