"""Media of one's own, as a folder and as a CSV."""

import subprocess
import sys
from pathlib import Path

import pytest

from model.errors import DataError, MediaError
from model.media import Clip, DecodeConfig
from tests.media_maker import make_sound, tone
from training.data.raw import RawClip, decode, read_source


def test_a_folder_is_searched_for_media_in_a_fixed_order(tmp_path: Path) -> None:
    for name in ("b.mp4", "a/z.WAV", "a/b/c.jpg", ".hidden.mp4", ".cache/x.mp4", "notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    clips = read_source(tmp_path)
    assert [clip.name for clip in clips] == ["b.mp4", "a/z.WAV", "a/b/c.jpg"]
    assert clips[1] == RawClip("a/z.WAV", tmp_path / "a/z.WAV", (), "", "train")


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8-sig")
    return path


def test_a_csv_says_captions_labels_and_splits(tmp_path: Path) -> None:
    path = write(
        tmp_path / "clips.csv",
        "split,file,caption,source,label",
        'train,a.mp4,"A dog, barking",web,dog',
        ",sub/b.mp4,,web,",
        "Val,/media/c.mp4,  a bird ,web,bird",
    )
    assert read_source(path) == [
        RawClip("a.mp4", tmp_path / "a.mp4", ("A dog, barking",), "dog", "train"),
        RawClip("sub/b.mp4", tmp_path / "sub/b.mp4", (), "", "train"),
        RawClip("/media/c.mp4", Path("/media/c.mp4"), ("a bird",), "bird", "validation"),
    ]


def test_rows_of_one_file_are_captions_of_it(tmp_path: Path) -> None:
    path = write(tmp_path / "clips.csv", "file,caption", "a.mp4,one", "b.mp4,two", "a.mp4,three")
    assert [clip.captions for clip in read_source(path)] == [("one", "three"), ("two",)]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["path,caption", "a.mp4,one"], "no column 'file'; it has path, caption"),
        (["file,caption", ",one"], "line 2: the file is missing"),
        (
            ["file,split", "a.mp4,train", "b.mp4,dev"],
            "line 3: unknown split 'dev'; expected one of train, val",
        ),
        (["file,label", "a.mp4,cat", "a.mp4,dog"], "line 3: 'a.mp4' has another label"),
        (["file"], "has no clips"),
        (["file,caption", 'a.mp4,"never closed'], "nor a readable CSV"),
    ],
)
def test_a_csv_that_cannot_be_meant_is_refused(
    tmp_path: Path, lines: list[str], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_source(write(tmp_path / "clips.csv", *lines))


def test_a_source_without_clips_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has no clips: name a folder"):
        read_source(tmp_path)
    with pytest.raises(DataError, match="neither a folder of media nor a readable CSV"):
        read_source(tmp_path / "absent")
    (tmp_path / "clip.mp4").write_bytes(b"\xff\xfe\x00\x01" * 10)
    with pytest.raises(DataError, match="neither a folder of media nor a readable CSV"):
        read_source(tmp_path / "clip.mp4")


def test_what_does_not_decode_is_returned_as_its_error(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(make_sound(tone(1)))
    (tmp_path / "b.wav").write_bytes(b"nonsense")
    config = DecodeConfig()
    whole, damaged, absent = (
        decode(RawClip(name, tmp_path / name), config) for name in ("a.wav", "b.wav", "c.wav")
    )
    assert isinstance(whole, Clip)
    assert isinstance(damaged, MediaError)
    assert isinstance(absent, MediaError)


def test_decoding_processes_do_not_import_torch() -> None:
    code = (
        "import sys, training.data.raw, training.data.processes; sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
