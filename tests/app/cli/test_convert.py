"""``srcid convert``."""

from pathlib import Path

from model.srcid import SRCID
from tests.app.cli.running import Run
from tests.training.published_file import published_parts, random_network, small_network, write


def test_a_published_file_becomes_a_checkpoint_folder(run: Run, tmp_path: Path) -> None:
    parts = published_parts(random_network(small_network(num_layers=2)))
    del parts["Decoder_parameters"]
    theirs = write(tmp_path / "theirs.pt", parts)
    ran = run("convert", theirs, tmp_path / "ours")
    assert ran.code == 0
    assert "theirs.pt, epoch 3, sha256 " in ran.out
    assert "2 layer(s) of 17 codes" in ran.out
    assert "newly initialised" in ran.out
    assert SRCID.from_pretrained(tmp_path / "ours").config.num_layers == 2


def test_a_folder_that_exists_is_left_alone(run: Run, tmp_path: Path) -> None:
    (tmp_path / "ours").mkdir()
    ran = run("convert", tmp_path / "theirs.pt", tmp_path / "ours")
    assert ran.code == 2
    assert "already exists" in ran.err
    assert list((tmp_path / "ours").iterdir()) == []
