"""How far a run of indexing is, how fast it goes, and a file of what failed."""

import json
import time
from collections import Counter, deque
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Self

from app.errors import InvalidRequest
from app.indexing.run import Outcome

RATE_SECONDS = 30.0  # over which rates are measured


class _Moment(NamedTuple):
    """What had been done at some time."""

    time: float
    files: int
    media_seconds: float


class Progress:
    """Counts what became of files, and how many come in a second.

    Args:
        total: Files there are.
        clock: Seconds that only go up.
    """

    def __init__(self, total: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = total
        self.counts: Counter[str] = Counter()  # by the kind of outcome
        self.media_seconds = 0.0  # that were encoded
        self._clock = clock
        self._moments = deque([_Moment(clock(), 0, 0.0)])

    def note(self, outcome: Outcome) -> None:
        """Count one more file."""
        self.counts[outcome.kind] += 1
        self.media_seconds += outcome.seconds
        self._moments.append(_Moment(self._clock(), self.done, self.media_seconds))
        while len(self._moments) > 2 and self._passed > RATE_SECONDS:
            self._moments.popleft()

    @property
    def done(self) -> int:
        """Files that are dealt with."""
        return self.counts.total()

    @property
    def files_per_second(self) -> float | None:
        """Lately; None before the first."""
        return self._rate(self._moments[-1].files - self._moments[0].files)

    @property
    def media_per_second(self) -> float | None:
        """Seconds of media that were encoded in a second, lately; None before the first."""
        return self._rate(self._moments[-1].media_seconds - self._moments[0].media_seconds)

    @property
    def seconds_left(self) -> float | None:
        """What the rest takes at that rate; None where none is known."""
        rate = self.files_per_second
        return max(0, self.total - self.done) / rate if rate else None

    @property
    def _passed(self) -> float:
        return self._moments[-1].time - self._moments[0].time

    def _rate(self, amount: float) -> float | None:
        return amount / self._passed if self._passed > 0 else None


class FailureReport:
    """A file with a JSON object a line: ``path`` and ``detail`` of what was not indexed whole.

    It is begun anew and written line by line, so that it is there even after a crash.

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
        """Write why a file is not there, or what is missing of it."""
        if outcome.detail:
            line = {"path": outcome.file.label, "detail": outcome.detail}
            print(json.dumps(line), file=self._file)
