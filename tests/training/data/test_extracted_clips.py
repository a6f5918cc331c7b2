"""Clips of one's own media: cut into pieces, each seen once a round, with what they have."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from model.config import SRCIDConfig
from model.errors import DataError
from model.modality import Modality
from training.config import DataConfig
from training.data.extracted import ClipRow, read_piece
from training.data.extracted_clips import ExtractedClips, validation_bank, validation_split
from training.data.sample import collate

ROWS = [
    ClipRow("long.safetensors", "long.mp4", "dog", "train", audio=7, video=12, captions=2),
    ClipRow("sound.safetensors", "sound.wav", "", "train", audio=3, video=0, captions=0),
    ClipRow("picture.safetensors", "picture.png", "cat", "train", audio=0, video=1, captions=1),
]
DATA = DataConfig(steps=5, clips_per_epoch=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Features that say their clip in channel 0 and their step in channel 1."""
    (tmp_path / "clips").mkdir()
    for number, row in enumerate(ROWS):
        tensors = {}
        for m, steps in (("audio", row.audio), ("video", row.video)):
            if steps:
                own = torch.zeros(steps, 8)
                own[:, 0], own[:, 1] = number, torch.arange(steps)
                tensors[m] = own
        for caption in range(row.captions):
            tensors[f"text/{caption}"] = torch.full((3, 8), float(caption))
        save_file(tensors, tmp_path / "clips" / row.shard)
    return tmp_path


def seen(clips: ExtractedClips, epoch: int) -> list[tuple[float, float]]:
    """The clip and the first step of each piece of an epoch."""
    clips.epoch = epoch
    found = []
    for index in range(len(clips)):
        features = clips[index].features
        own = features.get(Modality.VIDEO, features.get(Modality.AUDIO))
        assert own is not None
        found.append((own[0, 0].item(), own[0, 1].item()))
    return found


def test_an_epoch_has_every_piece_once(folder: Path) -> None:
    clips = ExtractedClips(folder, ROWS, DATA, seed=1)
    pieces = [(0, 0), (0, 5), (0, 10), (1, 0), (2, 0)]
    orders = [seen(clips, epoch) for epoch in range(4)]
    for order in orders:
        assert sorted(order) == pieces
    assert len({tuple(order) for order in orders}) > 1


def test_few_pieces_are_repeated_up_to_the_clips_of_an_epoch(folder: Path) -> None:
    clips = ExtractedClips(folder, ROWS, DATA.model_copy(update={"clips_per_epoch": 7}), seed=1)
    assert len(clips) == 7
    both = seen(clips, 0) + seen(clips, 1)
    for start in (0, 5):  # rounds go on where the last epoch stopped
        assert len(set(both[start : start + 5])) == 5


def test_the_order_is_the_same_for_the_same_seed(folder: Path) -> None:
    one, same, other = (ExtractedClips(folder, ROWS * 5, DATA, seed=seed) for seed in (1, 1, 2))
    assert seen(one, 3) == seen(same, 3)
    assert seen(one, 3) != seen(other, 3)


def test_a_piece_has_what_its_clip_has_there(folder: Path) -> None:
    row = ROWS[0]
    middle = read_piece(folder, row, start=5, stop=10, caption=None)
    assert middle[Modality.AUDIO][:, 1].tolist() == [5, 6]
    assert middle[Modality.VIDEO][:, 1].tolist() == [5, 6, 7, 8, 9]
    last = read_piece(folder, row, start=10, stop=15, caption=1)
    assert last.keys() == {Modality.VIDEO, Modality.TEXT}
    assert last[Modality.VIDEO][:, 1].tolist() == [10, 11]
    assert last[Modality.TEXT].unique().tolist() == [1]


def test_each_caption_of_a_clip_has_its_turn(folder: Path) -> None:
    clips = ExtractedClips(folder, ROWS[:1], DATA, seed=0)
    texts = set()
    for epoch in range(10):
        clips.epoch = epoch
        texts |= {clips[index].features[Modality.TEXT][0, 0].item() for index in range(3)}
    assert texts == {0, 1}


def test_labels_are_numbers_and_none_is_minus_one(folder: Path) -> None:
    clips = ExtractedClips(folder, ROWS, DATA, seed=0)
    found = {clips[index].label for index in range(len(clips))}
    assert found == {-1, 0, 1}


def test_what_a_clip_lacks_is_masked_in_its_batch(folder: Path, tiny_config: SRCIDConfig) -> None:
    clips = ExtractedClips(folder, ROWS[1:], DATA, seed=0)
    samples = sorted((clips[index] for index in range(2)), key=lambda sample: sample.label)
    batch = collate(samples, tiny_config, DATA)
    assert {m: mask.sum(1).tolist() for m, mask in batch.masks.items()} == {
        Modality.AUDIO: [3, 0],
        Modality.VIDEO: [0, 1],
        Modality.TEXT: [0, 3],
    }


def test_a_clip_whose_file_is_damaged_is_named(folder: Path) -> None:
    path = folder / "clips" / ROWS[1].shard
    clips = ExtractedClips(folder, [ROWS[1]], DATA, seed=0)
    for damage in (lambda: path.write_bytes(b"x"), path.unlink):
        damage()
        with pytest.raises(DataError, match=r"sound\.safetensors.*delete it and run"):
            clips[0]


def test_clips_that_are_said_to_be_for_validation_are_held_out() -> None:
    rows = [ROWS[0], ROWS[1]._replace(split="validation"), ROWS[2]._replace(split="test")]
    assert validation_split(rows, 0.5) == ([rows[0]], [rows[1]])
    assert validation_split(rows, 0) == ([rows[0]], [])


def test_else_a_part_of_the_others_is() -> None:
    rows = [ROWS[0]._replace(file=str(number)) for number in range(10)]
    assert validation_split(rows, 0.2) == (rows[:8], rows[8:])


def test_validation_is_on_clips_that_have_everything(folder: Path) -> None:
    unlabelled = ROWS[0]._replace(label="")
    bank = validation_bank(folder, [unlabelled, *ROWS[1:]], steps=5)
    for m in Modality:
        (entry,) = bank.select(m, "validation")
        assert entry.label == "long.mp4"
        assert bank.features[entry.id].shape == (1, 3 if m is Modality.TEXT else 5, 8)
