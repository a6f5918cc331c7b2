"""Banks: manifests that are refused, features that are cached, a validation part that is apart."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from model.config import SRCIDConfig
from model.errors import DataError
from model.modality import Modality
from tests.media_maker import make_sound
from training.data import bank as bank_module
from training.data.bank import Bank, Entry, load_bank, read_manifest

HEADER = "id,modality,class,split,text\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes, each with two photos, one sound and one sentence."""
    rows = []
    draw = np.random.default_rng(0)
    for label in ("cat", "dog"):
        for number in range(2):
            name = f"{label}{number}.png"
            pixels = draw.integers(0, 256, (40, 60, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / name)
            rows.append(f"{name},image,{label},train,")
        (tmp_path / f"{label}.wav").write_bytes(
            make_sound(draw.uniform(-1, 1, 32_000).astype(np.float32), 16_000)
        )
        rows.append(f"{label}.wav,audio,{label},train,a title")
        rows.append(f"text:{label},text,{label},test,the {label} is here")
    (tmp_path / "manifest.csv").write_text(HEADER + "\n".join(rows) + "\n")
    return tmp_path


def test_every_item_has_its_features_in_every_view(
    folder: Path, tiny_config: SRCIDConfig, tmp_path: Path
) -> None:
    bank = load_bank(folder, tiny_config, views=3, cache=tmp_path / "cache")
    assert bank.classes == ["cat", "dog"]
    assert bank.features["cat0.png"].shape == (3, 1, 8)
    assert bank.features["dog.wav"].shape == (3, 2, 8)
    assert bank.features["text:dog"].shape == (1, 4, 8)
    photo = bank.features["cat0.png"]
    assert not torch.equal(photo[0], photo[1])


def test_features_are_read_from_the_cache_the_second_time(
    folder: Path, tiny_config: SRCIDConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = load_bank(folder, tiny_config, views=2, cache=tmp_path / "cache")

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} was built although all its features are cached")

    monkeypatch.setattr(bank_module, "build_backbone", refuse)
    second = load_bank(folder, tiny_config, views=2, cache=tmp_path / "cache")
    for name, features in first.features.items():
        assert torch.equal(second.features[name], features)
    fewer = load_bank(folder, tiny_config, views=1, cache=tmp_path / "cache")
    assert torch.equal(fewer.features["cat0.png"][0], first.features["cat0.png"][0])


def test_a_file_that_was_replaced_is_extracted_anew(
    folder: Path, tiny_config: SRCIDConfig, tmp_path: Path
) -> None:
    before = load_bank(folder, tiny_config, views=1, cache=tmp_path / "cache").features["cat0.png"]
    Image.new("RGB", (60, 40), "red").save(folder / "cat0.png")
    after = load_bank(folder, tiny_config, views=1, cache=tmp_path / "cache").features["cat0.png"]
    assert not torch.equal(before, after)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,modality,class\n", "split"),
        (HEADER + "x,smell,dog,train,\n", "line 2.*smell"),
        (HEADER + "gone.png,image,dog,train,\n", r"line 2.*gone\.png"),
    ],
)
def test_a_malformed_manifest_names_the_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "manifest.csv").write_text(text)
    with pytest.raises(DataError, match=said):
        read_manifest(tmp_path)


def test_a_folder_without_a_manifest_says_what_a_bank_is(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"manifest\.csv"):
        read_manifest(tmp_path)


def test_an_item_that_does_not_decode_is_named(
    folder: Path, tiny_config: SRCIDConfig, tmp_path: Path
) -> None:
    (folder / "cat1.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"cat1\.png"):
        load_bank(folder, tiny_config, views=1, cache=tmp_path / "cache")


def test_validation_is_the_last_of_each_class_and_never_of_test() -> None:
    entries = [
        Entry(f"{label}{number}", modality, label, split, "")
        for modality in (Modality.AUDIO, Modality.VIDEO)
        for label in ("cat", "dog")
        for split, count in (("train", 8), ("test", 3))
        for number in range(count)
    ]
    parted = Bank(entries, {}).with_validation(0.25)
    for modality in (Modality.AUDIO, Modality.VIDEO):
        for label in ("cat", "dog"):
            own = {
                split: [e.id for e in parted.select(modality, split) if e.label == label]
                for split in ("train", "validation", "test")
            }
            assert own["train"] == [f"{label}{n}" for n in range(6)]
            assert own["validation"] == [f"{label}6", f"{label}7"]
            assert len(own["test"]) == 3
