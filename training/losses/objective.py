"""The objective: a table of terms for each layer, and their weighted sum."""

import copy
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from model.config import SRCIDConfig
from model.modality import Modality
from model.network.layer import LayerOutput
from model.srcid import SRCID, SRCIDOutput
from training.config import LayerWeights, ObjectiveConfig
from training.losses.anchor import anchor
from training.losses.club import CLUB
from training.losses.cmcm import cross_modal_code_matching
from training.losses.code_prediction import code_prediction
from training.losses.commitment import commitment
from training.losses.cpc import CrossModalCPC
from training.losses.infonce import clip_infonce
from training.losses.interchange import Interchange
from training.losses.masking import variance
from training.losses.reconstruction import reconstruction
from training.losses.transport import prototype_transport


class LayerDraws(NamedTuple):
    """The random choices that one layer's losses make in one step."""

    permutations: dict[Modality, Tensor]  # [B] which clip's specific part CLUB puts in
    cpc_step: int  # the last step that CPC sees, from 0


class Report(NamedTuple):
    """What the objective says of a batch."""

    total: Tensor  # the scalar to minimise
    # Unweighted, detached, by name: layer1/mi/audio, layer2/cpc, ...; specific_variance beside
    # them is in no sum: where it goes to 0, the specific features have collapsed.
    terms: dict[str, Tensor]


class LayerObjective(nn.Module):
    """The losses of one layer that have weights of their own: CLUB, CPC, interchange, anchor."""

    def __init__(self, config: SRCIDConfig, objective: ObjectiveConfig, *, depth: int) -> None:
        super().__init__()
        self.clubs = nn.ModuleDict(
            {
                m: CLUB(config.dim, own.specific_dim, objective.club)
                for m, own in config.modalities.items()
            }
        )
        self.cpc = CrossModalCPC(tuple(config.modalities), config.dim, objective.cpc)
        channels = {m: config.channels(m, depth) for m in config.modalities}
        # Only where it is used: a run without it has no such weights in its state.
        self.interchange = (
            Interchange(config.dim, channels) if objective.layers[depth].interchange else None
        )
        self.initial: nn.ModuleDict | None = None  # the general encoders of the start, by modality

    def club(self, modality: Modality) -> CLUB:
        """Return the network that bounds what a modality's codes tell of its specific part."""
        return cast("CLUB", self.clubs[modality])


