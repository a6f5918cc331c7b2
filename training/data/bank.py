"""A bank: a folder of class-labelled photos, sounds and sentences, and its cached features.

``manifest.csv`` has a row an item: id (a path in the folder, or any name for a sentence),
modality (image, audio, text), class, split, text. A folder of such folders is a bank too.
"""

import csv
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from model.backbones import build_backbone
from model.backbones.base import decode_config
from model.config import PretrainedBackbone, SRCIDConfig
from model.errors import DataError, MediaError
from model.files import atomic_path
from model.media import Clip, DecodeConfig, read_clip
from model.modality import Modality

MODALITIES = {"image": Modality.VIDEO, "audio": Modality.AUDIO, "text": Modality.TEXT}
Named = dict[Modality, str | PretrainedBackbone]  # as ModalityConfig names backbones
COLUMNS = ("id", "modality", "class", "split", "text")
# Of a bank that is for training only: `label` for the class, and all rows are to be trained on.
TRAINING_COLUMNS = ("id", "modality", "label")


class Entry(NamedTuple):
    """One item of a bank."""

    id: str
    modality: Modality
    label: str  # class name
    split: str  # train or test
    text: str  # the sentence; for a recording its title


class Bank:
    """The items of a bank with their features, by modality and split.

    Args:
        entries: Its items.
        features: For each id ``[views, T, *F]``; view 0 is the item as it is.
    """

    def __init__(self, entries: Iterable[Entry], features: dict[str, Tensor]) -> None:
        self.entries = list(entries)
        self.features = features
        self.classes = sorted({entry.label for entry in self.entries})

    def select(self, modality: Modality, split: str) -> list[Entry]:
        """Return the entries of one modality and split, in the manifest's order."""
        return [e for e in self.entries if e.modality is modality and e.split == split]

    def check_split(self, split: str, modalities: Iterable[Modality]) -> None:
        """See that ``split`` has items of each of ``modalities``.

        Raises:
            DataError: It lacks one.
        """
        for m in modalities:
            if not self.select(m, split):
                splits = ", ".join(sorted({entry.split for entry in self.entries}))
                raise DataError(
                    f"the bank's split {split!r} has no {m}, but every modality of the checkpoint "
                    f"needs items; its splits are {splits}"
                )

    def with_validation(self, fraction: float) -> "Bank":
        """Return the bank with part of each class's train split renamed to ``validation``.

        The part is the last in the manifest's order, so that neighbours (which may come from one
        recording) stay on one side.
        """
        renamed = []
        for m in Modality:
            for label in self.classes:
                own = [e for e in self.select(m, "train") if e.label == label]
                kept = len(own) - round(fraction * len(own))
                renamed += own[:kept] + [e._replace(split="validation") for e in own[kept:]]
        return Bank(renamed + [e for e in self.entries if e.split != "train"], self.features)


def read_manifest(folder: Path) -> list[Entry]:
    """Read ``manifest.csv``, or those of the folders in ``folder`` that have one.

    Raises:
        DataError: It is missing, lacks a column, or a row names what does not exist.
    """
    if (folder / "manifest.csv").is_file():
        return _read_one(folder / "manifest.csv")
    parts = sorted(path.parent for path in folder.glob("*/manifest.csv"))
    if not parts:
        raise DataError(
            f"{folder / 'manifest.csv'} is missing: a bank is a folder with a manifest.csv in it, "
            "or a folder of such folders"
        )
    return [
        entry._replace(id=f"{part.name}/{entry.id}", label=_plain(entry.label))
        for part in parts
        for entry in _read_one(part / "manifest.csv")
    ]


def _read_one(path: Path) -> list[Entry]:
    with path.open(newline="") as file:
        rows = csv.DictReader(file)
        columns = set(rows.fieldnames or ())
        if columns >= set(TRAINING_COLUMNS) and "class" not in columns:
            return [
                _entry(path, line, _trained_on(row))
                for line, row in enumerate(rows, start=2)
                if row["label"]
            ]
        missing = set(COLUMNS) - columns
        if missing:
            raise DataError(f"{path} lacks the columns {sorted(missing)}; it needs {COLUMNS}")
        return [_entry(path, line, row) for line, row in enumerate(rows, start=2)]


def _trained_on(row: dict[str, str]) -> dict[str, str]:
    """Return the row of a bank for training only with the columns of others."""
    return {**row, "class": row["label"], "split": "train", "text": row.get("title", "")}


def _plain(label: str) -> str:
    """Return the one name that a class has in every bank."""
    return label.replace("_", " ").lower()


