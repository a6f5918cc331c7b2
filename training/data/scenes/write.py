"""A bank in, a folder of composed scenes out: what ``srcid scenes`` does."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from model.backbones.base import Backbone, decode_config
from model.config import SRCIDConfig
from model.encoder import load_backbones
from model.errors import ConfigError
from model.files import atomic_path, atomic_write_text
from model.modality import Modality
from training.data.bank import Entry
from training.data.bank import read_manifest as read_bank
from training.data.extracted import About
from training.data.scenes.compose import compose
from training.data.scenes.draw import draw_scenes
from training.data.scenes.folder import (
    ABOUT,
    FEATURES,
    VERSION,
    VIDEOS,
    ScenesAbout,
    feature_file,
    is_scenes,
    read_about,
    write_manifest,
)
from training.data.scenes.material import Material, supplies
from training.data.scenes.script import SECONDS, SETS, Scene, ScenesConfig
from training.data.scenes.video import write_scene


def write_scenes(
    bank: Path, out: Path, model: SRCIDConfig, config: ScenesConfig, *, device: str = "cpu"
) -> list[Scene]:
    """Compose the scenes of ``config``, save the features that ``out`` lacks, return the scenes.

    Args:
        bank: A folder of class-labelled photos, sounds and sentences (``training.data.bank``).
        out: The folder to write (``training.data.scenes.folder``).
        model: Names the backbone of each modality.
        config: How many scenes, and their seed.
        device: Where the backbones run.

    Raises:
        ConfigError: ``out`` holds other scenes, or a backbone is not there.
        DataError: The bank is malformed, or too small.
    """
    entries = read_bank(bank)
    supply = supplies(entries, validation=config.validation)
    about = ScenesAbout(
        version=VERSION,
        config=config,
        bank=_fingerprint(bank, entries),
        classes=tuple(supply["train"].classes),
        backbones=About.of(model, seconds=SECONDS).backbones,
    )
    _claim(out, about)
    scenes = draw_scenes(supply, config)
    write_manifest(out, scenes)
    _write_features(out, scenes, bank, model, device)
    return scenes


def write_videos(bank: Path, out: Path, scenes: Iterable[Scene], *, count: int) -> list[Path]:
    """Write the first ``count`` test scenes of each set as mp4, and return their files."""
    material = Material(bank)
    test = [s for s in scenes if s.split == "test"]
    chosen = [s for name in SETS for s in [s for s in test if s.set == name][:count]]
    (out / VIDEOS).mkdir(exist_ok=True)
    paths = [out / VIDEOS / f"{scene.name}.mp4" for scene in chosen]
    shown = tqdm(chosen, "writing videos", unit="video", disable=not chosen)
    for path, scene in zip(paths, shown, strict=True):
        write_scene(path, scene, material)
    return paths


def _fingerprint(bank: Path, entries: Iterable[Entry]) -> str:
    digest = hashlib.sha256()
    for entry in entries:
        digest.update(repr(entry).encode())
        if entry.modality is not Modality.TEXT:
            digest.update((bank / entry.id).read_bytes())
    return digest.hexdigest()[:16]


def _claim(out: Path, about: ScenesAbout) -> None:
    """Make ``out`` the folder of these scenes, or see that it is."""
    if is_scenes(out):
        if read_about(out) != about:
            raise ConfigError(
                f"{out} holds scenes of another bank, seed, count or recipe: name another folder"
            )
        return
    (out / FEATURES).mkdir(parents=True, exist_ok=True)
    atomic_write_text(out / ABOUT, about.model_dump_json(indent=2) + "\n")


def _write_features(
    out: Path, scenes: Sequence[Scene], bank: Path, model: SRCIDConfig, device: str
) -> None:
    """Save the features of each set and split, and of the captions, that are not there yet."""
    parts = {key: list(own) for key, own in groupby(scenes, lambda s: (s.set, s.split))}
    said: dict[str, dict[str, None]] = {}  # by split, each caption once and in order
    for (_, split), own in parts.items():
        found = said.setdefault(split, {})
        for scene in own:
            kinds = scene.captions
            found |= dict.fromkeys((*kinds.whole, *kinds.seen, *kinds.heard))
    waiting = {key: own for key, own in parts.items() if not feature_file(out, *key).is_file()}
    unread = {split: own for split, own in said.items() if not _text_file(out, split).is_file()}
    if not waiting and not unread:
        return
    backbones = load_backbones(model, device)
    material = Material(bank, decode_config(backbones))
    total = sum(map(len, waiting.values())) + sum(map(len, unread.values()))
    with tqdm(total=total, desc="composing", unit="scene") as progress:
        for key, own in waiting.items():
            features = _set_features(own, material, backbones, device, advance=progress.update)
            _save(features, feature_file(out, *key))
        progress.desc, progress.unit = "reading captions", "caption"
        for split, captions in unread.items():
            words = _text_features(
                captions, backbones[Modality.TEXT], device, advance=progress.update
            )
            _save(words, _text_file(out, split))


def _text_file(out: Path, split: str) -> Path:
    return feature_file(out, str(Modality.TEXT), split)


def _set_features(
    scenes: Sequence[Scene],
    material: Material,
    backbones: dict[Modality, Backbone],
    device: str,
    *,
    advance: Callable[[], object],
) -> dict[str, Tensor]:
    found: dict[str, list[Tensor]] = {str(m): [] for m in SETS[scenes[0].set] if m in backbones}
    known: dict[bytes, Tensor] = {}
    for scene in scenes:
        clip = compose(scene, material)
        for name, features in found.items():
            backbone = backbones[Modality(name)]
            features.append(_steps(backbone, backbone.preprocess(clip), known, device))
        advance()
    return {name: torch.stack(features) for name, features in found.items()}


def _steps(backbone: Backbone, prepared: Tensor, known: dict[bytes, Tensor], device: str) -> Tensor:
    """Return the features of ``prepared`` steps; of those that were seen before, the same ones.

    A second in which nothing is seen looks like the next, and scenes of a group share most. What
    hears several seconds together has no features of one.
    """
    if backbone.window_seconds > 1:
        return backbone.extract([prepared.to(device)])[0].half().cpu()
    keys = [hashlib.sha256(step.numpy().tobytes()).digest() for step in prepared]
    new = {key: n for n, key in enumerate(keys) if key not in known}
    if new:
        steps = prepared[list(new.values())].to(device)
        known.update(zip(new, backbone.extract([steps])[0].half().cpu(), strict=True))
    return torch.stack([known[key] for key in keys])


def _text_features(
    captions: Iterable[str], backbone: Backbone, device: str, *, advance: Callable[[], object]
) -> dict[str, Tensor]:
    found = {}
    for caption in captions:
        found[caption] = backbone.extract([backbone.preprocess(caption).to(device)])[0].half().cpu()
        advance()
    return found


def _save(features: dict[str, Tensor], path: Path) -> None:
    with atomic_path(path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in features.items()}, temporary)
