"""One future for two stages."""

import gc
import weakref
from collections.abc import Iterator
from concurrent.futures import CancelledError, Future

import pytest

from app.engine.engine import chain_futures


class Stages:
    """Two stages that end when a test says so."""

    def __init__(self) -> None:
        self.first: Future[int] = Future()
        self.second: Future[str] = Future()
        self.intermediates: list[int] = []
        self.num_released = 0
        self.chained = chain_futures(self.first, self._submit_second, release=self._release)

    def _submit_second(self, between: int) -> "Future[str]":
        self.intermediates.append(between)
        return self.second

    def _release(self) -> None:
        self.num_released += 1


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
    assert stages.intermediates == [3]
    assert (stages.chained.done(), stages.num_released) == (False, 0)
    stages.second.set_result("three")
    assert (stages.chained.result(0), stages.num_released) == ("three", 1)


def test_an_error_of_the_first_stage_is_the_error(stages: Stages) -> None:
    stages.first.set_exception(ValueError("no media"))
    with pytest.raises(ValueError, match="no media"):
        stages.chained.result(0)
    assert (stages.intermediates, stages.num_released) == ([], 1)


def test_an_error_of_the_second_stage_is_the_error(stages: Stages) -> None:
    stages.first.set_result(3)
    stages.second.set_exception(ValueError("no network"))
    with pytest.raises(ValueError, match="no network"):
        stages.chained.result(0)
    assert stages.num_released == 1


def test_a_second_stage_that_takes_nothing_is_an_error() -> None:
    def refuse(between: int) -> "Future[str]":
        raise ValueError(f"{between} is one too many")

    first: Future[int] = Future()
    released: list[None] = []
    chained = chain_futures(first, refuse, release=lambda: released.append(None))
    first.set_result(3)
    with pytest.raises(ValueError, match="3 is one too many"):
        chained.result(0)
    assert len(released) == 1


def test_cancelling_ends_the_stage_that_is_waited_for(stages: Stages) -> None:
    assert stages.chained.cancel()
    assert stages.first.cancelled()
    assert (stages.intermediates, stages.num_released) == ([], 0)  # it never ran
    later = Stages()
    later.first.set_result(3)
    assert later.chained.cancel()
    assert later.second.cancelled()
    assert later.num_released == 1
    with pytest.raises(CancelledError):
        later.chained.result(0)


@pytest.mark.usefixtures("no_collector")
def test_what_lies_between_is_gone_with_its_future() -> None:
    class Large:
        pass

    first: Future[Large] = Future()
    second: Future[str] = Future()
    chained = chain_futures(first, lambda _: second, release=lambda: None)
    large = Large()
    gone = weakref.ref(large)
    first.set_result(large)
    second.set_result("small")
    del large, first
    assert chained.result(0) == "small"
    assert gone() is None