def _entry(path: Path, line: int, row: dict[str, str]) -> Entry:
    if row["modality"] not in MODALITIES:
        raise DataError(
            f"{path}, line {line}: unknown modality {row['modality']!r}; expected one of "
            f"{sorted(MODALITIES)}"
        )
    if row["modality"] != "text" and not (path.parent / row["id"]).is_file():
        raise DataError(f"{path}, line {line}: the bank has no file {row['id']!r}")
    return Entry(row["id"], MODALITIES[row["modality"]], row["class"], row["split"], row["text"])


def load_bank(folder: Path, config: SRCIDConfig, *, views: int, cache: Path) -> Bank:
    """Return the bank in ``folder`` with the features of ``config``'s backbones.

    Pictures are held for as many steps as the encoder holds them for.

    Args:
        folder: The bank.
        config: Names the backbone of each modality.
        views: Of each photo and sound: the item as it is, and random crops or excerpts.
        cache: Folder where extracted features are kept from run to run.

    Raises:
        DataError: The manifest is malformed, or an item does not decode.
    """
    entries = read_manifest(folder)
    backbones = {m: own.backbone for m, own in config.modalities.items()}
    found = [_view_features(folder, entries, backbones, view, cache) for view in range(views)]
    features = {}
    for entry in entries:
        own = torch.stack([view[entry.id] for view in found if entry.id in view])
        held = config.picture_steps if entry.modality is Modality.VIDEO else 1
        features[entry.id] = own.repeat_interleave(held, 1)
    return Bank(entries, features)


def _view_features(
    folder: Path, entries: list[Entry], backbones: Named, view: int, cache: Path
) -> dict[str, Tensor]:
    """Return the features ``[T, *F]`` of one view of every item, from the cache where it can."""
    key = json.dumps(
        [[[*entry, _content(folder, entry)] for entry in entries], backbones, view],
        default=PretrainedBackbone.model_dump,  # with commit and digest of the weights
    )
    file = cache / f"view{view}-{hashlib.sha256(key.encode()).hexdigest()[:16]}.safetensors"
    if not file.is_file():
        cache.mkdir(parents=True, exist_ok=True)
        with atomic_path(file) as temporary:
            save_file(_extract(folder, entries, backbones, view), temporary)
    return load_file(file)


def _content(folder: Path, entry: Entry) -> str:
    """Return what tells an item's file from another of the same name; a sentence has no file."""
    if entry.modality is Modality.TEXT:
        return ""
    return hashlib.sha256((folder / entry.id).read_bytes()).hexdigest()


def _extract(
    folder: Path,
    entries: list[Entry],
    backbones: Named,
    view: int,
) -> dict[str, Tensor]:
    features = {}
    networks = {m: build_backbone(name) for m, name in backbones.items()}
    config = decode_config(networks)
    for entry in tqdm(entries, desc=f"extracting features, view {view}", unit="item"):
        if view > 0 and entry.modality is Modality.TEXT:
            continue  # a sentence has no crops
        backbone = networks[entry.modality]
        try:
            prepared = backbone.preprocess(_view(folder, entry, view, config))
        except MediaError as error:
            raise DataError(f"{folder / entry.id}: {error}") from error
        features[entry.id] = backbone.extract([prepared])[0]
    return features


def _view(folder: Path, entry: Entry, view: int, config: DecodeConfig) -> Clip | str:
    """Return the item as it is for view 0, else a variant drawn by its id and ``view``."""
    if entry.modality is Modality.TEXT:
        return entry.text
    clip = read_clip(folder / entry.id, config)
    if view == 0:
        return clip
    seed = int.from_bytes(hashlib.sha256(f"{entry.id}/{view}".encode()).digest()[:8])
    draw = np.random.default_rng(seed)
    return (_crop if entry.modality is Modality.VIDEO else _shift)(clip, draw)


def _crop(clip: Clip, draw: np.random.Generator) -> Clip:
    """Return a square crop of 60 to 100 % of the shorter side, flipped half of the time."""
    assert clip.frames is not None
    height, width = clip.frames.shape[2:4]
    side = round(min(height, width) * draw.uniform(0.6, 1.0))
    top, left = draw.integers(height - side + 1), draw.integers(width - side + 1)
    square = clip.frames[0, 0, top : top + side, left : left + side]
    if draw.random() < 0.5:
        square = square[:, ::-1]
    whole = min(height, width)
    picture = Image.fromarray(np.ascontiguousarray(square))
    frame = np.array(picture.resize((whole, whole), Image.Resampling.BICUBIC))
    return clip._replace(frames=frame[None, None])


def _shift(clip: Clip, draw: np.random.Generator) -> Clip:
    """Return the sound begun elsewhere (its start follows its end), up to 6 dB softer or louder."""
    assert clip.waveform is not None
    offset = int(draw.integers(len(clip.waveform) or clip.sample_rate))
    gain = 10 ** (draw.uniform(-6, 6) / 20)
    waveform = np.clip(np.roll(clip.waveform, offset) * gain, -1, 1)
    return clip._replace(waveform=waveform.astype(np.float32))
