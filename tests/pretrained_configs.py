"""Configurations on pretrained models that nobody has to load: for what only reads them."""

from collections.abc import Mapping
from typing import Any

from model.config import PretrainedBackbone, SRCIDConfig, TowerConfig
from model.modality import Modality
from training.networks import aligned_network

VIDEO, AUDIO, TEXT = Modality.VIDEO, Modality.AUDIO, Modality.TEXT
SIZE, DIM = 48, 16
PICTURE = {
    "kind": "picture",
    "short_side": 32,
    "side": 32,
    "is_squashed": False,
    "resample": "bicubic",
    "mean": (0.5,) * 3,
    "std": (0.5,) * 3,
}
SOUND = {"kind": "sound", "sample_rate": 48_000, "window_seconds": 10, "mel": None}
SENTENCE = {"kind": "text", "step": "sentence", "max_tokens": 77, "tokenizer": "0" * 64}
INPUTS = {VIDEO: PICTURE, AUDIO: SOUND, TEXT: SENTENCE}


def tower(name: str, modality: Modality, *, kind: str = "clip", dim: int = SIZE) -> TowerConfig:
    fields: dict[str, Any] = {
        "source": f"hf:acme/{name}",
        "commit": "c" * 40,
        "sha256": name.ljust(64, "0"),
        "model_type": kind,
        "output": "shared",
        "dim": dim,
        "attention": "sdpa",
        "input": INPUTS[modality],
    }
    return TowerConfig.model_validate(fields)


def config_of(towers: Mapping[Modality, list[TowerConfig]]) -> SRCIDConfig:
    base = aligned_network(codebook_size=16)
    modalities = {}
    for m, own in towers.items():
        backbone = PretrainedBackbone(towers=tuple(own))
        update = {"backbone": backbone, "feature_shape": backbone.feature_shape}
        modalities[m] = base.modalities[m].model_copy(update=update)
    return base.model_copy(update={"modalities": modalities, "dim": DIM})
