"""Each family computes what transformers computes, on what its own processor prepares.

The models are tiny and random; the processors and the joint models of transformers are the
reference. Shape letters: T steps, F features.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from model.backbones import build_backbone, describe_backbone
from model.backbones.base import Backbone, decode_config
from model.errors import MediaError, ShapeError
from model.media import Clip
from model.modality import Modality
from model.sampling import scaled
from tests.tiny_models import make

VIDEO, AUDIO, TEXT = Modality.VIDEO, Modality.AUDIO, Modality.TEXT
PICTURES = ("clip", "siglip", "dinov2", "dinov3", "pe-av")
SOUNDS = ("clap", "ast", "whisper", "pe-av")
TEXTS = ("clip", "siglip", "clap", "bert", "roberta", "sentence-transformers", "pe-av")
PARTS = [(VIDEO, n) for n in PICTURES] + [(AUDIO, n) for n in SOUNDS] + [(TEXT, n) for n in TEXTS]
SENTENCE = "a dog barks at the helicopter"
RNG = np.random.default_rng(0)
CLOSE = 1e-5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Path]]:
    made: dict[str, Path] = {}
    root = tmp_path_factory.mktemp("models")

    def find(name: str) -> Path:
        if name == "pe-av":
            pytest.importorskip("timm")
        if name not in made:
            made[name] = make(name, root / name)
        return made[name]

    return find


@pytest.fixture(scope="module")
def tower(folder: Callable[[str], Path]) -> Callable[[Modality, str], Backbone]:
    built: dict[tuple[Modality, str], Backbone] = {}

    def find(modality: Modality, name: str) -> Backbone:
        if (modality, name) not in built:
            own = describe_backbone(modality, str(folder(name)))
            built[modality, name] = build_backbone(own)
        return built[modality, name]

    return find


@pytest.fixture(scope="module")
def joint(folder: Callable[[str], Path]) -> Callable[[str], Any]:
    """The whole model, as transformers loads it."""
    return lambda name: transformers.AutoModel.from_pretrained(folder(name)).eval()


def picture() -> Image.Image:
    """Return a smooth picture that is half as wide again as high."""
    rough = RNG.integers(0, 256, (6, 8, 3), np.uint8)
    return Image.fromarray(rough).resize((96, 64), Image.Resampling.BICUBIC)


def shown(backbone: Backbone, *images: Image.Image) -> Clip:
    """Return a clip that shows one picture a second, decoded as ``backbone`` needs it."""
    size = {"is_squashed": backbone.is_squashed, "resample": backbone.resample}
    frames = [scaled(image, backbone.short_side, **size) for image in images]
    return Clip(np.stack(frames)[:, None], None, float(len(images)))


def noise(backbone: Backbone, seconds: float) -> Clip:
    """Return a clip of noise whose loudness rises."""
    count = int(seconds * backbone.sample_rate)
    sound = RNG.uniform(-0.5, 0.5, count) * np.linspace(0.2, 1, count)
    return Clip(None, sound.astype(np.float32), seconds, backbone.sample_rate)


def features(backbone: Backbone, item: Clip | str) -> Tensor:
    return backbone.extract([backbone.preprocess(item)])[0]


def items(modality: Modality, backbone: Backbone) -> list[Clip | str]:
    if modality is VIDEO:
        return [shown(backbone, picture()), shown(backbone, picture(), picture(), picture())]
    if modality is AUDIO:
        return [noise(backbone, 1.0), noise(backbone, 2.5), noise(backbone, 12.2)]
    return ["rain", f"{SENTENCE}. Isn't it über-loud?", SENTENCE]


@pytest.mark.parametrize(("modality", "name"), PARTS)
def test_features_have_the_declared_shape_and_are_the_same_among_others(
    modality: Modality, name: str, tower: Callable[..., Backbone]
) -> None:
    backbone = tower(modality, name)
    prepared = [backbone.preprocess(item) for item in items(modality, backbone)]
    alone = [backbone.extract([item])[0] for item in prepared]
    together = backbone.extract(prepared)
    for own, other in zip(alone, together, strict=True):
        assert own.shape[1:] == backbone.feature_shape
        assert own.dtype == torch.float32
        assert own.isfinite().all()
        assert torch.equal(own, other)
    if modality is not TEXT:
        counts = {VIDEO: [1, 3], AUDIO: [1, 3, 13]}
        assert [len(own) for own in alone] == counts[modality]
    assert not torch.equal(alone[0][0], alone[1][0])
    assert not any(parameter.requires_grad for parameter in backbone.parameters())


@pytest.mark.parametrize(("modality", "name"), PARTS)
def test_what_has_nothing_of_the_modality_is_refused(
    modality: Modality, name: str, tower: Callable[..., Backbone]
) -> None:
    backbone = tower(modality, name)
    nothing = Clip(None, None, 1.0)
    for item in ("", " \n.", nothing) if modality is TEXT else ("a", nothing):
        with pytest.raises(MediaError):
            backbone.preprocess(item)


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_are_those_of_the_processor(
    name: str, tower: Callable[..., Any], folder: Callable[[str], Path]
) -> None:
    """To the grey level where it scales integers by Pillow too; others round later."""
    backbone, image = tower(VIDEO, name), picture()
    if name == "pe-av":
        processor = transformers.AutoVideoProcessor.from_pretrained(folder(name))
        frames = torch.tensor(np.array(image)).permute(2, 0, 1)[None]
        inputs = processor([frames], return_tensors="pt")["pixel_values_videos"][0]
    else:
        processor = transformers.AutoImageProcessor.from_pretrained(folder(name), backend="pil")
        inputs = processor(image, return_tensors="pt")["pixel_values"]
    mean, std = backbone.colours
    off = (inputs * std + mean) - backbone.preprocess(shown(backbone, image))
    assert off.abs().max() <= {"pe-av": 2.01, "dinov3": 1.01}.get(name, 1e-3)


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_have_the_vectors_of_the_joint_model(
    name: str, tower: Callable[..., Any], joint: Callable[[str], Any]
) -> None:
    backbone, whole = tower(VIDEO, name), joint(name)
    side = backbone.input.side
    pixels = torch.randn(2, 3, side, side)
    with torch.inference_mode():
        if name == "pe-av":
            model = whole.video_model
            expected = model.video_head(model.video_encoder(pixels[:, None]).pooler_output)
        elif name.startswith("dino"):
            expected = whole(pixel_values=pixels).last_hidden_state[:, 0]
        else:
            expected = whole.get_image_features(pixel_values=pixels).pooler_output
        found = backbone.seen(pixels)
    expected = expected if name.startswith("dino") else F.normalize(expected, dim=-1)
    torch.testing.assert_close(found, expected, atol=CLOSE, rtol=0)


def test_frames_of_another_size_are_refused(tower: Callable[..., Backbone]) -> None:
    for name, advice in (("clip", "short_side=32"), ("siglip", "short_side=32, is_squashed=True")):
        item = Clip(np.zeros((1, 1, 32, 48, 3), np.uint8), None, 1.0)
        item = item if name == "siglip" else item._replace(frames=item.frames[:, :, :24])
        with pytest.raises(ShapeError, match=advice):
            tower(VIDEO, name).preprocess(item)


def test_sound_of_another_rate_is_refused(tower: Callable[..., Backbone]) -> None:
    with pytest.raises(ShapeError, match=r"16000 Hz; decode with.*sample_rate=48000"):
        tower(AUDIO, "clap").preprocess(Clip(None, np.zeros(16_000, np.float32), 1.0))


def test_decoding_follows_the_backbones(tower: Callable[..., Backbone]) -> None:
    both = {VIDEO: tower(VIDEO, "dinov3"), AUDIO: tower(AUDIO, "clap")}
    config = decode_config(both, max_steps=7)
    assert (config.short_side, config.is_squashed, config.resample) == (32, True, "bilinear")
    assert (config.sample_rate, config.max_steps, config.frames_per_step) == (48_000, 7, 1)


def heard(folder: Path, sound: np.ndarray, rate: int) -> Any:
    """Return what the model's own processor makes of a sound."""
    extractor = transformers.AutoFeatureExtractor.from_pretrained(folder)
    return extractor(sound, sampling_rate=rate, return_tensors="pt")


