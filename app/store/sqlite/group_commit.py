"""One synchronisation of the disk for the edits of many threads."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar

from app.errors import ServiceError

Edit = TypeVar("Edit")
Result = TypeVar("Result")


class _Ticket(Generic[Edit, Result]):
    """An edit, and what has become of it."""

    def __init__(self, edit: Edit) -> None:
        self.edit = edit
        self.results: list[Result] = []  # one, when it is committed
        self.error: ServiceError | None = None

    @property
    def is_done(self) -> bool:
        return bool(self.results) or self.error is not None


class GroupCommit(Generic[Edit, Result]):
    """Commits edits in the order in which they come, together where they come at once.

    While one thread commits, the edits of others gather; the next thread commits all of them.
    Edits that fail together are committed one by one, so that only the one at fault fails.

    Args:
        commit: Commits all edits and returns the result of each, or raises and commits none. Never
            called twice at once.
    """

    def __init__(self, commit: Callable[[Sequence[Edit]], list[Result]]) -> None:
        self._commit = commit
        self._waiting: deque[_Ticket[Edit, Result]] = deque()
        self._turn = threading.Lock()  # held by the thread that commits

    def submit(self, edit: Edit) -> Result:
        """Return the result of ``edit`` when it is committed; raise what ``commit`` raises."""
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
        """Let nothing be committed meanwhile; what is submitted waits."""
        with self._turn:
            yield

    def _take_all(self, own: _Ticket[Edit, Result]) -> None:
        tickets = [self._waiting.popleft() for _ in range(len(self._waiting))]
        try:
            self._settle(tickets)
        finally:  # a thread that is interrupted leaves to the next what it has not done
            others = (ticket for ticket in reversed(tickets) if ticket is not own)
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
