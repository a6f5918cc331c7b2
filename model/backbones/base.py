"""What every backbone is: one item of raw media in, one frozen feature a step out."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from model.errors import MediaError, ShapeError
from model.media import SAMPLE_RATE, Clip, DecodeConfig, num_steps
from model.modality import Modality


class Backbone(nn.Module, ABC):
    """A frozen feature extractor for one modality.

    ``preprocess`` runs on the CPU, item by item; ``extract`` runs the network on many items
    at once. An item's features do not depend on the items beside it: on a CPU not by a bit.

    ``forward`` is torch's, for GPUs, for gradients and as the reference, until
    ``compile_for_cpu`` has ONNX Runtime take its place.
    """

    modality: Modality
    feature_shape: tuple[int, ...]  # of one step: (F,), or (7, 7, F) for maps, channels last
    # What a clip is to be decoded with (DecodeConfig): of a backbone for video
    frames_per_step: int = 1
    short_side: int = 256  # pixels
    is_squashed: bool = False
    resample: Literal["bilinear", "bicubic", "lanczos"] = "bicubic"
    # and of one for sound.
    sample_rate: int = SAMPLE_RATE  # Hz
    window_seconds: int = 1  # that the network hears together; 1: each second by itself

    @abstractmethod
    def preprocess(self, item: Clip | str) -> Tensor:
        """Turn one item into the tensor ``[T, ...]`` that the network takes, T steps.

        Args:
            item: A decoded clip for audio and video, a sentence for text.

        Raises:
            MediaError: The item holds nothing of this modality.
        """

    def words(self, sentence: str) -> list[str]:
        """Return the word that each step of a sentence stands for; of text backbones only."""
        raise NotImplementedError(f"{type(self).__name__} takes no sentences")

    @abstractmethod
    def forward(self, steps: Tensor) -> Tensor:
        """Return the features ``[N, *feature_shape]`` of preprocessed ``steps`` ``[N, ...]``."""

    def compile_for_cpu(self) -> None:
        """Have ONNX Runtime run the network from now on; does nothing where torch is as fast."""

    @torch.inference_mode()
    def extract(self, items: Sequence[Tensor]) -> list[Tensor]:
        """Return each preprocessed item's features ``[T, *feature_shape]``."""
        if all(item.device.type == "cpu" for item in items):
            # Sums of float32 are cut up by the number of rows, so each item is a batch.
            return [self.forward(item) for item in items]
        features = self.forward(torch.cat(list(items)))
        return list(features.split([len(item) for item in items]))


def decode_config(backbones: Mapping[Modality, Backbone], **limits: int) -> DecodeConfig:
    """Return how a clip is decoded for ``backbones``: the frames and the sound that they take.

    Args:
        backbones: Those of a checkpoint.
        limits: Further fields of ``DecodeConfig``.
    """
    needs: dict[str, object] = {}
    if own := backbones.get(Modality.VIDEO):
        needs = {
            name: getattr(own, name)
            for name in ("frames_per_step", "short_side", "is_squashed", "resample")
        }
    if own := backbones.get(Modality.AUDIO):
        needs["sample_rate"] = own.sample_rate
    return DecodeConfig.model_validate(needs | limits)


def sound_by_second(item: Clip | str, *, rate: int, rest: float = 0.0) -> Tensor:
    """Return the seconds ``[T, rate]`` of a clip's sound.

    Args:
        item: A clip with sound.
        rate: Samples a second that the clip must have been decoded with.
        rest: What the last second is filled up with.

    Raises:
        MediaError: There is no sound.
        ShapeError: It has another sample rate.
    """
    if isinstance(item, str) or item.waveform is None or not len(item.waveform):
        raise MediaError("no sound to hear; send a sound, or a video that has one")
    if item.sample_rate != rate:
        raise ShapeError(
            f"sound of {item.sample_rate} Hz; decode with DecodeConfig(sample_rate={rate})"
        )
    seconds = np.full((num_steps(len(item.waveform) / rate), rate), rest, np.float32)
    sound = item.waveform[: seconds.size]
    seconds.reshape(-1)[: len(sound)] = sound
    return torch.from_numpy(seconds)
