"""``import srcid`` gives every public name, and loads a library only when it is needed."""

import subprocess
import sys

import pytest

import srcid

HEAVY = ("torch", "numpy", "pydantic", "httpx2", "app", "model")


def loaded_after(code: str) -> set[str]:
    """Return which of ``HEAVY`` a new Python has loaded after running ``code``."""
    report = f"{code}\nimport sys\nprint(*(set(sys.modules) & set({HEAVY!r})))"
    return set(subprocess.check_output([sys.executable, "-c", report], text=True).split())


def test_importing_it_loads_nothing() -> None:
    assert loaded_after("import srcid; assert srcid.__version__; dir(srcid)") == set()


def test_the_client_loads_neither_torch_nor_numpy() -> None:
    assert loaded_after("from srcid import Client; Client().close()") == set(HEAVY) - {
        "torch",
        "numpy",
    }


def test_every_name_is_there_and_listed() -> None:
    assert {name for name in srcid.__all__ if hasattr(srcid, name)} == set(srcid.__all__)
    assert {*srcid.HOMES, "__version__"} == set(srcid.__all__) == set(dir(srcid))


def test_a_wrong_name_is_answered_with_the_right_ones() -> None:
    with pytest.raises(AttributeError, match=r"'Encode': use .*Encoder"):
        _ = srcid.Encode
