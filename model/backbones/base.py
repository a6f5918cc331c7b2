"""What every backbone is: one item of raw media in, one frozen feature a step out."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from model.media import Clip
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
    frames_per_step: int = 1  # of video, what a clip is to be decoded with (DecodeConfig)

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
