"""Backbones of the Hugging Face Hub, or from a folder that is laid out like there.

A family is one file with a class for each of its parts, and one line of ``FAMILIES``. This package
is imported when such a backbone is first described or built, since transformers takes seconds.
"""

from collections.abc import Sequence
from typing import Literal

from model.backbones.base import Backbone
from model.backbones.pretrained.bert import MODULES, BertWords, PooledSentences
from model.backbones.pretrained.clap import ClapSentences, ClapSounds
from model.backbones.pretrained.clip import ClipPictures, ClipSentences
from model.backbones.pretrained.dino import Dino2Pictures, Dino3Pictures
from model.backbones.pretrained.loading import read_json
from model.backbones.pretrained.pe_av import PePictures, PeSentences, PeSounds
from model.backbones.pretrained.side_by_side import SideBySide
from model.backbones.pretrained.siglip import SiglipPictures, SiglipSentences
from model.backbones.pretrained.spectrogram_transformer import AstSounds
from model.backbones.pretrained.texts import SentenceTower
from model.backbones.pretrained.tower import Tower
from model.backbones.pretrained.whisper import WhisperSounds
from model.config import PretrainedBackbone, TowerConfig
from model.errors import CheckpointError, ConfigError
from model.hub import find_snapshot
from model.modality import Modality

BERTS = ("bert", "roberta", "xlm-roberta", "distilbert", "mpnet", "electra", "modernbert")
# The parts of each family, by the model_type of its config.json.
FAMILIES: dict[str, tuple[type[Tower], ...]] = {
    "clip": (ClipPictures, ClipSentences),
    "siglip": (SiglipPictures, SiglipSentences),
    "dinov2": (Dino2Pictures,),
    "dinov3_vit": (Dino3Pictures,),
    "clap": (ClapSounds, ClapSentences),
    "audio-spectrogram-transformer": (AstSounds,),
    "whisper": (WhisperSounds,),
    "pe_audio_video": (PePictures, PeSounds, PeSentences),
} | dict.fromkeys(BERTS, (BertWords, PooledSentences))


def describe(
    modality: Modality,
    sources: Sequence[str],
    *,
    dtype: Literal["float32", "bfloat16"] = "float32",
    download: bool = False,
) -> PretrainedBackbone:
    """Return the exact record of the models that ``sources`` name now.

    Args:
        modality: Of which part of each model.
        sources: hf:OWNER/NAME[@REVISION] or folders; several for text only.
        dtype: What they compute in.
        download: Whether what is not on this machine may be fetched.

    Raises:
        ConfigError: One is not here, or is of no family that is known.
    """
    if len(sources) > 1 and modality is not Modality.TEXT:
        raise ConfigError(f"{' + '.join(sources)}: only text takes several models; name one")
    towers = tuple(_describe(modality, own, dtype, download=download) for own in sources)
    backbone = PretrainedBackbone(towers=towers)
    if len(towers) > 1 and any(getattr(own.input, "step", "") == "word" for own in towers):
        raise ConfigError(
            f"{backbone}: a model with one vector per word cannot stand beside others; "
            "name models that were trained to compare sentences"
        )
    return backbone


def _describe(
    modality: Modality, source: str, dtype: Literal["float32", "bfloat16"], *, download: bool
) -> TowerConfig:
    found = find_snapshot(source, download=download)
    config = read_json(found.folder / "config.json")
    model_type = str(config.get("model_type"))
    is_pooled = (found.folder / MODULES).is_file()
    kind = _kind(source, model_type, modality, is_pooled=is_pooled)
    own = {"output": kind.output, "attention": kind.attention} | kind.described(found.folder)
    return TowerConfig(
        source=f"hf:{found.repo}" if found.repo else str(found.folder.resolve()),
        commit=found.commit,
        sha256=found.sha256,
        model_type=model_type,
        dtype=dtype,
        **own,
    )


def build(backbone: PretrainedBackbone) -> Backbone:
    """Load a backbone from this machine's files.

    Raises:
        ConfigError: It is not on this machine; the message says which commit, and what to run.
        CheckpointError: The files are damaged, or hold other weights.
    """
    towers = [_build(own) for own in backbone.towers]
    if len(towers) == 1:
        return towers[0]
    sentences = [own for own in towers if isinstance(own, SentenceTower)]
    if len(sentences) < len(towers):
        raise ConfigError(f"{backbone}: only models of sentences can stand side by side")
    return SideBySide(sentences)


def _build(tower: TowerConfig) -> Tower:
    found = find_snapshot(tower.source, commit=tower.commit)
    if found.sha256 != tower.sha256:
        raise CheckpointError(
            f"{tower}: the weights in {found.folder} are not those that the checkpoint was made "
            f"with (SHA-256 {found.sha256[:12]}... instead of {tower.sha256[:12]}...): fetch them "
            "again, or train with these"
        )
    modality = {
        "picture": Modality.VIDEO,
        "sound": Modality.AUDIO,
        "text": Modality.TEXT,
    }[tower.input.kind]
    is_pooled = tower.output in ("mean", "first")
    kind = _kind(tower.source, tower.model_type, modality, is_pooled=is_pooled)
    return kind(tower, found.folder)


def _kind(source: str, model_type: str, modality: Modality, *, is_pooled: bool) -> type[Tower]:
    """Return the class of one part of a family.

    Raises:
        ConfigError: The family is not known, or has no such part.
    """
    if model_type not in FAMILIES:
        raise ConfigError(
            f"{source} is of the family {model_type!r}; there are {', '.join(FAMILIES)}. Code that "
            "a model brings is never run"
        )
    parts = [own for own in FAMILIES[model_type] if own.modality is modality]
    if not parts:
        has = " and ".join(sorted({own.modality for own in FAMILIES[model_type]}))
        raise ConfigError(f"{source}, of the family {model_type!r}, is for {has}, not {modality}")
    pooled = [own for own in parts if issubclass(own, PooledSentences) == is_pooled]
    return (pooled or parts)[0]
