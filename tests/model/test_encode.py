"""``Encoder.encode``: the same codes whatever form the same media come in."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from model.config import SRCIDConfig
from model.encoder import Encoder, load_backbones
from model.errors import ConfigError, MediaError
from model.media import DecodeConfig, read_clip
from model.modality import Modality
from model.srcid import SRCID
from tests.media_maker import colours, make_picture, make_sound, make_video, tone


@pytest.fixture(scope="module")
def encoder(tiny_checkpoint: Path) -> Encoder:
    return Encoder.from_pretrained(tiny_checkpoint)


@pytest.fixture(scope="module")
def clip() -> bytes:
    return make_video(colours(13), audio=tone(13))


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)


def as_lists(streams: dict[str, np.ndarray]) -> dict[str, list[list[int]]]:
    return {m: codes.tolist() for m, codes in streams.items()}


@torch.inference_mode()
def test_a_file_is_encoded_whole(encoder: Encoder, clip: bytes, tmp_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(clip)
    prepared = encoder.prepare(read_clip(clip, DecodeConfig(max_steps=13)))
    features = encoder.features(list(prepared.items()))
    expected = {
        m: encoder.quantize([(m, own)])[0].codes for m, own in zip(prepared, features, strict=True)
    }
    assert expected[Modality.VIDEO].shape == (2, 13)
    for source in (tmp_path / "clip.mp4", clip):
        assert as_lists(encoder.encode(source)) == as_lists(expected)


def test_a_picture_is_the_same_from_pillow_and_from_a_file(
    encoder: Encoder, pixels: np.ndarray
) -> None:
    expected = as_lists(encoder.encode(make_picture(pixels)))
    assert expected.keys() == {"video"}
    assert as_lists(encoder.encode(Image.fromarray(pixels))) == expected
    # An image that Pillow has opened knows from its EXIF how to be turned.
    turned = make_picture(pixels, "jpeg", orientation=6)
    assert as_lists(encoder.encode(Image.open(io.BytesIO(turned)))) == as_lists(
        encoder.encode(turned)
    )


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_a_waveform_is_resampled_as_the_sound_of_a_file_is(encoder: Encoder, rate: int) -> None:
    samples = (tone(3, rate) * 2**15).astype(np.int16)
    expected = as_lists(encoder.encode(make_sound(tone(3, rate), rate)))
    assert as_lists(encoder.encode((samples, rate))) == expected
    assert as_lists(encoder.encode((samples / 2**15, rate))) == expected
    assert encoder.encode((samples, 2 * rate))["audio"].shape == (2, 2)  # half as long


def test_a_list_gives_what_each_gives_alone_in_batches_of_any_size(
    encoder: Encoder, clip: bytes, pixels: np.ndarray, capsys: pytest.CaptureFixture[str]
) -> None:
    sources = ["a dog barks", clip, Image.fromarray(pixels), (tone(2, 8000), 8000), "rain"]
    alone = [as_lists(encoder.encode(source)) for source in sources]
    assert [list(own) for own in alone] == [
        ["text"],
        ["audio", "video"],
        ["video"],
        ["audio"],
        ["text"],
    ]
    for batch_size in (1, 2, 16):
        together = encoder.encode(sources, batch_size=batch_size)
        assert [as_lists(own) for own in together] == alone
    assert encoder.encode([]) == []
    assert capsys.readouterr().err == ""
    encoder.encode(sources, progress=True)
    assert "5/5" in capsys.readouterr().err


def test_a_picture_is_held_as_long_as_the_checkpoint_says(
    tiny_config: SRCIDConfig, pixels: np.ndarray
) -> None:
    model = SRCID(tiny_config.model_copy(update={"picture_steps": 4}))
    held = Encoder(model, load_backbones(model.config, "cpu"), fingerprint="x")
    codes, words = held.encode([Image.fromarray(pixels), "a dog"])
    assert codes["video"].shape == (2, 4)
    assert words["text"].shape == (2, 2)


def test_an_error_of_a_list_names_its_source(encoder: Encoder) -> None:
    with pytest.raises(MediaError) as error:
        encoder.encode(["rain", b"no media"])
    assert error.value.__notes__ == ["the source: b'no media'"]


def test_a_path_as_a_str_is_no_sentence(encoder: Encoder, tmp_path: Path) -> None:
    for text in ("clip.mp4", "/not/there/duck.MP4", str(Path(__file__))):
        with pytest.raises(TypeError, match=r"names a file, .* pathlib\.Path\("):
            encoder.encode(text)
    assert encoder.encode("an mp4 of a duck")["text"].shape == (2, 5)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (3, r"a int: give a sentence \(str\), a file \(pathlib.Path"),
        (None, "a NoneType: give a sentence"),
        (("a", "b"), "a tuple: give a sentence .* or a list of these"),
        (np.zeros(16_000), r"a ndarray: give a sound as \(waveform, rate\)"),
        ([["a dog"]], "a list: give a sentence"),
    ],
)
def test_what_cannot_be_encoded_is_answered_with_what_can(
    encoder: Encoder, source: object, message: str
) -> None:
    with pytest.raises(TypeError, match=f"cannot encode {message}"):
        encoder.encode(source)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (" ", "the sentence is empty"),
        ((np.zeros((2, 100), np.float32), 16_000), r"shape \(2, 100\): give one channel"),
        ((np.zeros(0, np.float32), 16_000), r"shape \(0,\)"),
        ((np.full(9, np.nan), 16_000), "float64: give finite floats"),
        ((np.zeros(9, np.int32), 16_000), "int32: give finite floats .* or int16"),
        ((np.zeros(9), 0), "0 samples a second"),
        (Path("missing"), "cannot read the file"),
    ],
)
def test_media_that_do_not_decode_say_why(encoder: Encoder, source: object, message: str) -> None:
    with pytest.raises(MediaError, match=message):
        encoder.encode(source)


def test_similarity_is_the_cosine_of_the_nearest_streams(encoder: Encoder, clip: bytes) -> None:
    def unit(codes: np.ndarray) -> np.ndarray:
        vector = encoder.vocabulary.steps(codes, [1, 2]).mean(0)
        return vector / np.linalg.norm(vector)

    dog, both = encoder.encode(["a dog barks", clip])
    cosines = [float(unit(dog["text"]) @ unit(both[m])) for m in ("audio", "video")]
    assert encoder.similarity("a dog barks", clip) == pytest.approx(max(cosines), abs=1e-6)
    assert encoder.similarity(dog, {"video": both["video"]}) == pytest.approx(cosines[1], abs=1e-6)
    assert encoder.similarity("rain", "rain") == pytest.approx(1, abs=1e-6)

    table = encoder.similarity(["rain", dog], [both, "a dog barks", "rain"])
    assert table.shape == (2, 3)
    assert table[1, :2] == pytest.approx([max(cosines), 1], abs=1e-6)
    assert table[0, 2] == pytest.approx(1, abs=1e-6)
    assert encoder.similarity(dog, ["a dog barks", both]) == pytest.approx(table[1, [1, 0]])
    assert encoder.similarity(["rain", dog], both) == pytest.approx(table[:, 0])


def test_it_moves_to_a_device_that_is_there(encoder: Encoder, tiny_checkpoint: Path) -> None:
    moved = Encoder.from_pretrained(tiny_checkpoint)
    assert moved.to("cpu") is moved
    assert as_lists(moved.encode("a dog barks")) == as_lists(encoder.encode("a dog barks"))
    with pytest.raises(ConfigError, match="cuda:99"):
        moved.to("cuda:99")
