"""A checkpoint file of the authors as our network: ``srcid convert``."""

import hashlib
import pickle
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from model.config import MapConfig, ModalityConfig, SRCIDConfig, StemConfig, VQConfig
from model.errors import CheckpointError
from model.modality import Modality
from model.srcid import SRCID
from training.published import CODEBOOK, convert_codebooks, convert_network, our_name

# What a file must hold, and what it may: H-DCID's files have no decoder.
ENCODER, STEM, DECODER = "Encoder_parameters", "Text_ar_lstm_parameters", "Decoder_parameters"
HEADS = 4  # of the published transformers; no shape tells it
VGG19_CELLS = (7, 7)  # of the published video features; convolutions fit any
INIT_SEED = 0  # of decoders that a file lacks: the same file gives the same checkpoint
EXPECTED = (
    "a checkpoint of the published DCID or H-DCID is expected, with audio, video and text and "
    f"the keys {ENCODER} and {STEM}"
)


class Conversion(NamedTuple):
    """A published checkpoint as ours, and where it came from."""

    model: SRCID
    source: str  # name of the file
    sha256: str
    epoch: int | None  # of the authors' training, where the file tells it
    has_decoders: bool  # False: the model's decoders are freshly initialised


def convert(path: Path) -> Conversion:
    """Return the network in the authors' file ``path`` (DCID or H-DCID), as float32.

    Sizes and the number of layers follow from the shapes of the parameters.

    Raises:
        CheckpointError: The file is missing, is not such a checkpoint, holds objects other than
            tensors and plain values, or its parameters are unknown, incomplete or do not fit.
    """
    parts = _read(path)
    encoder, decoder = parts[ENCODER], parts.get(DECODER, {})
    _refuse_unknown(path, [*encoder, *decoder])
    try:
        weights = convert_network(encoder, parts[STEM], decoder) | convert_codebooks(encoder)
        config = _config(_Shapes(weights))
    except KeyError as error:
        raise CheckpointError(f"{path} lacks {error.args[0]}; {EXPECTED}") from error
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(INIT_SEED)
        model = SRCID(config)
    _load(model, weights, path, has_decoders=bool(decoder))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    epoch = parts.get("epoch")
    told = epoch if isinstance(epoch, int) else None
    return Conversion(model, path.name, digest, told, has_decoders=bool(decoder))


def _read(path: Path) -> dict[str, Any]:
    """Read the file without running anything in it."""
    if not path.is_file():
        raise CheckpointError(f"there is no file {path}")
    if not zipfile.is_zipfile(path):  # what torch.save writes since torch 1.6
        raise CheckpointError(f"{path} was not written by torch.save; none of its code was run")
    try:
        found = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError) as error:
        raise CheckpointError(
            f"{path} is damaged, or holds more than tensors and plain values "
            f"({str(error).splitlines()[0]}); none of its code was run; {EXPECTED}"
        ) from error
    parts = found if isinstance(found, dict) else {}
    for key in (ENCODER, STEM):
        if key not in parts:
            raise CheckpointError(f"{path} has no {key}, but {_some(parts)}; {EXPECTED}")
    for key in parts.keys() & {ENCODER, STEM, DECODER}:
        own = parts[key]
        if not isinstance(own, dict) or not all(isinstance(t, Tensor) for t in own.values()):
            raise CheckpointError(f"{path}: {key} is not a table of tensors; {EXPECTED}")
    return parts


def _refuse_unknown(path: Path, names: Iterable[str]) -> None:
    def is_known(name: str) -> bool:
        try:
            our_name(name)
        except KeyError:
            return name.startswith(CODEBOOK)
        return True

    unknown = [name for name in names if not is_known(name)]
    if unknown:
        raise CheckpointError(f"{path} has unknown parameters: {_some(unknown)}; {EXPECTED}")


class _Shapes:
    """The shapes of parameters, by our names; a parameter that is missing is a ``KeyError``."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        self.shapes = {name: tensor.shape for name, tensor in weights.items()}

    def size(self, name: str, axis: int = 0) -> int:
        return self.shapes[name][axis]

    def count(self, pattern: str) -> int:
        return sum(bool(re.fullmatch(pattern, name)) for name in self.shapes)


def _config(shapes: _Shapes) -> SRCIDConfig:
    """Return the configuration of the network that has parameters of such shapes."""
    audio = "layers.0.general.audio."
    return SRCIDConfig(
        modalities={
            Modality.AUDIO: ModalityConfig(
                backbone="vggish",
                feature_shape=(shapes.size(audio + "project.weight", 1),),
                specific_dim=shapes.size("layers.0.specific.audio.linear.weight"),
            ),
            Modality.VIDEO: _video(shapes),
            Modality.TEXT: _text(shapes),
        },
        dim=shapes.size(audio + "project.weight"),
        num_layers=1 + bool(shapes.count(r"layers\.1\.general\..*")),
        quantizer=VQConfig(codebook_size=shapes.size("layers.0.quantizer.codebook.vectors")),
        transformer_layers=shapes.count(re.escape(audio) + r"blocks\.\d+\.linear1\.weight"),
        num_heads=HEADS,
        feedforward_dim=shapes.size(audio + "blocks.0.linear1.weight"),
        detach_targets=False,
    )


def _video(shapes: _Shapes) -> ModalityConfig:
    specific = "layers.0.specific.video."
    return ModalityConfig(
        backbone="vgg19",
        feature_shape=(*VGG19_CELLS, shapes.size(specific + "convs.0.weight", 1)),
        specific_dim=shapes.size(specific + "head.2.weight"),
        map=MapConfig(
            gate_dim=shapes.size("layers.0.general.video.attention.gate.0.weight"),
            attention="sum",
            specific_channels=shapes.size(specific + "convs.4.weight"),
        ),
    )


def _text(shapes: _Shapes) -> ModalityConfig:
    lstm = "stems.text.lstm."
    return ModalityConfig(
        backbone="bert",
        feature_shape=(shapes.size(lstm + "weight_ih_l0", 1),),
        specific_dim=shapes.size("layers.0.specific.text.linear.weight"),
        stem=StemConfig(
            dim=2 * shapes.size(lstm + "weight_hh_l0", 1),  # it runs both ways
            layers=shapes.count(re.escape(lstm) + r"weight_hh_l\d+"),
        ),
    )


def _load(model: SRCID, weights: Mapping[str, Tensor], path: Path, *, has_decoders: bool) -> None:
    """Put ``weights`` into ``model``, whose decoders stay as they are where the file has none."""
    wanted = model.state_dict()
    absent = wanted.keys() - weights.keys()
    missing = [name for name in absent if has_decoders or ".decoder." not in name]
    unknown = weights.keys() - wanted.keys()
    misshapen = [n for n in wanted.keys() & weights.keys() if wanted[n].shape != weights[n].shape]
    if missing or unknown or misshapen:
        raise CheckpointError(
            f"{path} does not fit the network inferred from its shapes. By SRCID's names: missing "
            f"{_some(missing)}; unknown {_some(unknown)}; with another shape {_some(misshapen)}; "
            f"{EXPECTED}"
        )
    broken = [n for n, t in weights.items() if t.is_floating_point() and not t.isfinite().all()]
    if broken:
        raise CheckpointError(f"{path}: NaN or infinity in {_some(broken)}; download it again")
    model.load_state_dict({**wanted, **weights})


def _some(names: Iterable[str]) -> str:
    """Return a few of ``names`` for a message."""
    ordered = sorted(map(str, names))
    more = f" and {len(ordered) - 3} more" if len(ordered) > 3 else ""
    return (", ".join(ordered[:3]) or "none") + more
