import subprocess
import sys

import numba
import pytest

from app.store.loops.compiled import compiled

WITHOUT_NUMBA = """
import sys
sys.modules["numba"] = None
from app.store import lookups
from app.store.kernels import kernels_of, load_kernels
assert load_kernels() == kernels_of(lookups)
"""


def test_without_the_compiler_numpy_looks_up() -> None:
    found = subprocess.run(
        [sys.executable, "-c", WITHOUT_NUMBA], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr


def test_without_a_folder_that_can_be_written_loops_are_compiled_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def njit(*given: object, **options: object) -> object:
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return numba_njit(*given, **options)

    numba_njit = numba.njit
    monkeypatch.setattr(numba, "njit", njit)

    @compiled
    def twice(value: int) -> int:
        return 2 * value

    assert twice(4) == 8
