"""Progress, rates and the failure report of an indexing run."""

import json
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self

from app.errors import InvalidRequest
from app.indexing.run import Outcome

RATE_SECONDS = 30.0  # the window over which rates are measured


class _Sample(NamedTuple):
    """The totals at some time."""

    time: float
    files: int
    media_seconds: float


class Progress:
    """Counts outcomes and measures rates.

    Args:
        total: The number of files.
        clock: Monotonic seconds.
    """

    def __init__(self, total: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.counts: Counter[str] = Counter()  # by kind of outcome
        self.media_seconds = 0.0  # encoded so far
        self._clock = clock
        self._samples = deque([_Sample(clock(), 0, 0.0)])

    def note(self, outcome: Outcome) -> None:
        """Count one more file."""
        self.counts[outcome.kind] += 1
        self.media_seconds += outcome.seconds
        self._samples.append(_Sample(self._clock(), self.done, self.media_seconds))
        while len(self._samples) > 2 and self._elapsed > RATE_SECONDS:
            self._samples.popleft()

    @property
    def done(self) -> int:
        """How many files are finished."""
        return self.counts.total()

    @property
    def files_per_second(self) -> float | None:
        """The recent rate; None before the first file."""
        return self._rate(self._samples[-1].files - self._samples[0].files)

    @property
    def media_per_second(self) -> float | None:
        """Seconds of media encoded per second, recently; None before the first file."""
        return self._rate(self._samples[-1].media_seconds - self._samples[0].media_seconds)

    @property
    def seconds_left(self) -> float | None:
        """How long the remaining files take at the recent rate; None: unknown."""
        rate = self.files_per_second
        return max(0, self.total - self.done) / rate if rate else None

    @property
    def _elapsed(self) -> float:
        return self._samples[-1].time - self._samples[0].time

    def _rate(self, amount: float) -> float | None:
        return amount / self._elapsed if self._elapsed > 0 else None


class FailureReport:
    """A JSON-lines file: ``path`` and ``detail`` of each file that was not indexed whole.

    An existing file is overwritten. Lines are written at once, and so survive a crash.

    Raises:
        InvalidRequest: It cannot be written.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("w", encoding="utf-8", buffering=1)
        except OSError as error:
            raise InvalidRequest(
                f"the report {path} cannot be written ({error.strerror}): name another file"
            ) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def note(self, outcome: Outcome) -> None:
        """Write why a file failed, or what is missing of it."""
        if outcome.detail:
            line = {"path": outcome.file.label, "detail": outcome.detail}
            print(json.dumps(line), file=self._file)
