import threading
from collections.abc import Sequence

import pytest

from app.errors import StoreUnavailable
from app.store.sqlite.database import GroupCommit

SECONDS = 10  # that a thread may take on a busy machine


class Disk:
    """Commits numbers; waits where it is told to; cannot take negative ones."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.tried = 0
        self.began = threading.Event()
        self.may_go_on = threading.Event()

    def commit(self, edits: Sequence[int]) -> list[int]:
        self.tried += 1
        self.began.set()
        assert self.may_go_on.wait(SECONDS)
        if min(edits) < 0:
            raise StoreUnavailable(f"no room for {min(edits)}")
        self.groups.append(list(edits))
        return [10 * edit for edit in edits]


class Writers:
    """Threads that submit an edit each."""

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.commits = GroupCommit(disk.commit)
        self.results: dict[int, object] = {}
        self.threads: list[threading.Thread] = []

    def submit(self, edit: int) -> None:
        def run() -> None:
            try:
                self.results[edit] = self.commits.submit(edit)
            except BaseException as error:
                self.results[edit] = error

        self.threads.append(threading.Thread(target=run))
        self.threads[-1].start()

    def gather_behind_the_first(self, *edits: int) -> None:
        """Submit all but the first while that one is being committed."""
        self.submit(edits[0])
        assert self.disk.began.wait(SECONDS)
        for number, edit in enumerate(edits[1:], 1):
            self.submit(edit)
            while len(self.commits._waiting) < number:
                pass  # so that they come in this order

    def join(self) -> None:
        self.disk.may_go_on.set()
        for thread in self.threads:
            thread.join(SECONDS)
            assert not thread.is_alive()


def test_edits_that_come_while_another_is_committed_are_committed_together() -> None:
    writers = Writers(Disk())
    writers.gather_behind_the_first(1, 2, 3, 4)
    writers.join()
    assert writers.disk.groups == [[1], [2, 3, 4]]
    assert writers.results == {1: 10, 2: 20, 3: 30, 4: 40}


def test_only_the_edit_at_fault_fails() -> None:
    writers = Writers(Disk())
    writers.gather_behind_the_first(1, 2, -3, 4)
    writers.join()
    assert writers.disk.groups == [[1], [2], [4]]
    assert isinstance(writers.results.pop(-3), StoreUnavailable)
    assert writers.results == {1: 10, 2: 20, 4: 40}


def test_an_interrupted_thread_leaves_the_edits_of_others_to_the_next() -> None:
    class Interrupted(Disk):
        def commit(self, edits: Sequence[int]) -> list[int]:
            result = super().commit(edits)
            if len(edits) > 1 and self.tried == 2:
                self.groups.pop()
                raise KeyboardInterrupt
            return result

    writers = Writers(Interrupted())
    writers.gather_behind_the_first(1, 2, 3, 4)
    writers.join()
    stopped = [edit for edit, own in writers.results.items() if isinstance(own, BaseException)]
    done = {2, 3, 4} - set(stopped)
    assert len(stopped) == 1
    assert {edit for group in writers.disk.groups[1:] for edit in group} == done
    assert all(writers.results[edit] == 10 * edit for edit in done)


def test_nothing_is_committed_while_the_turn_is_held() -> None:
    writers = Writers(Disk())
    writers.disk.may_go_on.set()
    with writers.commits.held():
        writers.submit(1)
        while not writers.commits._waiting:
            pass
        assert writers.disk.tried == 0
    writers.join()
    assert writers.disk.groups == [[1]]


def test_a_single_edit_raises_what_the_commit_raises() -> None:
    disk = Disk()
    disk.may_go_on.set()
    commits = GroupCommit(disk.commit)
    with pytest.raises(StoreUnavailable, match="no room for -1"):
        commits.submit(-1)
    assert commits.submit(2) == 20
