"""One disk synchronisation for the edits of many threads."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

from app.errors import ServiceError

Edit = TypeVar("Edit")
Result = TypeVar("Result")


class _Ticket(Generic[Edit, Result]):
    """An edit and its outcome."""

    def __init__(self, edit: Edit) -> None:
        self.edit = edit
        self.results: list[Result] = []  # one, once it is committed
        self.error: ServiceError | None = None

    @property
    def is_done(self) -> bool:
        return bool(self.results) or self.error is not None


class GroupCommit(Generic[Edit, Result]):
    """Commits edits in order of arrival, and simultaneous edits together.

    While one thread commits, the edits of others queue; the next thread commits all of them.
    Edits that fail together are committed one by one, so that only the faulty one fails.

    Args:
        commit: Commits all edits and returns the result of each, or raises and commits none. Only
            one call runs at a time.
    """

    def __init__(self, commit: Callable[[Sequence[Edit]], list[Result]]) -> None:
        self._commit = commit
        self._waiting: deque[_Ticket[Edit, Result]] = deque()
        self._turn = threading.Lock()  # held by the thread that commits

    def submit(self, edit: Edit) -> Result:
        """Return the result of ``edit`` once it is committed; raise what ``commit`` raises."""
        ticket = _Ticket[Edit, Result](edit)
        self._waiting.append(ticket)
        with self._turn:
            if not ticket.is_done:
                self._take_all(ticket)
        if ticket.error:
            raise ticket.error
        return ticket.results[0]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Block all commits; submitted edits wait."""
        with self._turn:
            yield

    def _take_all(self, current: _Ticket[Edit, Result]) -> None:
        tickets = [self._waiting.popleft() for _ in range(len(self._waiting))]
        try:
            self._settle(tickets)
        finally:  # an interrupted thread leaves unfinished edits to the next one
            others = (ticket for ticket in reversed(tickets) if ticket is not current)
            self._waiting.extendleft(ticket for ticket in others if not ticket.is_done)

    def _settle(self, tickets: Sequence[_Ticket[Edit, Result]]) -> None:
        try:
            results = self._commit([ticket.edit for ticket in tickets])
        except ServiceError as error:
            if len(tickets) == 1:
                tickets[0].error = error
                return
            for ticket in tickets:
                self._settle([ticket])
            return
        for ticket, result in zip(tickets, results, strict=True):
            ticket.results.append(result)
