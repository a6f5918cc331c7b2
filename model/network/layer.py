"""One disentangling layer: general, specific, codes and reconstruction of every modality.

Shape letters: B batch, T time steps, D hidden dim, S specific dim, F feature dim, Q codes a step.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor, nn

from model.config import MapConfig, SRCIDConfig
from model.modality import Modality
from model.network.conditional_mean import ConditionalMean
from model.network.decoder import MapDecoder, VectorDecoder
from model.network.general import GeneralEncoder, Unchanged
from model.network.specific import MapSpecificEncoder, Specific, VectorSpecificEncoder
from model.quantizers import build_quantizer


@dataclass(frozen=True)
class ModalityShape:
    """What one layer gets of one modality, and the size of what it leaves for the next."""

    channels: int  # F, the last axis of the input
    specific_dim: int  # S
    maps: MapConfig | None = None  # for an input of maps [B, T, H, W, F]


@dataclass(frozen=True)
class LayerOutput:
    """What one layer makes of a batch, by modality."""

    general: dict[Modality, Tensor] = field(default_factory=dict)  # [B, T, D] not yet quantized
    quantized: dict[Modality, Tensor] = field(default_factory=dict)  # [B, T, D]
    codes: dict[Modality, Tensor] = field(default_factory=dict)  # [B, Q, T]
    specific: dict[Modality, Specific] = field(default_factory=dict)  # vectors [B, T, S]
    reconstruction: dict[Modality, Tensor] = field(default_factory=dict)  # [B, T, *F]


class DisentanglingLayer(nn.Module):
    """Splits each modality into a general part, which becomes codes, and a specific part.

    Source: SRCID eq. 1-4; with raw features as input this is DCID.
    """

    def __init__(
        self, shapes: Mapping[Modality, ModalityShape], config: SRCIDConfig, *, depth: int
    ) -> None:
        super().__init__()
        self.leaves_general = config.leaves_general
        self.general = nn.ModuleDict(
            {
                # What codes leave of a general vector already lies in the space of the codes.
                m: Unchanged()
                if depth > 0 and self.leaves_general
                else GeneralEncoder(shape.channels, config, shape.maps)
                for m, shape in shapes.items()
            }
        )
        # Who leaves general vectors sets nothing specific apart, and reconstructs nothing.
        split = {} if self.leaves_general else shapes
        self.specific = nn.ModuleDict(
            {m: _specific(shape, config.standardize_specific) for m, shape in split.items()}
        )
        self.decoder = nn.ModuleDict({m: _decoder(shape, config.dim) for m, shape in split.items()})
        self.quantizer = build_quantizer(config.dim, config.quantizer_of(depth))
        is_last = depth == config.num_layers - 1
        self.conditional_mean = (
            None
            if is_last or not config.is_centred
            else nn.ModuleDict(
                {
                    m: ConditionalMean(
                        self.quantizer.codebook_size, config.channels(Modality(m), depth + 1)
                    )
                    for m in shapes
                }
            )
        )

    def forward(
        self, inputs: Mapping[Modality, Tensor], masks: Mapping[Modality, Tensor]
    ) -> LayerOutput:
        """Encode, quantize and decode ``inputs`` ``[B, T, *F]`` with ``masks`` ``[B, T]``."""
        out = self.quantize(inputs, masks)
        out.specific.update(self.specifics(inputs, masks))
        for m in out.specific:
            out.reconstruction[m] = self.decoder[m](out.quantized[m], out.specific[m])
        return out

    def quantize(
        self, inputs: Mapping[Modality, Tensor], masks: Mapping[Modality, Tensor]
    ) -> LayerOutput:
        """Return the general part and its codes: ``forward`` without what only training needs."""
        out = LayerOutput()
        for m, x in inputs.items():
            out.general[m] = self.general[m](x, masks[m])
            out.quantized[m], out.codes[m] = self.quantizer(out.general[m])
        return out

    def specifics(
        self, inputs: Mapping[Modality, Tensor], masks: Mapping[Modality, Tensor]
    ) -> dict[Modality, Specific]:
        """Return the specific part, where the layer has one."""
        return {m: self.specific[m](x, masks[m]) for m, x in inputs.items() if m in self.specific}

    def residual(self, out: LayerOutput) -> dict[Modality, Tensor]:
        """Return what the layer leaves to the next one (``SRCIDConfig.residual``)."""
        vectors = self.uncentred(out)
        if self.conditional_mean is None:
            if not self.leaves_general:
                return vectors
            return {m: z - self.quantizer.decode(out.codes[m]) for m, z in vectors.items()}
        return {m: x - self.conditional_mean[m](out.codes[m][:, 0]) for m, x in vectors.items()}

    @torch.no_grad()
    def update(self, out: LayerOutput, masks: Mapping[Modality, Tensor]) -> None:
        """Move what follows averages, the codebook and the means for a code, towards a batch."""
        self.quantizer.update({m: z.detach() for m, z in out.general.items()}, masks)
        if self.conditional_mean is not None:
            for m, x in self.uncentred(out).items():
                mean = cast("ConditionalMean", self.conditional_mean[m])
                mean.update(x.detach(), out.codes[m][:, 0], masks[m])

    def uncentred(self, out: LayerOutput) -> dict[Modality, Tensor]:
        """Return the vectors ``[B, T, S]`` of which ``residual`` is what the codes leave."""
        if self.leaves_general:
            return out.general
        return {m: own.vector for m, own in out.specific.items()}


def _specific(shape: ModalityShape, standardize: bool) -> nn.Module:
    if shape.maps:
        channels = shape.maps.specific_channels
        return MapSpecificEncoder(
            shape.channels, channels, shape.specific_dim, standardize=standardize
        )
    return VectorSpecificEncoder(shape.channels, shape.specific_dim, standardize=standardize)


def _decoder(shape: ModalityShape, dim: int) -> nn.Module:
    if shape.maps:
        return MapDecoder(dim, shape.maps.specific_channels, shape.channels)
    return VectorDecoder(dim, shape.specific_dim, shape.channels)
