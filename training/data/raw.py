"""Media of one's own: a folder, or a CSV that also has captions, labels and splits.

Never imports torch: ``decode`` runs in worker processes, which should start fast.
"""

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from model.errors import DataError, MediaError
from model.media import Clip, DecodeConfig, read_clip

SPLITS = {  # as written -> as meant
    "": "train",
    "train": "train",
    "val": "validation",
    "validation": "validation",
    "test": "test",
}
# What a folder is searched for; a CSV may name files of any ending.
VIDEOS = ("mp4", "m4v", "mov", "mkv", "webm", "avi", "mpg", "mpeg", "ts", "flv", "wmv", "3gp")
SOUNDS = ("wav", "mp3", "flac", "ogg", "oga", "opus", "m4a", "aac", "aiff", "aif", "amr")
PICTURES = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "avif")
ENDINGS = {f".{ending}" for ending in (*VIDEOS, *SOUNDS, *PICTURES)}


class RawClip(NamedTuple):
    """One media file and what is known of it."""

    name: str  # path in the folder, or as the CSV has it
    path: Path
    captions: tuple[str, ...] = ()
    label: str = ""  # "": unknown
    split: str = "train"  # a value of SPLITS


class Columns(NamedTuple):
    """What the columns of a CSV are called; "": it has none of that."""

    file: str = "file"  # a path, relative to the CSV's folder
    caption: str = "caption"
    label: str = "label"
    split: str = "split"
    separator: str = ""  # between the captions of one cell; "": a cell is one caption


def read_source(source: Path, columns: Columns = Columns()) -> list[RawClip]:  # noqa: B008  frozen
    """Return the clips of a folder, or those that a CSV names.

    Args:
        source: A folder, searched for media in it and below; or a CSV. Rows of the same file are
            several captions of it.
        columns: Of the CSV. That of the files must be there.

    Raises:
        DataError: There is no clip, or the CSV is malformed. (A file that is not there is found
            out when it is decoded.)
    """
    if source.is_dir():
        clips = [RawClip(path.relative_to(source).as_posix(), path) for path in _media(source)]
        wanted = "a folder with videos, sounds or pictures"
    else:
        clips = _read_csv(source, columns)
        wanted = "a CSV with a row for each clip"
    if not clips:
        raise DataError(f"{source} has no clips: name {wanted}")
    return clips


def decode(clip: RawClip, config: DecodeConfig) -> Clip | MediaError:
    """Return the clip's media, or why there is none."""
    try:
        return read_clip(clip.path, config)
    except MediaError as error:
        return error


def _media(folder: Path) -> Iterator[Path]:
    """Yield the media below ``folder`` in a fixed order, but hidden files."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in ENDINGS:
                yield Path(parent, name)


def _read_csv(path: Path, columns: Columns) -> list[RawClip]:
    clips: dict[str, RawClip] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, strict=True)
            named = rows.fieldnames or ()
            # A name that is not the usual one was given, so a column must have it.
            usual = Columns()
            wanted = [columns.file] + [
                own for own, default in zip(columns[1:4], usual[1:4], strict=True) if own != default
            ]
            missing = [column for column in wanted if column and column not in named]
            if missing:
                raise DataError(
                    f"{path} has no column {missing[0]!r}; it has {', '.join(named)}. Name the "
                    "columns of file, caption, label and split: `srcid extract --column "
                    "file=NAME`"
                )
            for row in rows:
                clip = _clip(path, rows.line_num, row, columns)
                clips[clip.name] = _merged(path, rows.line_num, clips.get(clip.name), clip)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(
            f"{path} is neither a folder of media nor a readable CSV in UTF-8: {error}"
        ) from error
    return list(clips.values())


def _clip(path: Path, line: int, row: dict[str, str | None], columns: Columns) -> RawClip:
    name, caption, label, split = ((row.get(column) or "").strip() for column in columns[:4])
    if not name:
        raise DataError(f"{path}, line {line}: the file is missing")
    if split.lower() not in SPLITS:
        raise DataError(
            f"{path}, line {line}: unknown split {split!r}; expected one of "
            f"{', '.join(filter(None, SPLITS))}. To train on all rows, name no column: `srcid "
            "extract --column split=`"
        )
    captions = caption.split(columns.separator) if columns.separator else [caption]
    kept = tuple(own.strip() for own in captions if own.strip())
    return RawClip(name, path.parent / name, kept, label, SPLITS[split.lower()])


def _merged(path: Path, line: int, earlier: RawClip | None, clip: RawClip) -> RawClip:
    """Return the clip with the captions that earlier rows had of it too."""
    if earlier is None:
        return clip
    if (earlier.label, earlier.split) != (clip.label, clip.split):
        raise DataError(
            f"{path}, line {line}: {clip.name!r} has another label or split in an "
            f"earlier row ({earlier.label!r}, {earlier.split!r}): use one in all rows of a file"
        )
    return clip._replace(captions=earlier.captions + clip.captions)
