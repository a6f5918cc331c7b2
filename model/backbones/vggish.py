"""VGGish: the paper's backbone for sound.

Shape letters: N steps, T steps of one clip.
Source: Hershey et al., ICASSP 2017; the weights are those of its published port to PyTorch,
trained with the labels of YouTube-8M.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from model.backbones.base import Backbone
from model.backbones.local import named_by, read_weights
from model.backbones.log_mel import MEL_BANDS, PATCH, log_mel_patches
from model.backbones.vgg import vgg_convolutions
from model.compiled import Compiled
from model.errors import CheckpointError
from model.media import Clip
from model.modality import Modality

VARIABLE = "SRCID_VGGISH"
STAGES = (1, 1, 2, 2)
LINEARS = (0, 2, 4)  # their places in the published sequence; a ReLU follows each
LOG_OFFSET = 0.01


def load_vggish() -> "VGGish":
    """Return the backbone with the weights that ``SRCID_VGGISH`` names."""
    what = "the state dict of VGGish in PyTorch (vggish-10086976.pth)"
    return VGGish(read_weights(named_by(VARIABLE, what=what)))


class VGGish(Backbone):
    """One vector ``[128]`` a step, as the network gives it, after its last ReLU.

    The principal components and the 8-bit rounding with which AudioSet's features were published
    are left out.

    Args:
        weights: Its state dict: ``features.*``, ``embeddings.*``; those of a postprocessor
            (``pproc.*``) are left aside.
    """

    modality = Modality.AUDIO

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.convolutions: nn.Module = vgg_convolutions(weights, STAGES)
        try:
            self.embeddings = nn.Sequential(*_linears(weights))
        except KeyError as error:
            raise CheckpointError(
                f"the weights {error} are missing; name the file of a whole VGGish"
            ) from error
        *_, last_bias = self.embeddings.parameters()
        self.feature_shape = (len(last_bias),)
        self.eval().requires_grad_(False)

    def preprocess(self, item: Clip | str) -> Tensor:
        """Return the log-mel patches ``[T, 96, 64]``; the last second is padded with silence."""
        return log_mel_patches(item, offset=LOG_OFFSET)

    def compile_for_cpu(self) -> None:
        """Have ONNX Runtime run the convolutions."""
        self.convolutions = Compiled(self.convolutions, "N", 1, PATCH, MEL_BANDS)

    def forward(self, steps: Tensor) -> Tensor:
        """Return ``[N, 128]``."""
        maps: Tensor = self.convolutions(steps.unsqueeze(1))  # [N, 512, 6, 4]
        # Channels last, as in TensorFlow, whose weights these are.
        return self.embeddings(maps.permute(0, 2, 3, 1).flatten(1))


def _linears(weights: Mapping[str, Tensor]) -> Iterator[nn.Module]:
    for index in LINEARS:
        weight = weights[f"embeddings.{index}.weight"].float()
        with torch.device("meta"):
            linear = nn.Linear(weight.shape[1], weight.shape[0])
        linear.weight = nn.Parameter(weight)
        linear.bias = nn.Parameter(weights[f"embeddings.{index}.bias"].float())
        yield linear
        yield nn.ReLU()
