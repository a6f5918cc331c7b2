"""Checkpoint folders: what is read, what is refused, what a fingerprint tells apart."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from model.checkpoint import fingerprint, locate, misfit, read_checkpoint, write_checkpoint
from model.errors import CheckpointError


@pytest.fixture
def folder(tiny_checkpoint: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_checkpoint, tmp_path / "checkpoint"))


def test_what_was_written_is_read(folder: Path, tmp_path: Path) -> None:
    config, tensors = read_checkpoint(folder)
    write_checkpoint(tmp_path / "again", config, tensors)
    again, same = read_checkpoint(tmp_path / "again")
    assert again == config
    assert same.keys() == tensors.keys()
    assert all(torch.equal(same[name], tensors[name]) for name in tensors)


def test_a_folder_is_replaced_whole_and_leaves_nothing_beside_it(
    folder: Path, tmp_path: Path
) -> None:
    config, tensors = read_checkpoint(folder)
    (folder / "leftover").write_text("of the old one")
    write_checkpoint(folder, config, tensors)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_half_precision_is_read_as_single(folder: Path, tmp_path: Path) -> None:
    config, tensors = read_checkpoint(folder)
    halves = {n: t.half() if t.is_floating_point() else t for n, t in tensors.items()}
    write_checkpoint(tmp_path / "half", config, halves)
    _, found = read_checkpoint(tmp_path / "half")
    assert all(t.dtype in (torch.float32, torch.int64) for t in found.values())


def test_a_fingerprint_depends_on_config_and_weights(folder: Path) -> None:
    before = fingerprint(folder)
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text + " ")
    assert fingerprint(folder) != before
    (folder / "config.json").write_text(text)
    assert fingerprint(folder) == before
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    assert fingerprint(folder) != before


def test_an_unknown_name_is_answered_with_the_known_ones() -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint 'nowhere'.*srcid train"):
        locate("nowhere")


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / "model.safetensors").write_bytes(b""),
        lambda folder: (folder / "model.safetensors").write_bytes(b"\xff" * 100),
        lambda folder: (folder / "config.json").write_text("{"),
        lambda folder: (folder / "config.json").write_text("{}"),
        lambda folder: (folder / "config.json").write_text('{"modalities": {"smell": {}}}'),
        lambda folder: (folder / "config.json").unlink(),
    ],
)
def test_a_damaged_folder_is_a_clear_error(folder: Path, damage) -> None:
    damage(folder)
    with pytest.raises(CheckpointError):
        read_checkpoint(folder)


def test_weights_that_are_not_numbers_are_refused(folder: Path) -> None:
    _, tensors = read_checkpoint(folder)
    name = next(n for n, t in tensors.items() if t.is_floating_point())
    tensors[name].view(-1)[0] = float("nan")
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=name):
        read_checkpoint(folder)


def test_what_does_not_fit_is_counted_and_the_first_few_are_named() -> None:
    wanted = {name: torch.zeros(2) for name in "abcdefg"}
    given = {"e": torch.zeros(1), "f": torch.zeros(2), "g": torch.zeros(2), "z": torch.zeros(2)}
    told = "4 missing: a, b, c, ...; 1 unknown: z; 1 of another shape: e"
    assert misfit(wanted, given) == told
    assert misfit(wanted, wanted) == ""
