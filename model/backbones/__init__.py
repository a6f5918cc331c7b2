"""The backbones by name. Each is imported when it is first built."""

from collections.abc import Callable

from model.backbones.base import Backbone
from model.errors import ConfigError


def build_backbone(name: str, device: str = "cpu") -> Backbone:
    """Load the backbone of that name, frozen and in evaluation mode.

    On a CPU, ONNX Runtime runs its network; anywhere else, torch.

    Raises:
        ConfigError: There is none of that name, or its weights are not there: the package is
            missing, or the environment variable that names the file is not set.
        CheckpointError: The file that the user named holds other weights.
    """
    if name not in BACKBONES:
        raise ConfigError(f"no backbone {name!r}; there are {', '.join(BACKBONES)}")
    backbone = BACKBONES[name]().eval().requires_grad_(False)
    if device != "cpu":
        return backbone.to(device)
    backbone.compile_for_cpu()
    return backbone


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
