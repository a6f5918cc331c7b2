"""A checkpoint from pretrained models, sentences and media without labels.

Shape letters: N examples, F features of a backbone, D hidden dim.
"""

import json
import os
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from model.config import SRCIDConfig
from model.files import sha256
from model.modality import Modality
from model.quantizers.rvq import ResidualQuantizer
from model.srcid import SRCID
from training.alignment.align import fill
from training.alignment.shared_space import Media, connect
from training.data.extract import extract
from training.data.extracted import CLIPS, is_extracted, open_shard, read_index

MORE = 4  # sentences for each code at least, beside the media, for the codebooks


def align_by_sentences(
    config: SRCIDConfig, sentences: Tensor, media: Media, *, seed: int = 0
) -> SRCID:
    """Return a network whose codes are shared by all that the models compare with sentences.

    Args:
        config: One layer with a residual quantizer, on pretrained backbones.
        sentences: Text features ``[N, F]``.
        media: Features of clips; they need no labels.
        seed: Of the weights that stay random (decoders), and of all draws.

    Raises:
        ConfigError: The models cannot be connected.
        DataError: There are too few sentences or media.
    """
    draw = torch.Generator().manual_seed(seed)
    torch.manual_seed(seed)
    model = SRCID(config).eval().requires_grad_(False)
    general = connect(config, sentences, media)
    shown = [general[m](x) for m, x in media.features.items()]
    quantizer = cast("ResidualQuantizer", model.stages[0].quantizer)
    count = max(sum(map(len, shown)), MORE * quantizer.codebook_size)
    chosen = torch.randperm(len(sentences), generator=draw)[:count]
    shown.append(general[Modality.TEXT](sentences[chosen]))
    fill(model, general, torch.cat(shown), generator=draw)
    return model


def extracted_media(folder: Path, config: SRCIDConfig, *, cache: Path, device: str) -> Path:
    """Return the folder of the features of media: ``folder``, or one that is written now.

    Args:
        folder: What ``srcid extract`` wrote; or media.
        config: Names the backbones.
        cache: Folder where the features of media are kept from run to run.
        device: Where the backbones run.

    Raises:
        ConfigError: A backbone is not there.
        DataError: There are no media.
    """
    if is_extracted(folder):
        return folder
    # The backbones' descriptions have the commit and the digest of their weights.
    models = {m: own.model_dump_json() for m, own in config.modalities.items()}
    out = cache / f"media-{sha256(json.dumps([str(folder.resolve()), models]))[:16]}"
    extract(folder, out, config, device=device, workers=os.cpu_count() or 1)
    return out


def media_features(folder: Path, config: SRCIDConfig) -> Media:
    """Return the features of the training clips that ``srcid extract`` wrote.

    Raises:
        DataError: It is malformed, or was made with other backbones.
    """
    found: dict[Modality, list[Tensor]] = {}
    pairs: dict[Modality, list[Tensor]] = {}
    for row in read_index(folder, config):
        if row.split != "train":
            continue
        with open_shard(folder / CLIPS / row.shard) as file:
            steps = {m: file.get_tensor(str(m)) for m in Modality if str(m) in file.keys()}  # noqa: SIM118  no dict
        for m, own in steps.items():
            found.setdefault(m, []).append(own.float())
        if len(steps) > 1:
            both = min(map(len, steps.values()))
            for m, own in steps.items():
                pairs.setdefault(m, []).append(own[:both].float())
    return Media(*({m: torch.cat(own) for m, own in part.items()} for part in (found, pairs)))
