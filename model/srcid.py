"""The network: layers, each fed the modal-specific vectors of the one before.

Shape letters: B batch, T time steps, D hidden dim (256), L codebook size (400), K layers (2);
Q codes a step and layer, C = sum of Q over the layers: code rows.
"""

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Self, cast

import torch
from torch import Tensor, nn

from model.checkpoint import locate, misfit, read_checkpoint, write_checkpoint
from model.config import SRCIDConfig
from model.errors import CheckpointError, ShapeError
from model.modality import Modality
from model.network.layer import DisentanglingLayer, LayerOutput, ModalityShape
from model.network.stem import TextStem


class SRCIDOutput(NamedTuple):
    """A forward pass: one entry for each layer that took part."""

    layers: list[LayerOutput]
    targets: list[dict[Modality, Tensor]]  # [B, T, *F] what each layer's decoders aim at


class SRCID(nn.Module):
    """Two layers of semantic residual disentanglement (one layer: DCID).

    Layer 1 splits a modality's features into a general part, quantized by a codebook that all
    modalities share, and a specific part; layer 2 does the same to what layer 1 leaves: that
    specific part, or what ``SRCIDConfig.residual`` says instead.

    Source: SRCID section II, eq. 1-4.
    """

    def __init__(self, config: SRCIDConfig) -> None:
        super().__init__()
        self.config = config
        self.stems = nn.ModuleDict(
            {
                m: TextStem(own.feature_shape[-1], own.stem)
                for m, own in config.modalities.items()
                if own.stem
            }
        )
        self.layers = nn.ModuleList(
            DisentanglingLayer(self._shapes(depth), config, depth=depth)
            for depth in range(config.num_layers)
        )

    @property
    def stages(self) -> list[DisentanglingLayer]:
        """The layers, typed."""
        return cast("list[DisentanglingLayer]", list(self.layers))

    @property
    def modalities(self) -> tuple[Modality, ...]:
        """The modalities that the network was built for, in the order of ``Modality``."""
        return tuple(m for m in Modality if m in self.config.modalities)

    def forward(
        self,
        features: Mapping[Modality, Tensor],
        masks: Mapping[Modality, Tensor] | None = None,
        *,
        num_layers: int | None = None,
    ) -> SRCIDOutput:
        """Disentangle a batch.

        Args:
            features: ``[B, T, *feature_shape]`` for each modality given, any subset.
            masks: ``[B, T]``, true where a step is real; real steps come first. All by default.
            num_layers: Layers that take part, all by default; fewer during the warm start.

        Raises:
            ShapeError: A feature has another shape than the configuration says.
        """
        inputs, masks = self._stemmed(features, masks)
        outputs, targets = [], []
        for layer in self.stages[:num_layers]:
            outputs.append(layer(inputs, masks))
            detach = self.config.detach_targets
            targets.append({m: x.detach() if detach else x for m, x in inputs.items()})
            inputs = layer.residual(outputs[-1])
        return SRCIDOutput(outputs, targets)

    def quantize(
        self, features: Mapping[Modality, Tensor], masks: Mapping[Modality, Tensor] | None = None
    ) -> list[LayerOutput]:
        """Return each layer's general vectors and codes, as ``forward`` does, and nothing else.

        Decoders, and the specific encoders of the last layer, only serve training.
        """
        inputs, masks = self._stemmed(features, masks)
        outputs = [self.stages[0].quantize(inputs, masks)]
        for before, layer in pairwise(self.stages):
            outputs[-1].specific.update(before.specifics(inputs, masks))
            inputs = before.residual(outputs[-1])
            outputs.append(layer.quantize(inputs, masks))
        return outputs

    @torch.inference_mode()
    def encode(
        self, features: Mapping[Modality, Tensor], masks: Mapping[Modality, Tensor] | None = None
    ) -> dict[Modality, Tensor]:
        """Return the codes ``[B, C, T]`` of each modality, layer 1's rows first."""
        layers = self.quantize(features, masks)
        return {m: torch.cat([out.codes[m] for out in layers], 1) for m in layers[0].codes}

    @classmethod
    def from_pretrained(cls, checkpoint: str | Path, *, download: bool = True) -> Self:
        """Load a checkpoint, ready to encode.

        Args:
            checkpoint: A folder, or the name of a shipped one or of one of the Hub
                (``model.checkpoint.locate``).
            download: Fetch one of the Hub that is not cached.

        Raises:
            CheckpointError: It is missing, damaged, or its tensors do not fit its config.
        """
        folder = locate(checkpoint, download=download)
        config, tensors = read_checkpoint(folder)
        with torch.device("meta"):  # a config that asks for too much takes no memory
            wanted = cls(config).state_dict()
        if fault := misfit(wanted, tensors):
            raise CheckpointError(
                f"{folder}: the weights do not fit config.json ({fault}); "
                "take both files from the same training run"
            )
        model = cls(config)
        model.load_state_dict(tensors)
        return model.eval().requires_grad_(False)

    def save_pretrained(self, folder: Path, *, dtype: torch.dtype = torch.float32) -> None:
        """Write ``config.json`` and ``model.safetensors``, floats as ``dtype``."""
        tensors = {
            name: tensor.to(dtype) if tensor.is_floating_point() else tensor
            for name, tensor in self.state_dict().items()
        }
        write_checkpoint(folder, self.config, tensors)

    def _shapes(self, depth: int) -> dict[Modality, ModalityShape]:
        """Return what layer ``depth`` (from 0) gets of each modality."""
        shapes = {}
        for m in self.modalities:
            own = self.config.modalities[m]
            maps = own.map if depth == 0 else None  # layer 2 gets the pooled vector
            shapes[m] = ModalityShape(self.config.channels(m, depth), own.specific_dim, maps)
        return shapes

    def _stemmed(
        self, features: Mapping[Modality, Tensor], masks: Mapping[Modality, Tensor] | None
    ) -> tuple[dict[Modality, Tensor], Mapping[Modality, Tensor]]:
        """Return what layer 1 gets, and the masks."""
        inputs = self._inputs(features)
        masks = masks or _all_true(inputs)
        for m, stem in self.stems.items():
            if m in inputs:
                inputs[Modality(m)] = stem(inputs[Modality(m)], masks[Modality(m)])
        return inputs, masks

    def _inputs(self, features: Mapping[Modality, Tensor]) -> dict[Modality, Tensor]:
        """Check the features and put them in the order in which MM-EMA visits modalities."""
        for m, x in features.items():
            own = self.config.modalities.get(m)
            if own is None:
                raise ShapeError(
                    f"this network knows {', '.join(self.modalities)}, not {m!r}; leave it out"
                )
            if x.dim() != 2 + len(own.feature_shape) or x.shape[2:] != own.feature_shape:
                wanted = ", ".join(str(n) for n in ("B", "T", *own.feature_shape))
                raise ShapeError(
                    f"{m} features have shape {list(x.shape)}; this network takes [{wanted}]"
                )
        return {m: features[m] for m in self.modalities if m in features}


def _all_true(inputs: Mapping[Modality, Tensor]) -> dict[Modality, Tensor]:
    return {m: x.new_ones(x.shape[:2], dtype=torch.bool) for m, x in inputs.items()}
