from pathlib import Path

import pytest

from model.errors import DataError
from model.modality import Modality
from training.data.bank import read_manifest


def write(folder: Path, manifest: str, *files: str) -> None:
    folder.mkdir(parents=True)
    (folder / "manifest.csv").write_text(manifest)
    for name in files:
        (folder / name).touch()


def test_the_banks_of_a_folder_are_one(tmp_path: Path) -> None:
    """A class has one name in all of them; what has no class is left out."""
    paired = (
        "id,modality,class,split,text\na.jpg,image,electric_guitar,test,\nt,text,dog,train,woof\n"
    )
    write(tmp_path / "paired", paired, "a.jpg")
    more = "id,modality,label,title\nb.ogg,audio,Electric_Guitar,solo\nc.jpg,image,,\n"
    write(tmp_path / "more", more, "b.ogg", "c.jpg")
    assert read_manifest(tmp_path) == [
        ("more/b.ogg", Modality.AUDIO, "electric guitar", "train", "solo"),
        ("paired/a.jpg", Modality.VIDEO, "electric guitar", "test", ""),
        ("paired/t", Modality.TEXT, "dog", "train", "woof"),
    ]


def test_a_folder_with_no_bank_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    with pytest.raises(DataError, match="or a folder of such folders"):
        read_manifest(tmp_path)
