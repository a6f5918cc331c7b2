"""Published checkpoints: what is converted, what is refused."""

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from model.config import SRCIDConfig
from model.errors import CheckpointError
from model.modality import Modality
from model.srcid import SRCID
from tests.training.published_file import published_parts, random_network, small_network, write
from training.conversion import convert


@pytest.fixture(scope="module")
def original() -> SRCID:
    return random_network(small_network(num_layers=2))


@pytest.fixture
def parts(original: SRCID) -> dict[str, Any]:
    return published_parts(original)


def features(config: SRCIDConfig) -> dict[Modality, Tensor]:
    torch.manual_seed(1)
    return {m: torch.randn(3, 5, *own.feature_shape) for m, own in config.modalities.items()}


@pytest.mark.parametrize("num_layers", [1, 2])
def test_the_network_and_its_sizes_are_those_of_the_file(num_layers: int, tmp_path: Path) -> None:
    original = random_network(small_network(num_layers=num_layers))
    converted = convert(write(tmp_path / "theirs.pt", published_parts(original)))
    assert converted.model.config == original.config
    inputs = features(original.config)
    theirs, ours = original(inputs), converted.model.eval()(inputs)
    for first, second in zip(theirs.layers, ours.layers, strict=True):
        for m in Modality:
            assert torch.equal(first.codes[m], second.codes[m])
            torch.testing.assert_close(first.specific[m].vector, second.specific[m].vector)
            torch.testing.assert_close(first.reconstruction[m], second.reconstruction[m])


def test_what_is_saved_is_single_precision_and_loads(
    parts: dict[str, Any], original: SRCID, tmp_path: Path
) -> None:
    converted = convert(write(tmp_path / "theirs.pt", parts))
    converted.model.save_pretrained(tmp_path / "ours")
    loaded = SRCID.from_pretrained(tmp_path / "ours")
    assert all(p.dtype == torch.float32 for p in loaded.parameters())
    inputs = features(original.config)
    for m, codes in original.encode(inputs).items():
        assert torch.equal(loaded.encode(inputs)[m], codes)


def test_the_record_names_file_digest_and_epoch(parts: dict[str, Any], tmp_path: Path) -> None:
    converted = convert(write(tmp_path / "theirs.pt", parts))
    assert (converted.source, converted.epoch, converted.has_decoders) == ("theirs.pt", 3, True)
    assert len(converted.sha256) == 64


def test_decoders_that_the_file_lacks_are_fresh_and_repeatable(
    parts: dict[str, Any], original: SRCID, tmp_path: Path
) -> None:
    """H-DCID's files hold encoder, stem and epoch."""
    own = {name: parts[name] for name in ("Encoder_parameters", "Text_ar_lstm_parameters", "epoch")}
    path = write(tmp_path / "theirs.pt", own)
    first = convert(path)
    torch.manual_seed(5)
    second = convert(path)
    assert not first.has_decoders
    inputs = features(original.config)
    for m, codes in original.encode(inputs).items():
        assert torch.equal(first.model.eval().encode(inputs)[m], codes)
    again = second.model.state_dict()
    assert all(torch.equal(t, again[name]) for name, t in first.model.state_dict().items())


def test_a_converted_codebook_can_be_trained_on(parts: dict[str, Any], tmp_path: Path) -> None:
    """A code that the authors' reset had moved stays there at our first update."""
    embedding = parts["Encoder_parameters"]["Cross_quantizer.embedding"]
    embedding[0, 4] = 50.0  # their ema_weight does not follow
    model = convert(write(tmp_path / "theirs.pt", parts)).model
    codebook = model.stages[0].quantizer.codebook
    z = {m: torch.randn(2, 3, 12) for m in Modality}
    masks = {m: torch.ones(2, 3, dtype=torch.bool) for m in Modality}
    model.stages[0].quantizer.update(z, masks)
    torch.testing.assert_close(codebook.vectors[4], torch.full((12,), 50.0), rtol=1e-3, atol=0)


def drop(key: str, name: str) -> Callable[[dict[str, Any]], None]:
    return lambda parts: parts[key].pop(name)


def put(key: str, name: str, value: Tensor) -> Callable[[dict[str, Any]], None]:
    return lambda parts: parts[key].__setitem__(name, value)


