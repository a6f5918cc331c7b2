"""One space for pretrained models that each compare sentences with something else.

CLIP compares sentences with pictures, CLAP with sounds. Sentences that both read connect them: a
ridge regression maps CLAP's space to CLIP's, in closed form, and each modality is centred, since
the vectors of one modality lie apart from those of any other. A model without sentences (DINO,
AST) is mapped by clips that have sound and picture.

Source: the idea is that of C-MCR, Wang et al., NeurIPS 2023, which trains networks for it.
Shape letters: N examples, F features of a backbone, X inputs, D hidden dim.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from model.config import PretrainedBackbone, SRCIDConfig, TowerConfig
from model.errors import ConfigError, DataError
from model.modality import Modality
from training.alignment.ridge import LinearMap, ridge

# Of the ridges, in units of an input's mean square: pictures and sounds differ from their
# sentences by about as much as sentences differ from one another.
PENALTY = 1.0
# PE-AV has a head for sentences about sounds, and one for those about pictures.
HALVES = {"pe_audio_video": (Modality.AUDIO, Modality.VIDEO)}
FEWEST_PAIRS = 100  # steps with sound and picture, to learn a map from
STREAMS = (Modality.VIDEO, Modality.AUDIO)  # where both compare with sentences, the first leads


class Block(NamedTuple):
    """The part of a text feature that one model computes."""

    first: int  # of the columns of the text feature
    size: int
    model: tuple[str, str | None, str]
    modality: Modality | None  # that this part alone is compared with; None: all of its model

    def of(self, sentences: Tensor) -> Tensor:
        """Return ``[N, size]`` of the text features ``[N, F]``."""
        return sentences[:, self.first : self.first + self.size]


class Media(NamedTuple):
    """Features of clips without labels."""

    features: dict[Modality, Tensor]  # [N, F] one row per step; N differs between modalities
    pairs: dict[Modality, Tensor]  # [N, F] the steps that have sound and picture, in one order


def connect(config: SRCIDConfig, sentences: Tensor, media: Media) -> dict[Modality, LinearMap]:
    """Return the map of each modality into one space.

    Args:
        config: Names the models. The space has ``config.dim`` dimensions.
        sentences: Text features ``[N, F]``, a row a sentence.
        media: Centres sounds and pictures, and teaches models without sentences.

    Raises:
        ConfigError: No model of pictures or sounds is among the models of text.
        DataError: There are no sounds, no pictures, or too few clips with both.
    """
    blocks = _blocks(config)
    compared = {m: own for m in STREAMS if (own := _block_of(config, m, blocks))}
    if not compared:
        raise ConfigError(
            "no model of text belongs to the model of pictures or of sounds: name for --text the "
            "model that reads sentences for one of them (that of CLIP for its pictures)"
        )
    leader = next(iter(compared.values()))
    space = _principal(leader.of(sentences), config.dim)
    target = space(leader.of(sentences))
    maps = {
        block: space
        if block.model == leader.model
        else ridge(block.of(sentences), target, penalty=PENALTY)
        for block in blocks
    }
    general: dict[Modality, LinearMap] = {}
    for m, block in compared.items():
        general[m] = maps[block].centred(over=_shown(media, m))
    for m in [m for m in STREAMS if m in config.modalities and m not in general]:
        (other,) = general  # the one that sentences reach
        general[m] = _by_clips(m, media, general[other], other)
    general[Modality.TEXT] = _mean([(own, maps[own]) for own in blocks], sentences)
    return {m: general[m] for m in config.modalities}


def _blocks(config: SRCIDConfig) -> list[Block]:
    """Return the parts of a text feature, in their order."""
    blocks, first = [], 0
    for tower in _towers(config, Modality.TEXT):
        halves = HALVES.get(tower.model_type, (None,))
        size = tower.dim // len(halves)
        for half in halves:
            blocks.append(Block(first, size, _model(tower), half))
            first += size
    return blocks


def _block_of(config: SRCIDConfig, modality: Modality, blocks: list[Block]) -> Block | None:
    """Return the part of a text feature that a modality is compared with."""
    if modality not in config.modalities:
        return None
    model = _model(_towers(config, modality)[0])
    own = [block for block in blocks if block.model == model]
    return next((block for block in own if block.modality in (None, modality)), None)


def _towers(config: SRCIDConfig, modality: Modality) -> tuple[TowerConfig, ...]:
    backbone = config.modalities[modality].backbone
    if not isinstance(backbone, PretrainedBackbone):
        raise ConfigError(
            f"{modality}: {backbone} is no pretrained model that compares sentences; name one as "
            "hf:OWNER/NAME or a folder, or align with labelled examples (--data)"
        )
    return backbone.towers


def _model(tower: TowerConfig) -> tuple[str, str | None, str]:
    return tower.source, tower.commit, tower.sha256


def _principal(x: Tensor, size: int) -> LinearMap:
    """Return the map to the ``size`` directions in which ``x`` ``[N, X]`` differs most.

    Raises:
        DataError: There are fewer rows, or fewer directions.
    """
    if min(x.shape) < size:
        raise DataError(
            f"{len(x)} sentences of {x.shape[1]} dimensions cannot fill a space of {size}: give "
            "more sentences, or set model.dim to at most either number"
        )
    mean = x.mean(0)
    _, _, directions = torch.linalg.svd(x - mean, full_matrices=False)
    basis = directions[:size].T
    return LinearMap(basis, -mean @ basis)


def _by_clips(
    modality: Modality, media: Media, teacher: LinearMap, taught_by: Modality
) -> LinearMap:
    """Return the map of a modality without sentences: to where the other one of a step lies."""
    if not media.pairs or len(media.pairs[modality]) < FEWEST_PAIRS:
        count = len(media.pairs[modality]) if media.pairs else 0
        raise DataError(
            f"the model of {modality} reads no sentences, so videos with sound have to teach it, "
            f"and the media have {count} seconds of that kind; {FEWEST_PAIRS} are needed"
        )
    target = F.normalize(teacher(media.pairs[taught_by]), dim=-1)
    own = ridge(media.pairs[modality], target, penalty=PENALTY)
    return own.centred(over=_shown(media, modality))


def _mean(parts: list[tuple[Block, LinearMap]], sentences: Tensor) -> LinearMap:
    """Return the map of a text feature: the mean of what its parts say, each of length 1."""
    maps = []
    for block, own in parts:
        x = block.of(sentences)
        maps.append(own.centred(over=x).to_length(1, over=x))
    weight = torch.cat([own.weight for own in maps])
    bias = torch.stack([own.bias for own in maps]).sum(0)
    return LinearMap(weight, bias).scaled(1 / len(maps))


def _shown(media: Media, modality: Modality) -> Tensor:
    if modality not in media.features:
        what = "pictures" if modality is Modality.VIDEO else "sounds"
        raise DataError(f"the media have no {what} to centre {modality} by: add some")
    return media.features[modality]
