"""What every data set of the evaluation promises, held against each of the published archives."""

import pickle
from collections.abc import Callable
from itertools import chain, combinations
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from model.modality import Modality
from tests.training.data.archives import published
from training.data.archives.ave import ave
from training.data.archives.ave_avvp import ave_of_avvp, avvp_of_ave
from training.data.archives.avvp import avvp
from training.data.archives.captions import clotho, mscoco, msrvtt
from training.data.archives.feature_store import AUDIO_SHAPE, VIDEO_SHAPE
from training.data.archives.ucf_vgg import ucf, vggsound_ucf
from training.data.labelled import CaptionedClips, LabelledClips

AUDIO, VIDEO = Modality.AUDIO, Modality.VIDEO
SHAPES = {AUDIO: AUDIO_SHAPE, VIDEO: VIDEO_SHAPE}
SECONDS = 10
BACKGROUND = "background"

LABELLED: dict[str, Callable[[Path], LabelledClips]] = {
    "AVE train": lambda root: ave(root, "train"),
    "AVE validation": lambda root: ave(root, "validation"),
    "AVE test": lambda root: ave(root, "test"),
    "AVVP audio": lambda root: avvp(root, AUDIO, "all"),
    "AVVP audio train": lambda root: avvp(root, AUDIO, "train"),
    "AVVP audio test": lambda root: avvp(root, AUDIO, "test"),
    "AVVP video": lambda root: avvp(root, VIDEO, "all"),
    "AVVP video train": lambda root: avvp(root, VIDEO, "train"),
    "AVVP video test": lambda root: avvp(root, VIDEO, "test"),
    "AVE of AVVP": ave_of_avvp,
    "AVVP of AVE audio": lambda root: avvp_of_ave(root, AUDIO),
    "AVVP of AVE video": lambda root: avvp_of_ave(root, VIDEO),
    "UCF": lambda root: ucf(root, "all"),
    "UCF train": lambda root: ucf(root, "train"),
    "UCF test": lambda root: ucf(root, "test"),
    "VGGSound": lambda root: vggsound_ucf(root, "all"),
    "VGGSound train": lambda root: vggsound_ucf(root, "train"),
    "VGGSound test": lambda root: vggsound_ucf(root, "test"),
}
SPLITS = {  # parts of one data set, and what they are parts of
    "AVE": (("AVE train", "AVE validation", "AVE test"), None),
    "AVVP audio": (("AVVP audio train", "AVVP audio test"), "AVVP audio"),
    "AVVP video": (("AVVP video train", "AVVP video test"), "AVVP video"),
    "UCF": (("UCF train", "UCF test"), "UCF"),
    "VGGSound": (("VGGSound train", "VGGSound test"), "VGGSound"),
}
CAPTIONED: dict[str, Callable[[Path], CaptionedClips]] = {
    "MSCOCO": mscoco,
    "Clotho": clotho,
    "Clotho as published": lambda root: clotho(root, as_published=True),
    "MSR-VTT": msrvtt,
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All archives below one folder, as the authors have them."""
    root = tmp_path_factory.mktemp("archives")
    for write in (
        published.write_ave,
        published.write_avvp,
        published.write_ave_avvp,
        published.write_ucf_vgg,
        published.write_mscoco,
        published.write_clotho,
        published.write_msrvtt,
    ):
        write(root)
    return root


@pytest.fixture(params=LABELLED)
def labelled(request: pytest.FixtureRequest, root: Path) -> LabelledClips:
    return LABELLED[request.param](root)


@pytest.fixture(params=CAPTIONED)
def captioned(request: pytest.FixtureRequest, root: Path) -> CaptionedClips:
    return CAPTIONED[request.param](root)


def test_features_are_float32_of_the_modality_s_shape(labelled: LabelledClips) -> None:
    assert len(labelled) > 0
    assert labelled.modalities
    for index in range(len(labelled)):
        for m in labelled.modalities:
            features = labelled.features(index, m)
            assert features.dtype == torch.float32
            assert features.shape == (SECONDS, *SHAPES[m])
            assert features.isfinite().all()


def test_labels_say_for_each_second_which_classes_there_are(labelled: LabelledClips) -> None:
    assert len(set(labelled.classes)) == len(labelled.classes) > 1
    assert BACKGROUND not in labelled.classes
    for index in range(len(labelled)):
        for m in labelled.modalities:
            labels = labelled.labels(index, m)
            assert labels.dtype == torch.bool
            assert labels.shape == (SECONDS, len(labelled.classes))
            assert labels.any()


def test_a_clip_is_the_same_each_time_it_is_asked_for(labelled: LabelledClips) -> None:
    m = labelled.modalities[0]
    for index in reversed(range(len(labelled))):
        assert torch.equal(labelled.features(index, m), labelled.features(index, m))
        assert torch.equal(labelled.labels(index, m), labelled.labels(index, m))


def test_what_is_done_to_features_stays_with_who_did_it(labelled: LabelledClips) -> None:
    m = labelled.modalities[0]
    before = labelled.features(0, m).clone()
    labelled.features(0, m).zero_()
    labelled.labels(0, m).zero_()
    assert torch.equal(labelled.features(0, m), before)
    assert labelled.labels(0, m).any()


def numbers(clips: LabelledClips) -> list[int]:
    """Which clips these are, by what the writer put into them."""
    m = clips.modalities[0]
    return [round(clips.features(index, m).min().item()) for index in range(len(clips))]


@pytest.mark.parametrize("data", SPLITS)
def test_splits_share_no_clip(data: str, root: Path) -> None:
    parts, whole = SPLITS[data]
    found = [numbers(LABELLED[part](root)) for part in parts]
    for one, other in combinations(found, 2):
        assert not set(one) & set(other)
    if whole is not None:
        assert sorted(chain(*found)) == sorted(numbers(LABELLED[whole](root)))


class Everything(Dataset[torch.Tensor]):
    """The features of all clips, as a loader takes them."""

    def __init__(self, clips: LabelledClips) -> None:
        self.clips = clips

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> torch.Tensor:
        return self.clips.features(index, self.clips.modalities[0])


def test_other_processes_read_the_same(labelled: LabelledClips) -> None:
    own = Everything(labelled)
    here = torch.stack([own[index] for index in range(len(own))])
    loaded = torch.cat(list(DataLoader(own, batch_size=2, num_workers=2)))
    assert torch.equal(loaded, here)
    sent = pickle.loads(pickle.dumps(own))
    assert torch.equal(torch.stack([sent[index] for index in range(len(sent))]), here)


def test_captioned_features_are_float32_of_the_modality_s_shape(
    captioned: CaptionedClips,
) -> None:
    assert len(captioned) > 0
    for index in range(len(captioned)):
        features = captioned.features(index)
        assert features.dtype == torch.float32
        assert features.shape[1:] == SHAPES[captioned.modality]
        assert len(features) > 0


def test_each_clip_has_captions(captioned: CaptionedClips) -> None:
    for index in range(len(captioned)):
        captions = captioned.captions(index)
        assert captions
        assert all(caption.strip() for caption in captions)
        assert captioned.captions(index) == captions
