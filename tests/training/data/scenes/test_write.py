"""The folder of scenes: features as inference has them, resumed, and refused if unfit."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from model.backbones import build_backbone
from model.backbones.tiny import TinyAudio
from model.config import SRCIDConfig
from model.errors import ConfigError, DataError
from model.modality import Modality
from tests.training.data.scenes.made_up import COUNTS, SMALL
from training.data.scenes.compose import compose
from training.data.scenes.folder import (
    ABOUT,
    MANIFEST,
    check_backbones,
    feature_file,
    is_scenes,
    read_about,
    read_features,
    read_manifest,
)
from training.data.scenes.material import Material
from training.data.scenes.script import SECONDS, SETS, SPLITS, Scene
from training.data.scenes.write import write_scenes

PARTS = [(name, split) for name in SETS for split in SPLITS if getattr(COUNTS[name], split)]


@pytest.fixture
def folder(scenes_folder: Path, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(scenes_folder, tmp_path / "scenes"))


def test_the_folder_tells_its_scenes(scenes_folder: Path, scenes: list[Scene]) -> None:
    assert is_scenes(scenes_folder)
    assert read_manifest(scenes_folder) == scenes
    assert read_about(scenes_folder).config == SMALL


@pytest.mark.parametrize(("name", "split"), PARTS)
def test_features_are_what_the_backbones_make_of_each_clip(
    scenes_folder: Path, scenes: list[Scene], material: Material, name: str, split: str
) -> None:
    features = read_features(scenes_folder, name, split)
    own = [scene for scene in scenes if (scene.set, scene.split) == (name, split)]
    assert features.keys() == set(SETS[name])
    for m, found in features.items():
        backbone = build_backbone(f"tiny-{m}")
        assert len(found) == len(own)
        for scene, row in zip(own, found, strict=True):
            wanted = backbone.extract([backbone.preprocess(compose(scene, material))])[0]
            torch.testing.assert_close(row, wanted, rtol=1e-3, atol=1e-3)


def test_what_hears_seconds_together_gets_the_whole_scene(
    bank_folder: Path, tiny_config: SRCIDConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seconds that sound alike have other features where other ones are around them."""
    monkeypatch.setattr(TinyAudio, "window_seconds", 10)
    heard: list[int] = []
    extract = TinyAudio.extract

    def listening(self: TinyAudio, items: list[Tensor]) -> list[Tensor]:
        heard.extend(map(len, items))
        return extract(self, items)

    monkeypatch.setattr(TinyAudio, "extract", listening)
    write_scenes(bank_folder, tmp_path / "scenes", tiny_config, SMALL)
    assert set(heard) == {SECONDS}


@pytest.mark.parametrize("split", SPLITS)
def test_each_caption_has_its_words(scenes_folder: Path, scenes: list[Scene], split: str) -> None:
    said = {
        caption
        for scene in scenes
        if scene.split == split
        for kind in (scene.captions.whole, scene.captions.seen, scene.captions.heard)
        for caption in kind
    }
    found = read_features(scenes_folder, "text", split)
    backbone = build_backbone("tiny-text")
    assert found.keys() == said
    for caption, words in found.items():
        wanted = backbone.extract([backbone.preprocess(caption)])[0]
        torch.testing.assert_close(words, wanted, rtol=1e-3, atol=1e-3)


def test_what_is_missing_is_made_again_and_nothing_else(
    folder: Path, bank_folder: Path, tiny_config: SRCIDConfig
) -> None:
    missing = [feature_file(folder, "many", "test"), feature_file(folder, "text", "train")]
    before = [load_file(path) for path in missing]
    for path in missing:
        path.unlink()
    kept = {path: path.stat().st_mtime_ns for path in (folder / "features").iterdir()}
    write_scenes(bank_folder, folder, tiny_config, SMALL)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    for path, old in zip(missing, before, strict=True):
        new = load_file(path)
        assert new.keys() == old.keys()
        assert all(torch.equal(new[key], old[key]) for key in new)


def test_other_scenes_are_not_written_into_the_folder(
    folder: Path, bank_folder: Path, tiny_config: SRCIDConfig
) -> None:
    with pytest.raises(ConfigError, match="scenes of another bank, seed, count or recipe"):
        write_scenes(bank_folder, folder, tiny_config, SMALL.model_copy(update={"seed": 9}))
    (folder.parent / "bank").mkdir()
    other = Path(shutil.copytree(bank_folder, folder.parent / "bank", dirs_exist_ok=True))
    first, second = sorted(other.glob("*.png"))[:2]
    shutil.copyfile(first, second)
    with pytest.raises(ConfigError, match="another bank"):
        write_scenes(other, folder, tiny_config, SMALL)


def test_features_of_other_backbones_are_refused(folder: Path, tiny_config: SRCIDConfig) -> None:
    check_backbones(folder, tiny_config)
    video = tiny_config.modalities[Modality.VIDEO].model_copy(update={"backbone": "vgg19"})
    modalities = {**tiny_config.modalities, Modality.VIDEO: video}
    with pytest.raises(DataError, match="has no video features of vgg19"):
        check_backbones(folder, tiny_config.model_copy(update={"modalities": modalities}))


def test_damage_is_told_with_what_to_do(folder: Path) -> None:
    path = feature_file(folder, "single", "test")
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataError, match="delete it if it exists, and run `srcid scenes` again"):
        read_features(folder, "single", "test")
    with (folder / MANIFEST).open("a") as file:
        file.write("{}\n")
    with pytest.raises(DataError, match=r"scenes\.jsonl is missing or damaged"):
        read_manifest(folder)
    text = (folder / ABOUT).read_text()
    (folder / ABOUT).write_text(text.replace('"version": 1', '"version": 99'))
    with pytest.raises(DataError, match="version 99"):
        read_about(folder)
    (folder / ABOUT).unlink()
    with pytest.raises(DataError, match="name a folder that `srcid scenes` wrote"):
        read_about(folder)