@pytest.mark.parametrize("seconds", [0.5, 1.0])
def test_a_second_of_clap_is_what_the_joint_model_makes_of_the_sound(
    seconds: float,
    tower: Callable[..., Backbone],
    joint: Callable[[str], Any],
    folder: Callable[[str], Path],
) -> None:
    """Both repeat it until ten seconds are full, and pool over all of them."""
    backbone = tower(AUDIO, "clap")
    item = noise(backbone, seconds)
    inputs = heard(folder("clap"), item.waveform, 48_000)
    with torch.inference_mode():
        expected = joint("clap").get_audio_features(input_features=inputs["input_features"])
    found = features(backbone, item)
    torch.testing.assert_close(found, expected.pooler_output, atol=1e-4, rtol=0)


@pytest.mark.parametrize("seconds", [3.4, 10.0])
def test_seconds_of_clap_are_the_columns_of_its_map(
    seconds: float,
    tower: Callable[..., Any],
    joint: Callable[[str], Any],
    folder: Callable[[str], Path],
) -> None:
    backbone, whole = tower(AUDIO, "clap"), joint("clap")
    item = noise(backbone, seconds)
    inputs = heard(folder("clap"), item.waveform, 48_000)["input_features"]
    prepared = backbone.prepared(torch.from_numpy(item.waveform))
    torch.testing.assert_close(prepared[None], inputs, atol=2e-2, rtol=0)  # decibels
    with torch.inference_mode():
        own = whole.audio_model(input_features=inputs).last_hidden_state[0].mean(1)  # [F', C]
        found = features(backbone, item)
    centres = (np.arange(own.shape[1]) + 0.5) / own.shape[1] * 10
    repetitions = int(10 / seconds)
    for second, vector in enumerate(found):
        inside = [
            column
            for column, time in enumerate(centres)
            if time < repetitions * seconds and int(time % seconds) == second
        ]
        with torch.inference_mode():
            expected = whole.audio_projection(own[:, inside].mean(1))
        torch.testing.assert_close(vector, F.normalize(expected, dim=-1), atol=1e-4, rtol=0)