ENCODER, STEM, DECODER = "Encoder_parameters", "Text_ar_lstm_parameters", "Decoder_parameters"


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda parts: parts.pop(STEM), rf"has no {STEM}, but .*epoch"),
        (lambda parts: parts.update({ENCODER: 3}), f"{ENCODER} is not a table of tensors"),
        (put(ENCODER, "Smell_encoder.weight", torch.ones(1)), r"unknown .*Smell_encoder\.weight"),
        (put(STEM, "weight_ih_l7x", torch.ones(1)), r"unknown stems\.text\.lstm\.weight_ih_l7x"),
        (drop(ENCODER, "Cross_quantizer.embedding"), r"lacks Cross_quantizer\.embedding"),
        (drop(ENCODER, "audio_self_att.affine_matrix.weight"), r"lacks .*general\.audio\.project"),
        (drop(ENCODER, "Text_encoder_2.input_linear.bias"), r"missing layers\.1\.specific\.text"),
        (drop(DECODER, "Audio_decoder.audio_rec.bias"), r"missing layers\.0\.decoder\.audio"),
        (
            put(ENCODER, "Audio_encoder.audio_linear.bias", torch.ones(2)),
            r"another shape layers\.0\.specific\.audio\.linear\.bias",
        ),
        (
            put(ENCODER, "Audio_encoder.audio_linear.bias", torch.full((6,), torch.nan)),
            r"NaN or infinity in layers\.0\.specific\.audio\.linear\.bias",
        ),
    ],
)
def test_what_does_not_fit_is_named(
    damage: Callable[[dict[str, Any]], None], said: str, parts: dict[str, Any], tmp_path: Path
) -> None:
    damage(parts)
    with pytest.raises(CheckpointError, match=said):
        convert(write(tmp_path / "theirs.pt", parts))


class Malicious:
    """Would make a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("is_bare", [False, True])
def test_a_malicious_pickle_is_refused_and_not_run(
    is_bare: bool, parts: dict[str, Any], tmp_path: Path
) -> None:
    victim, path = tmp_path / "victim", tmp_path / "theirs.pt"
    if is_bare:
        path.write_bytes(pickle.dumps(Malicious(victim)))
    else:
        write(path, parts | {"optimizer": Malicious(victim)})
    with pytest.raises(CheckpointError, match="none of its code was run"):
        convert(path)
    assert not victim.exists()


@pytest.mark.parametrize("kind", ["empty", "text", "zip"])
def test_a_file_that_is_no_checkpoint_is_a_clear_error(kind: str, tmp_path: Path) -> None:
    (tmp_path / "theirs.pt").write_bytes(b"" if kind == "empty" else b"hello")
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "theirs.pt", "w") as archive:
            archive.writestr("hello.txt", "hello")
    with pytest.raises(CheckpointError, match=r"theirs\.pt"):
        convert(tmp_path / "theirs.pt")
    with pytest.raises(CheckpointError, match="no file"):
        convert(tmp_path / "nothing.pt")


@pytest.mark.shared
def test_the_published_weights_give_the_published_codes(shared: Path, tmp_path: Path) -> None:
    """float32 and softmax-free attention: the codes of the reference, which ran in float64."""
    tensors = load_file(shared / "parity" / "two_layer.safetensors")

    def under(prefix: str) -> dict[str, Tensor]:
        return {k[len(prefix) :]: v.double() for k, v in tensors.items() if k.startswith(prefix)}

    embedding = tensors["weights/codebook"].double()
    count = tensors["weights/ema_count"].double()
    buffers = {
        "embedding": embedding,
        "ema_count": count,
        "ema_weight": embedding * count[..., None],
    }
    own = under("weights/enc.") | {f"Cross_quantizer.{k}": v for k, v in buffers.items()}
    saved = {ENCODER: own, STEM: under("weights/lstm."), "epoch": 3}
    model = convert(write(tmp_path / "theirs.pt", saved)).model.eval()
    assert model.config.modalities[Modality.VIDEO].map.specific_channels == 64
    codes = model.encode(
        {
            Modality.AUDIO: tensors["inputs/audio"].float(),
            Modality.VIDEO: tensors["inputs/video"].float(),
            Modality.TEXT: tensors["inputs/text_words"].float(),
        }
    )
    for m in Modality:
        for row, layer in enumerate((1, 2)):
            assert torch.equal(codes[m][:, row], tensors[f"outputs/layer{layer}/codes/{m}"])
