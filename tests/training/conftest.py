"""A small bank on disk, and a run on it that takes a second."""

import csv
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model.config import SRCIDConfig
from tests.training.data.scenes.conftest import bank_folder, scenes_folder
from tests.training.evaluation.paper_shaped import paper_shaped
from tests.training.tiny_rows import one_epoch
from training.config import (
    CLUBConfig,
    DataConfig,
    LayerWeights,
    ObjectiveConfig,
    OptimConfig,
    TrainConfig,
    WarmStartConfig,
)

__all__ = [
    "bank_folder",
    "one_epoch",
    "paper_shaped",
    "scenes_folder",
]  # fixtures for the tests below

CLASSES, ITEMS = 3, 4


@pytest.fixture(scope="session")
def tiny_bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of three colours, tones of three pitches, a sentence for each."""
    folder = tmp_path_factory.mktemp("bank")
    rows = []
    for label in range(CLASSES):
        for item in range(ITEMS):
            name, own = f"c{label}-{item}", {"class": f"c{label}", "split": "train", "text": ""}
            draw = np.random.default_rng((label, item))
            colour = 60 + 80 * label + draw.integers(-20, 20, (16, 16, 3))
            Image.fromarray(colour.astype(np.uint8)).save(folder / f"{name}.png")
            _write_tone(folder / f"{name}.wav", 300 * (label + 1), draw)
            rows += [
                {"id": f"{name}.png", "modality": "image", **own},
                {"id": f"{name}.wav", "modality": "audio", **own},
                {"id": name, "modality": "text", **own, "text": f"number {item} of class {label}"},
            ]
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["id", "modality", "class", "split", "text"])
        writer.writeheader()
        writer.writerows(rows)
    return folder


def _write_tone(path: Path, hertz: int, draw: np.random.Generator) -> None:
    seconds = np.arange(3 * 16_000) / 16_000
    samples = 8000 * np.sin(2 * np.pi * hertz * seconds) + draw.normal(0, 500, len(seconds))
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", "not compressed"))
        file.writeframes(samples.astype(np.int16).tobytes())


@pytest.fixture(scope="session")
def tiny_run(tiny_bank: Path, tiny_config: SRCIDConfig) -> TrainConfig:
    """Three epochs of four steps, layer 2 from the second on, dropout on, codes revived."""
    quantizer = tiny_config.quantizer.model_copy(update={"revive_after": 3})
    return TrainConfig(
        name="tiny",
        model=tiny_config.model_copy(
            update={"quantizer": quantizer, "standardize_specific": True, "max_steps": 3}
        ),
        data=DataConfig(folder=tiny_bank, steps=3, clips_per_epoch=34, text_layout="spread"),
        objective=ObjectiveConfig(
            layers=(LayerWeights(infonce=1), LayerWeights(total=0.3)),
            club=CLUBConfig(hidden_dim=8, fits=2),
        ),
        optim=OptimConfig(schedule="cosine", warmup_steps=3),
        warm_start=WarmStartConfig(epoch=1),
        epochs=3,
        batch_size=8,
    )
