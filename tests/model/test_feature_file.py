"""Feature files: what they hold, and what is refused."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save

from model.config import SRCIDConfig
from model.errors import MediaError, MediaTooLarge
from model.feature_file import is_feature_file, read_features
from model.modality import Modality
from tests.media_maker import colours, make_picture, make_sound, make_video, tone


def npy(array: NDArray[np.generic]) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.fixture
def features() -> NDArray[np.float32]:
    return np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)


def test_an_npy_file_holds_what_the_field_names(
    tiny_config: SRCIDConfig, features: NDArray[np.float32]
) -> None:
    read = read_features(npy(features), tiny_config, modality=Modality.AUDIO, max_steps=3)
    assert read.keys() == {Modality.AUDIO}
    np.testing.assert_array_equal(read[Modality.AUDIO], features)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_safetensors_hold_several_modalities_of_any_float(
    tiny_config: SRCIDConfig, features: NDArray[np.float32], dtype: type
) -> None:
    data = save({"audio": features.astype(dtype), "text": features[:1].astype(dtype)})
    read = read_features(data, tiny_config, modality=None, max_steps=10)
    assert {m: array.shape for m, array in read.items()} == {"audio": (3, 8), "text": (1, 8)}
    assert all(array.dtype == np.float32 for array in read.values())
    only = read_features(data, tiny_config, modality=Modality.TEXT, max_steps=10)
    assert only.keys() == {"text"}


def test_features_are_told_from_media() -> None:
    media = [
        make_video(colours(1), audio=tone(1)),
        make_sound(tone(1)),
        make_picture(np.zeros((8, 8, 3), np.uint8)),
        b"",
        b"{}",
    ]
    assert not any(is_feature_file(data) for data in media)
    assert is_feature_file(npy(np.zeros(1)))
    assert is_feature_file(save({"audio": np.zeros((1, 8), np.float32)}))


def test_what_is_wrong_with_the_features_is_said(tiny_config: SRCIDConfig) -> None:
    good = np.zeros((2, 8), np.float32)
    objects = io.BytesIO()
    np.save(objects, np.array([{}], dtype=object), allow_pickle=True)
    bombs = npy(good).replace(b"(2, 8)", b"(9**9,8)"[:6])
    wrong = {
        "does not say what it is of": (npy(good), None),
        "damaged npy": (b"\x93NUMPY" + bytes(20), Modality.AUDIO),
        "this checkpoint takes": (npy(good[:, :4]), Modality.AUDIO),
        "of floating point": (npy(good.astype(int)), Modality.AUDIO),
        "NaN": (npy(good * np.nan), Modality.AUDIO),
        "C-contiguous": (npy(np.asfortranarray(good)), Modality.AUDIO),
        "C-contiguous numbers": (objects.getvalue(), Modality.AUDIO),
        "npy file": (bombs, Modality.AUDIO),
        "does not load": (save({"audio": good})[:-1], None),
        "no tensor named": (save({"audio": good}), Modality.VIDEO),
        "a tensor named 'smell'": (save({"smell": good}), None),
    }
    for message, (data, modality) in wrong.items():
        with pytest.raises(MediaError, match=message):
            read_features(data, tiny_config, modality=modality, max_steps=10)


def test_an_npy_file_cannot_promise_more_than_it_holds(tiny_config: SRCIDConfig) -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 8), }\n"
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with pytest.raises(MediaError, match="says"):
        read_features(data, tiny_config, modality=Modality.AUDIO, max_steps=10)


def test_too_many_steps_are_too_large(tiny_config: SRCIDConfig) -> None:
    with pytest.raises(MediaTooLarge, match="11 steps, of at most 10"):
        read_features(npy(np.zeros((11, 8))), tiny_config, modality=Modality.AUDIO, max_steps=10)