def test_seconds_of_ast_are_its_patches(
    tower: Callable[..., Any], joint: Callable[[str], Any], folder: Callable[[str], Path]
) -> None:
    backbone, whole = tower(AUDIO, "ast"), joint("ast")
    item = noise(backbone, 1.7)
    inputs = heard(folder("ast"), item.waveform, 16_000)["input_values"]  # [1, frames, bands]
    prepared = backbone.prepared(torch.from_numpy(item.waveform))
    torch.testing.assert_close(prepared[None], inputs, atol=CLOSE, rtol=0)
    with torch.inference_mode():
        # Which patches see a frame: those that change with it.
        patches = whole.embeddings.patch_embeddings
        times = []
        for frame in (95, 105):  # in the first second, in the second one
            changed = inputs.clone()
            changed[:, frame] += 1
            seen = (patches(changed) - patches(inputs)).abs().sum(-1)[0] > 0
            times.append(set(seen.nonzero().flatten().tolist()))
        hidden = whole(input_values=inputs).last_hidden_state[0, 2:]
        found = features(backbone, item)
    columns = [(10 * column + 8) / 100 for column in range(25)]  # middles, of frames 10 ms long
    assert len(hidden) % len(columns) == 0
    first = {n for n in range(len(hidden)) if columns[n % len(columns)] < 1}
    assert times[0] & first
    assert not times[1] <= first
    for second, vector in enumerate(found):
        inside = [n for n in range(len(hidden)) if int(columns[n % len(columns)]) == second]
        torch.testing.assert_close(vector, hidden[inside].mean(0), atol=CLOSE, rtol=0)


def test_seconds_of_whisper_are_fifty_columns_each(
    tower: Callable[..., Any], joint: Callable[[str], Any], folder: Callable[[str], Path]
) -> None:
    backbone = tower(AUDIO, "whisper")
    item = noise(backbone, 1.4)
    inputs = heard(folder("whisper"), item.waveform, 16_000)["input_features"]
    prepared = backbone.prepared(torch.from_numpy(item.waveform))
    torch.testing.assert_close(prepared[None], inputs, atol=1e-4, rtol=0)
    with torch.inference_mode():
        hidden = joint("whisper").encoder(inputs).last_hidden_state[0]
    expected = torch.stack([hidden[:50].mean(0), hidden[50:].mean(0)])
    torch.testing.assert_close(features(backbone, item), expected, atol=1e-4, rtol=0)


def test_a_second_of_pe_av_is_heard_by_itself(
    tower: Callable[..., Backbone], joint: Callable[[str], Any]
) -> None:
    backbone = tower(AUDIO, "pe-av")
    item = noise(backbone, 2.0)
    seconds = torch.from_numpy(item.waveform).reshape(2, 1, 48_000)
    with torch.inference_mode():
        expected = F.normalize(joint("pe-av").get_audio_embeds(seconds), dim=-1)
    torch.testing.assert_close(features(backbone, item), expected, atol=CLOSE, rtol=0)


