"""Every store in turn, empty."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.store.base import Store
from model.encoder import Vocabulary
from tests.contracts.store_cases import OPENERS, make_vocabulary


@pytest.fixture(params=OPENERS)
def opener(request: pytest.FixtureRequest) -> Callable[..., Store]:
    return OPENERS[request.param]


@pytest.fixture
def vocabulary() -> Vocabulary:
    return make_vocabulary()


@pytest.fixture
def store(opener: Callable[..., Store], tmp_path: Path, vocabulary: Vocabulary) -> Iterator[Store]:
    opened = opener(tmp_path, vocabulary, "aa")
    yield opened
    opened.close()
