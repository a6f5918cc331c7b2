import subprocess
import sys

import numba
import numpy as np
import pytest

from app.store.index import lookups
from app.store.index.kernels import Kernels, kernels_of, load_kernels
from app.store.index.loops.compiled import compiled

WITHOUT_NUMBA = """
import sys
sys.modules["numba"] = None
from app.store.index import lookups
from app.store.index.kernels import kernels_of, load_kernels
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


@pytest.mark.parametrize("kernels", [load_kernels(), kernels_of(lookups)], ids=["loops", "numpy"])
def test_partial_means_add_what_the_steps_of_a_stream_weigh(kernels: Kernels) -> None:
    rng = np.random.default_rng(0)
    steps = rng.integers(0, 30, (50, 5))  # symbols
    norms = rng.integers(1, 1000, 50).astype(np.uint16)
    norms[steps[:, 0] == 3] = 0  # removed
    weights = {3: 0.5, 7: 0.25, 20: 0.125}
    starts, rows = kernels.grouped(steps.astype(np.int32).ravel(), 30, 5)
    sums = np.zeros(50, np.float32)
    for _ in range(2):  # nothing of the first is left for the second
        touched, means = kernels.partial_means(
            starts, rows, np.array(list(weights)), np.float32(list(weights.values())), norms, sums
        )
        found = dict(zip(touched.tolist(), means.tolist(), strict=True))
        wanted = {}
        for row, own in enumerate(steps):
            if total := sum(weights.get(symbol, 0) for symbol in own.tolist()):
                wanted[row] = total / int(norms[row]) if norms[row] else -1
        assert found == pytest.approx(wanted)