@pytest.mark.parametrize("name", ["clip", "siglip", "clap", "pe-av"])
def test_a_sentence_has_the_vector_of_the_joint_model(
    name: str, tower: Callable[..., Backbone], joint: Callable[[str], Any], folder: Any
) -> None:
    whole = joint(name)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder(name))
    options = {"padding": "max_length", "max_length": 64} if name == "siglip" else {}
    inputs = tokenizer(SENTENCE, return_tensors="pt", **options)
    if name == "siglip":
        inputs = {"input_ids": inputs["input_ids"]}
    with torch.inference_mode():
        if name == "pe-av":  # of which only the call with all three modalities works
            media = torch.zeros(1, 1, 48_000), torch.zeros(1, 1, 3, 28, 28)
            out = whole(input_values=media[0], pixel_values_videos=media[1], **inputs)
            own = out.text_audio_embeds, out.text_video_embeds
            expected = torch.cat([F.normalize(half, dim=-1) for half in own], -1)
        else:
            expected = F.normalize(whole.get_text_features(**inputs).pooler_output, dim=-1)
    found = features(tower(TEXT, name), SENTENCE)
    torch.testing.assert_close(found, expected, atol=CLOSE, rtol=0)


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_a_word_is_the_mean_of_its_tokens(
    name: str, tower: Callable[..., Backbone], joint: Callable[[str], Any], folder: Any
) -> None:
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder(name))
    inputs = tokenizer(SENTENCE, return_tensors="pt")
    with torch.inference_mode():
        hidden = joint(name)(**inputs).last_hidden_state[0]
    words = np.array([-1 if own is None else own for own in inputs.word_ids()])
    expected = torch.stack([hidden[words == n].mean(0) for n in range(words.max() + 1)])
    found = features(tower(TEXT, name), SENTENCE)
    torch.testing.assert_close(found, expected, atol=CLOSE, rtol=0)


@pytest.mark.parametrize("name", ["bert", "roberta"])
def test_words_are_runs_of_letters_and_digits(name: str, tower: Callable[..., Backbone]) -> None:
    backbone = tower(TEXT, name)
    text = "Isn't it über-loud?  3 dogs"
    assert backbone.words(text) == ["Isn", "t", "it", "über", "loud", "3", "dogs"]
    assert len(features(backbone, text)) == 7
    long = "dog " * 200
    assert len(backbone.words(long)) == len(features(backbone, long)) < 80


def test_a_folder_of_sentence_transformers_pools_as_it_says(
    tower: Callable[..., Any], joint: Callable[[str], Any], folder: Any
) -> None:
    backbone = tower(TEXT, "sentence-transformers")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder("sentence-transformers"))
    inputs = tokenizer(SENTENCE, return_tensors="pt", truncation=True, max_length=16)
    with torch.inference_mode():
        hidden = joint("sentence-transformers")(**inputs).last_hidden_state[0]
    expected = F.normalize(hidden.mean(0), dim=0)[None]
    torch.testing.assert_close(features(backbone, SENTENCE), expected, atol=CLOSE, rtol=0)
    assert (backbone.config.output, backbone.input.max_tokens) == ("mean", 16)


def test_a_text_of_several_sentences_has_a_step_for_each(tower: Callable[..., Backbone]) -> None:
    backbone = tower(TEXT, "clip")
    text = f"{SENTENCE}. Rain falls!  ... Why?"
    assert backbone.words(text) == [f"{SENTENCE}.", "Rain falls!", "Why?"]
    together = features(backbone, text)
    alone = [features(backbone, own)[0] for own in backbone.words(text)]
    assert all(torch.equal(own, row) for own, row in zip(alone, together, strict=True))


def test_towers_of_text_stand_side_by_side(tower: Callable[..., Backbone], folder: Any) -> None:
    sources = [str(folder("clip")), str(folder("clap"))]
    backbone = build_backbone(describe_backbone(TEXT, " + ".join(sources)))
    text = f"{SENTENCE}. Rain falls!"
    expected = [features(tower(TEXT, name), text) for name in ("clip", "clap")]
    found = features(backbone, text)
    assert found.shape == (2, *backbone.feature_shape) == (2, 32)
    assert torch.equal(found, torch.cat(expected, 1))
    assert backbone.words(text) == tower(TEXT, "clip").words(text)
