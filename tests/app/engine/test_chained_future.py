"""One future for two stages."""

import gc
import weakref
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future

import pytest

from app.engine.chained_future import then


class Stages:
    """Two stages that end when a test says so."""

    def __init__(self) -> None:
        self.first: Future[int] = Future()
        self.last: Future[str] = Future()
        self.given: list[int] = []
        self.num_freed = 0
        self.both = then(self.first, self._second, free=self._free)

    def _second(self, between: int) -> "Future[str]":
        self.given.append(between)
        return self.last

    def _free(self) -> None:
        self.num_freed += 1


@pytest.fixture
def stages() -> Stages:
    return Stages()


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_the_second_stage_is_given_what_the_first_made(stages: Stages) -> None:
    stages.first.set_result(3)
    assert stages.given == [3]
    assert (stages.both.done(), stages.num_freed) == (False, 0)
    stages.last.set_result("three")
    assert (stages.both.result(0), stages.num_freed) == ("three", 1)


def test_an_error_of_the_first_stage_is_the_error(stages: Stages) -> None:
    stages.first.set_exception(ValueError("no media"))
    with pytest.raises(ValueError, match="no media"):
        stages.both.result(0)
    assert (stages.given, stages.num_freed) == ([], 1)


def test_an_error_of_the_second_stage_is_the_error(stages: Stages) -> None:
    stages.first.set_result(3)
    stages.last.set_exception(ValueError("no network"))
    with pytest.raises(ValueError, match="no network"):
        stages.both.result(0)
    assert stages.num_freed == 1


def test_a_second_stage_that_takes_nothing_is_an_error() -> None:
    def refuse(between: int) -> "Future[str]":
        raise ValueError(f"{between} is one too many")

    first: Future[int] = Future()
    freed: list[None] = []
    both = then(first, refuse, free=lambda: freed.append(None))
    first.set_result(3)
    with pytest.raises(ValueError, match="3 is one too many"):
        both.result(0)
    assert len(freed) == 1


def test_cancelling_ends_the_stage_that_is_waited_for(stages: Stages) -> None:
    assert stages.both.cancel()
    assert stages.first.cancelled()
    assert (stages.given, stages.num_freed) == ([], 0)  # it never ran
    later = Stages()
    later.first.set_result(3)
    assert later.both.cancel()
    assert later.last.cancelled()
    assert later.num_freed == 1
    with pytest.raises(CancelledError):
        later.both.result(0)


@pytest.mark.usefixtures("no_collector")
def test_what_lies_between_is_gone_with_its_future() -> None:
    class Large:
        pass

    first: Future[Large] = Future()
    last: Future[str] = Future()
    both = then(first, lambda _: last, free=lambda: None)
    large = Large()
    gone = weakref.ref(large)
    first.set_result(large)
    last.set_result("small")
    del large, first
    assert both.result(0) == "small"
    assert gone() is None
