from pathlib import Path

import numpy as np
import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet

from model.backbones.efficientnet_lite import EfficientNetLite, EfficientNetLiteClasses
from model.errors import ShapeError
from model.media import Clip, read_clip

# Classes of ImageNet.
DALMATIAN, ACCORDION, ELECTRIC_GUITAR, GRAND_PIANO, SAXOPHONE = 251, 401, 546, 579, 776
PHOTOS = [
    ("dog_30", DALMATIAN),
    ("accordion_30", ACCORDION),
    ("accordion_31", ACCORDION),
    ("electric_guitar_32", ELECTRIC_GUITAR),
    ("piano_30", GRAND_PIANO),
    ("saxophone_30", SAXOPHONE),
]


@pytest.fixture(scope="module")
def backbone() -> EfficientNetLite:
    return EfficientNetLite()


@pytest.fixture(scope="module")
def pooled() -> EfficientNetLite:
    return EfficientNetLite(is_pooled=True)


def moving(steps: int, frames_per_step: int) -> Clip:
    rng = np.random.default_rng(steps)
    frames = rng.integers(0, 256, (steps, frames_per_step, 256, 280, 3), np.uint8)
    return Clip(frames, None, float(steps))


@pytest.mark.shared
def test_photos_are_of_the_classes_that_they_show(pooled: EfficientNetLite, shared: Path) -> None:
    """By the package's own classifier: with the wrong scaling of pixels, some are not."""
    folder = shared / "data/demo12/img"
    photos = [pooled.preprocess(read_clip(folder / f"{name}.jpg")) for name, _ in PHOTOS]
    scores = pooled.network._fc(torch.cat(pooled.extract(photos)))
    assert scores.argmax(1).tolist() == [label for _, label in PHOTOS]


def test_pooled_features_are_the_mean_of_the_map(
    backbone: EfficientNetLite, pooled: EfficientNetLite
) -> None:
    item = backbone.preprocess(moving(2, 1))
    torch.testing.assert_close(backbone(item).mean((1, 2)), pooled(item))


def test_features_of_a_step_are_the_mean_over_its_frames(pooled: EfficientNetLite) -> None:
    item = pooled.preprocess(moving(2, 3))
    each = pooled(item.flatten(0, 1).unsqueeze(1)).view(2, 3, -1)
    torch.testing.assert_close(pooled(item), each.mean(1))


def test_maps_are_channels_last(backbone: EfficientNetLite) -> None:
    item = backbone.preprocess(moving(1, 1))
    (features,) = backbone.extract([item])
    maps = backbone.network.extract_features((item[:, 0].float() - 127) / 128)
    assert features.shape == (1, 7, 7, 1280)
    torch.testing.assert_close(features[0, 2, 5], maps[0, :, 2, 5])


def test_many_frames_pass_in_parts(
    pooled: EfficientNetLite, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = pooled.preprocess(moving(5, 1))
    monkeypatch.setattr("model.backbones.efficientnet_lite.MAX_FRAMES_CPU", 64)
    whole = pooled(item)
    monkeypatch.setattr("model.backbones.efficientnet_lite.MAX_FRAMES_CPU", 2)
    torch.testing.assert_close(pooled(item), whole)


def test_the_network_looks_at_the_centre(pooled: EfficientNetLite) -> None:
    clip = moving(1, 1)
    assert clip.frames is not None
    item = pooled.preprocess(clip)
    assert item.shape == (1, 1, 3, 224, 224)
    centre = clip.frames[0, 0, 16:240, 28:252]
    np.testing.assert_array_equal(item[0, 0].permute(1, 2, 0), centre)


def test_frames_of_another_scale_are_refused(pooled: EfficientNetLite) -> None:
    with pytest.raises(ShapeError, match="short_side=256"):
        pooled.preprocess(Clip(np.zeros((1, 1, 128, 128, 3), np.uint8), None, None))


def test_classes_are_those_of_the_packages_own_network(pooled: EfficientNetLite) -> None:
    classes = EfficientNetLiteClasses()
    item = classes.preprocess(moving(2, 1))
    features = classes(item)
    torch.testing.assert_close(features[:, :1280], pooled(item))
    whole = EfficientNet.forward  # of the package, with its own pooling and classifier
    logits = whole(pooled.network, (item[:, 0].float() - 127) / 128)
    expected = (logits / 1.5).exp()
    beliefs = features[:, 1280:]
    torch.testing.assert_close(beliefs, expected / expected.norm(dim=1, keepdim=True))


def test_every_row_of_the_classifier_has_a_name() -> None:
    classes = EfficientNetLiteClasses()
    assert len(classes.class_names) == classes.head.out_features == 1000
    assert classes.class_names[ACCORDION] == "accordion"
