"""How several processes share one machine; how they serve is tested by ``tests/e2e``."""

import pytest

from app.server import workers
from app.settings import Settings


def test_processors_are_divided_unless_settings_say_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(workers.os, "cpu_count", lambda: 8)
    shared = workers._share_processors(Settings(workers=4, max_decodes=5))
    assert (shared.network_threads, shared.max_decodes) == (2, 5)
    assert workers._share_processors(Settings(workers=16)).network_threads == 1
