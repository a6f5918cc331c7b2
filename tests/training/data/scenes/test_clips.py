"""Scenes as the evaluation and the training read them."""

from pathlib import Path

import pytest
import torch

from model.errors import ConfigError
from model.modality import Modality
from tests.training.data.scenes.made_up import CLASSES, COUNTS
from training.config import DataConfig
from training.data.labelled import CaptionedClips, LabelledClips
from training.data.scenes.clips import SceneClips, Scenes, open_scenes, scene_bank
from training.data.scenes.script import SECONDS, SETS


@pytest.fixture(scope="module")
def opened(scenes_folder: Path) -> Scenes:
    return open_scenes(scenes_folder)


@pytest.mark.parametrize("name", SETS)
def test_each_set_has_labels_and_features_of_its_modalities(opened: Scenes, name: str) -> None:
    clips: LabelledClips = opened.labelled(name, "test")
    assert len(clips) == COUNTS[name].test
    assert clips.classes == CLASSES
    assert clips.modalities == SETS[name]
    for index in range(len(clips)):
        for m in clips.modalities:
            features = clips.features(index, m)
            assert features.shape == (SECONDS, 8)
            assert features.dtype is torch.float32
            assert clips.labels(index, m).shape == (SECONDS, len(CLASSES))


def test_labels_are_the_seconds_of_the_script(opened: Scenes) -> None:
    clips = opened.labelled("many", "train")
    for index, scene in enumerate(clips.scenes):
        for m in Modality.AUDIO, Modality.VIDEO:
            labels = clips.labels(index, m)
            for second in range(SECONDS):
                happening = {
                    event.label
                    for event in scene.events
                    if m in event.spans and event.spans[m][0] <= second < event.spans[m][1]
                }
                found = {CLASSES[n] for n in labels[second].nonzero().flatten().tolist()}
                assert found == happening


@pytest.mark.parametrize("modality", [Modality.VIDEO, Modality.AUDIO])
def test_a_caption_tells_what_its_modality_shows(opened: Scenes, modality: Modality) -> None:
    clips: CaptionedClips = opened.captioned(modality)
    scenes = [
        s for s in opened.select("many", "test") if any(modality in e.spans for e in s.events)
    ]
    assert len(clips) == len(scenes)
    for index, scene in enumerate(scenes):
        (caption,) = clips.captions(index)
        for event in scene.events:
            assert (event.sentences[0] in caption) == (modality in event.spans)
        own = opened.features("many", "test")[modality][opened.select("many", "test").index(scene)]
        assert torch.equal(clips.features(index), own)
        assert opened.words(caption).shape[1:] == (8,)


def test_a_set_that_is_not_there_is_said(opened: Scenes) -> None:
    with pytest.raises(ConfigError, match=r"no scenes cuts/validation; it has .*many/test"):
        opened.labelled("cuts", "validation")


def test_training_draws_anew_each_epoch_and_the_same_for_a_seed(opened: Scenes) -> None:
    data = DataConfig(clips_per_epoch=12)
    one, other = (SceneClips(opened, data, seed=5) for _ in range(2))
    for a, b in zip(
        map(one.__getitem__, range(12)), map(other.__getitem__, range(12)), strict=True
    ):
        assert a.label == b.label
        assert all(torch.equal(a.features[m], b.features[m]) for m in Modality)
    other.epoch = 1
    assert any(
        not torch.equal(one[n].features[Modality.VIDEO], other[n].features[Modality.VIDEO])
        for n in range(12)
    )


def test_sound_and_picture_of_a_training_clip_are_of_the_same_seconds(opened: Scenes) -> None:
    clips = SceneClips(opened, DataConfig(steps=4, clips_per_epoch=20), seed=0)
    whole = {
        m: torch.cat([opened.features(name, "train")[m] for name in ("single", "many")])
        for m in (Modality.AUDIO, Modality.VIDEO)
    }
    for n in range(20):
        piece = clips[n].features
        places = {
            m: {
                (scene, start)
                for scene in range(len(own))
                for start in range(SECONDS - 3)
                if torch.equal(own[scene, start : start + 4], piece[m])
            }
            for m, own in whole.items()
        }
        assert places[Modality.AUDIO] & places[Modality.VIDEO]


def test_validation_scenes_are_a_bank_of_their_own(opened: Scenes) -> None:
    bank = scene_bank(opened, steps=6)
    assert {entry.split for entry in bank.entries} == {"validation"}
    for m in Modality:
        entries = bank.select(m, "validation")
        assert [e.label for e in entries] == [
            scene.events[0].label for scene in opened.select("single", "validation")
        ]
        assert all(e.label in e.text for e in entries)
    assert bank.features[bank.select(Modality.VIDEO, "validation")[0].id].shape == (1, 6, 8)
