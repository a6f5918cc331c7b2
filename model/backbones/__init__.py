"""The backbones: by name, or pretrained models. Each is imported when it is first built."""

from collections.abc import Callable, Sequence
from typing import Literal

from model.backbones.base import Backbone
from model.config import PretrainedBackbone, SRCIDConfig
from model.errors import ConfigError
from model.modality import Modality

BESIDE = " + "  # between the sources of models for text that stand side by side


def build_backbone(backbone: str | PretrainedBackbone, device: str = "cpu") -> Backbone:
    """Load a backbone, frozen and in evaluation mode.

    On a CPU, ONNX Runtime runs the networks that have a name; torch runs pretrained models, and
    all networks anywhere else. Nothing is downloaded.

    Args:
        backbone: A name of ``BACKBONES``, or what ``describe_backbone`` returned.
        device: Where it runs.

    Raises:
        ConfigError: There is none of that name, or its weights are not there: the package is
            missing, the environment variable that names the file is not set, or the model is not
            on this machine.
        CheckpointError: The files hold other weights, or are damaged.
    """
    if isinstance(backbone, PretrainedBackbone):
        from model.backbones.pretrained import build

        return build(backbone).eval().requires_grad_(False).to(device)
    if is_source(backbone):
        raise ConfigError(
            f"{backbone} names a model without its commit and weights, which describe_backbone "
            "finds; a checkpoint that names only this was not written by srcid"
        )
    if backbone not in BACKBONES:
        raise ConfigError(
            f"no backbone {backbone!r}; there are {', '.join(BACKBONES)}, and models of the "
            "Hugging Face Hub as hf:OWNER/NAME or as the path of a folder"
        )
    own = BACKBONES[backbone]().eval().requires_grad_(False)
    if device != "cpu":
        return own.to(device)
    own.compile_for_cpu()
    return own


def is_source(backbone: str) -> bool:
    """Tell whether a string names a pretrained model: hf:OWNER/NAME, or a path with a slash."""
    return backbone.startswith("hf:") or "/" in backbone


def describe_backbone(
    modality: Modality,
    source: str | Sequence[str],
    *,
    dtype: Literal["float32", "bfloat16"] = "float32",
    download: bool = False,
) -> PretrainedBackbone:
    """Return exactly which model ``source`` names: commit, weights, sizes, preprocessing.

    Args:
        modality: Of which the model has a part.
        source: hf:OWNER/NAME[@REVISION] or a folder. Of text several, in a list or joined by
            " + ": their vectors stand side by side.
        dtype: What the model computes in.
        download: Whether what is not on this machine may be fetched.

    Raises:
        ConfigError: It is not on this machine, or is of no family that is known; or several are
            named that do not fit together.
    """
    from model.backbones.pretrained import describe

    sources = source.split(BESIDE) if isinstance(source, str) else list(source)
    return describe(modality, sources, dtype=dtype, download=download)


def resolved(
    config: SRCIDConfig,
    *,
    dtype: Literal["float32", "bfloat16"] = "float32",
    download: bool = False,
) -> SRCIDConfig:
    """Return ``config`` with the sources of pretrained models replaced by what they are now.

    Args:
        config: Of a recipe, whose backbones may be sources (``is_source``).
        dtype: What these models compute in.
        download: Whether what is not on this machine may be fetched.

    Raises:
        ConfigError: One is not on this machine, or is of no family that is known.
    """
    modalities = dict(config.modalities)
    for m, own in config.modalities.items():
        if isinstance(own.backbone, str) and is_source(own.backbone):
            found = describe_backbone(m, own.backbone, dtype=dtype, download=download)
            update = {"backbone": found, "feature_shape": found.feature_shape, "map": None}
            modalities[m] = own.model_copy(update=update)
    return config.model_copy(update={"modalities": modalities})


def _efficientnet_lite() -> Backbone:
    from model.backbones.efficientnet_lite import EfficientNetLite

    return EfficientNetLite()


def _efficientnet_lite_pooled() -> Backbone:
    from model.backbones.efficientnet_lite import EfficientNetLite

    return EfficientNetLite(is_pooled=True)


def _efficientnet_lite_classes() -> Backbone:
    from model.backbones.efficientnet_lite import EfficientNetLiteClasses

    return EfficientNetLiteClasses()


def _yamnet() -> Backbone:
    from model.backbones.yamnet import YAMNet

    return YAMNet()


def _yamnet_classes() -> Backbone:
    from model.backbones.yamnet import YAMNetClasses

    return YAMNetClasses()


def _minilm() -> Backbone:
    from model.backbones.minilm import load_minilm

    return load_minilm()


def _vgg19() -> Backbone:
    from model.backbones.vgg19 import load_vgg19

    return load_vgg19()


def _vggish() -> Backbone:
    from model.backbones.vggish import load_vggish

    return load_vggish()


def _bert() -> Backbone:
    from model.backbones.bert import load_bert
    from model.backbones.local import named_by

    what = "a BERT folder of Hugging Face, such as bert-base-uncased, with model.safetensors"
    return load_bert(named_by("SRCID_BERT", what=what))


def _tiny_audio() -> Backbone:
    from model.backbones.tiny import TinyAudio

    return TinyAudio()


def _tiny_video() -> Backbone:
    from model.backbones.tiny import TinyVideo

    return TinyVideo()


def _tiny_text() -> Backbone:
    from model.backbones.tiny import TinyText

    return TinyText()


BACKBONES: dict[str, Callable[[], Backbone]] = {
    "efficientnet-lite0": _efficientnet_lite,
    "efficientnet-lite0-pooled": _efficientnet_lite_pooled,
    "efficientnet-lite0-classes": _efficientnet_lite_classes,
    "yamnet": _yamnet,
    "yamnet-classes": _yamnet_classes,
    "minilm": _minilm,
    "vgg19": _vgg19,
    "vggish": _vggish,
    "bert": _bert,
    "tiny-audio": _tiny_audio,
    "tiny-video": _tiny_video,
    "tiny-text": _tiny_text,
}
