"""Arrays come out of every kind of pickle that numpy writes, and nothing else does."""

import io
import os
import pickle
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from training.data.archives.pickles import unpickle_array

DRAW = np.random.default_rng(0)
ARRAYS: dict[str, NDArray[np.generic]] = {
    "doubles": DRAW.normal(size=(10, 7, 3)),
    "floats": DRAW.normal(size=(3, 5)).astype(np.float32),
    "halves": DRAW.normal(size=(2, 2)).astype(np.float16),
    "big-endian": np.arange(6, dtype=">i4").reshape(2, 3),
    "bytes": np.arange(250, dtype=np.uint8),
    "columns first": np.asfortranarray(DRAW.normal(size=(4, 3))),
    "a view": DRAW.normal(size=(6, 8))[::2, 1::3],
    "truths": np.array([[True, False]]),
    "one number": np.array(3.5),
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_comes_back_as_it_was_pickled(name: str, protocol: int) -> None:
    array = ARRAYS[name]
    found = unpickle_array(pickle.dumps(array, protocol=protocol))
    assert found.dtype == array.dtype
    np.testing.assert_array_equal(found, array, strict=True)


def test_a_pickle_of_an_older_numpy_is_read() -> None:
    array = ARRAYS["doubles"]
    older = pickle.dumps(array, protocol=3).replace(b"numpy._core", b"numpy.core")
    assert b"numpy.core" in older
    np.testing.assert_array_equal(unpickle_array(older), array)


class Calls:
    """Something whose pickle calls a function when it is read."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_a_pickle_cannot_call_anything(protocol: int, tmp_path: Path) -> None:
    target = tmp_path / "made"
    attack = Calls(os.mkdir, str(target))
    with pytest.raises(pickle.UnpicklingError, match=r"loads posix\.mkdir, which no array"):
        unpickle_array(pickle.dumps(attack, protocol=protocol))
    for hidden in ([ARRAYS["doubles"], attack], np.array([attack], dtype=object)):
        with pytest.raises(pickle.UnpicklingError):
            unpickle_array(pickle.dumps(hidden, protocol=protocol))
    assert not target.exists()


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        ([1.0, 2.0], "does not hold an array"),
        ({"feature": np.zeros(2)}, "does not hold an array"),
        (None, "does not hold an array"),
        (np.float64(2), "loads numpy._core.multiarray.scalar"),
        (np.zeros(2, dtype=object), "'O8', which is not numeric"),
        (np.array(["a word"]), "'U6', which is not numeric"),
        (np.zeros(2, dtype=[("a", "f8")]), "'V8', which is not numeric"),
        (np.ma.masked_array([1.0]), "loads numpy.ma"),
        (np.zeros(3, dtype=complex), "'c16', which is not numeric"),
    ],
    ids=str,
)
def test_only_arrays_of_numbers_are_read(thing: object, message: str) -> None:
    with pytest.raises(pickle.UnpicklingError, match=message):
        unpickle_array(pickle.dumps(thing))


def assembled(*parts: bytes) -> bytes:
    return b"".join((b"\x80\x02", *parts, b"."))


NDARRAY, DTYPE = b"cnumpy\nndarray\n", b"cnumpy\ndtype\n"
ENCODE = b"c_codecs\nencode\n"
EMPTY = b"cnumpy._core.multiarray\n_reconstruct\n" + NDARRAY + b"K\x00\x85C\x01b\x87R"
DOUBLES = DTYPE + b"X\x02\x00\x00\x00f8\x89\x88\x87R"
LITTLE = b"(K\x03X\x01\x00\x00\x00<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"

MIXED = LITTLE.replace(b"X\x01\x00\x00\x00<", b"X\x04\x00\x00\x00i4,<")


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ((EMPTY,), "an array that was never filled"),
        ((EMPTY, b"(K\x01K\x02\x85", DOUBLES, LITTLE, b"\x89C\x08", bytes(8), b"tb"), "too few"),
        ((EMPTY, b"(K\x01K\x01\x85N\x89C\x08", bytes(8), b"tb"), "no dtype"),
        ((NDARRAY, b"}b"), "a state for a class"),
        ((ENCODE, b"N}\x86b"), "fields for a class"),
        ((ENCODE, b"X\x01\x00\x00\x00aX\x03\x00\x00\x00zip\x86R"), "another encoding"),
        ((DOUBLES, LITTLE.replace(b"<", b"Z")), "an order of bytes that is none"),
        ((EMPTY, b"(K\x01K\x01\x85", DOUBLES, MIXED, b"\x89C\x0c", bytes(12), b"tb"), "fields"),
        ((b"B\xff\xff\xff\x7fx",), "more bytes than there are"),
        ((b"Nr\xff\xff\xff\xff",), "a place in the memory of 4 thousand million"),
        ((b"\x82\x01",), "an extension"),
        ((b"K\x01Q",), "something outside the pickle"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_assembled_pickle_is_refused(parts: tuple[bytes, ...], reason: str) -> None:
    with pytest.raises(pickle.UnpicklingError):
        unpickle_array(assembled(*parts))


def test_a_number_in_a_pickle_allocates_nothing() -> None:
    far = (2**22).to_bytes(4, "little")
    tracemalloc.start()
    with pytest.raises(pickle.UnpicklingError):
        unpickle_array(assembled(b"Nr", far))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20


def test_the_parts_of_these_pickles_make_an_array_when_they_fit() -> None:
    data = np.array([1.0, 2.5]).tobytes()
    fitting = assembled(EMPTY, b"(K\x01K\x02\x85", DOUBLES, LITTLE, b"\x89C\x10", data, b"tb")
    assert unpickle_array(fitting).tolist() == [1.0, 2.5]


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_truncated_pickle_is_refused_wherever_it_ends(protocol: int) -> None:
    whole = pickle.dumps(np.arange(3.0), protocol=protocol)
    for end in range(len(whole)):
        with pytest.raises(pickle.UnpicklingError):
            unpickle_array(whole[:end])


@settings(deadline=None, max_examples=300)
@given(
    protocol=st.sampled_from([0, 2, 4, 5]),
    damage=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=4),
)
def test_damage_gives_numbers_or_the_error(protocol: int, damage: list[tuple[int, int]]) -> None:
    damaged = bytearray(pickle.dumps(np.arange(6.0).reshape(2, 3), protocol=protocol))
    for place, value in damage:
        damaged[place % len(damaged)] = value
    try:
        found = unpickle_array(bytes(damaged))
    except pickle.UnpicklingError:
        return
    assert isinstance(found, np.ndarray)
    assert found.dtype.kind in "fiub"
    np.load(io.BytesIO(_npy(found)))


def _npy(array: NDArray[np.generic]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()