class Objective(nn.Module):
    """All terms of SRCID eq. 8, of the other methods and of the extensions, by name and weight.

    A term of weight 0 is neither computed nor reported.
    """

    def __init__(self, model: SRCIDConfig, config: ObjectiveConfig) -> None:
        super().__init__()
        self.config = config
        self.layers = nn.ModuleList(
            LayerObjective(model, config, depth=depth) for depth in range(model.num_layers)
        )

    @property
    def stages(self) -> list[LayerObjective]:
        """The layers, typed."""
        return cast("list[LayerObjective]", list(self.layers))

    def anchor_to(self, model: SRCID) -> None:
        """Hold on to the encoders of ``model`` as they are now, where a layer has an anchor."""
        for own, layer, weights in zip(self.stages, model.stages, self.config.layers, strict=True):
            if weights.anchor:
                own.initial = copy.deepcopy(layer.general).eval().requires_grad_(False)

    def fit_loss(self, output: SRCIDOutput, masks: Mapping[Modality, Tensor]) -> dict[str, Tensor]:
        """Return what fits each CLUB network to the batch, by name: layer1/club_fit/audio.

        None for a layer whose mutual information weighs 0.
        """
        return {
            f"layer{depth}/club_fit/{m}": own.club(m).fit_loss(
                out.quantized[m].detach(),
                out.specific[m].vector.detach(),
                masks[m],
                codes=out.codes[m],
            )
            for depth, (own, out) in enumerate(zip(self.stages, output.layers, strict=False), 1)
            if self.config.layers[depth - 1].mi
            for m in out.general
        }

    def forward(
        self,
        output: SRCIDOutput,
        masks: Mapping[Modality, Tensor],
        tables: list[Tensor],
        draws: list[LayerDraws],
        *,
        mi_scale: float = 1.0,
        meanings: Tensor | None = None,
    ) -> Report:
        """Return the loss of a batch.

        Args:
            output: The network's, of as many layers as take part.
            masks: ``[B, T]``.
            tables: Each layer's codebooks ``[Q, L, D]``, for code matching and transport.
            draws: Each layer's random choices.
            mi_scale: Multiplies the weight of mutual information (a ramp).
            meanings: ``[B, F]`` what each clip is about, where that is known: for InfoNCE.
        """
        terms: dict[str, Tensor] = {}
        totals = []
        layers = zip(self.stages, output.layers, output.targets, tables, draws, strict=False)
        for depth, (own, out, targets, table, draw) in enumerate(layers):
            weights = self.config.layers[depth]
            found = self._terms(own, weights, out, targets, masks, table, draw)
            found |= self._terms_of_others(own, weights, out, targets, masks, table)
            found |= self._extensions(own, weights, out, targets, masks, table, meanings)
            scale = weights.model_dump() | {"mi": weights.mi * mi_scale}
            weighted = [scale[name.split("/")[0]] * term for name, term in found.items()]
            totals.append(weights.total * torch.stack(weighted).sum())
            terms |= {f"layer{depth + 1}/{name}": t.detach() for name, t in found.items()}
            terms |= {
                f"layer{depth + 1}/specific_variance/{m}": variance(part.vector, masks[m])
                for m, part in out.specific.items()
            }
        return Report(torch.stack(totals).sum(), terms)

    def _terms(
        self,
        own: LayerObjective,
        weights: LayerWeights,
        out: LayerOutput,
        targets: Mapping[Modality, Tensor],
        masks: Mapping[Modality, Tensor],
        table: Tensor,
        draw: LayerDraws,
    ) -> dict[str, Tensor]:
        """Return one layer's terms of eq. 8 by name, those of weight 0 left out."""
        config = self.config
        terms: dict[str, Tensor] = {}
        if weights.reconstruction:
            errors = reconstruction(out.reconstruction, targets, masks)
            terms |= {f"reconstruction/{m}": loss for m, loss in errors.items()}
        if weights.commitment:
            errors = commitment(
                out.general,
                out.quantized,
                masks,
                beta=config.beta,
                paired=config.paired_commitment,
            )
            terms |= {f"commitment/{m}": loss for m, loss in errors.items()}
        if weights.mi:
            for m, quantized in out.quantized.items():
                if config.club.gradient == "specific":
                    quantized = quantized.detach()
                terms[f"mi/{m}"] = own.club(m)(
                    quantized, out.specific[m].vector, masks[m], permutation=draw.permutations[m]
                )
        if weights.cpc:
            terms["cpc"] = own.cpc(out.general, masks, step=draw.cpc_step)
        if weights.cmcm:
            terms["cmcm"] = cross_modal_code_matching(out.general, table[0], masks, config.cmcm)
        return terms

    def _terms_of_others(
        self,
        own: LayerObjective,
        weights: LayerWeights,
        out: LayerOutput,
        targets: Mapping[Modality, Tensor],
        masks: Mapping[Modality, Tensor],
        table: Tensor,
    ) -> dict[str, Tensor]:
        """Return one layer's terms that are not in eq. 8 by name, those of weight 0 left out."""
        config = self.config
        terms: dict[str, Tensor] = {}
        if weights.transport:
            terms["transport"] = prototype_transport(out.general, table[0], masks, config.transport)
        if own.interchange is not None:
            terms["interchange"] = own.interchange(out.quantized, targets, masks)
        return terms

    def _extensions(
        self,
        own: LayerObjective,
        weights: LayerWeights,
        out: LayerOutput,
        targets: Mapping[Modality, Tensor],
        masks: Mapping[Modality, Tensor],
        table: Tensor,
        meanings: Tensor | None,
    ) -> dict[str, Tensor]:
        """Return one layer's terms of no paper by name, those of weight 0 left out."""
        config = self.config
        terms: dict[str, Tensor] = {}
        if weights.infonce:
            terms["infonce"] = self._infonce(out, masks, meanings)
        if weights.code_prediction:
            entropies = code_prediction(
                out.general, table[0], masks, temperature=config.code_prediction_temperature
            )
            terms |= {f"code_prediction/{m}": loss for m, loss in entropies.items()}
        if own.initial is not None:
            with torch.no_grad():
                initial = {m: own.initial[m](x, masks[m]) for m, x in targets.items()}
            errors = anchor(out.general, initial, masks)
            terms |= {f"anchor/{m}": loss for m, loss in errors.items()}
        return terms

    def _infonce(
        self, out: LayerOutput, masks: Mapping[Modality, Tensor], meanings: Tensor | None
    ) -> Tensor:
        config = self.config
        targets = None
        if config.infonce_target_temperature is not None and meanings is not None:
            targets = meanings @ meanings.T / config.infonce_target_temperature
        compare = partial(
            clip_infonce, masks=masks, temperature=config.infonce_temperature, targets=targets
        )
        match config.infonce_vectors:
            case "general":
                return compare(out.general)
            case "general+quantized":
                return compare({m: z + out.quantized[m] for m, z in out.general.items()})
            case "crossed":
                across = compare(out.general, others=out.quantized)
                across = across + compare(out.quantized, others=out.general)
                return compare(out.general) / 2 + across / 4
