"""Media in, a folder of backbone features out: what ``srcid extract`` does.

Worker processes decode; this one runs the backbones. A clip is a file of its own, written aside
and renamed, so an extraction that was killed goes on where it was when it is started again.
"""

import csv
import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from model.backbones.base import Backbone, decode_config
from model.config import SRCIDConfig
from model.encoder import load_backbones
from model.errors import ConfigError, MediaError
from model.files import atomic_path, atomic_write_text
from model.media import Clip
from model.modality import Modality
from training.data.extracted import (
    ABOUT,
    CLIPS,
    FAILED,
    INDEX,
    About,
    ClipRow,
    is_extracted,
    open_shard,
    read_about,
)
from training.data.processes import in_processes
from training.data.raw import Columns, RawClip, decode, read_source


class Report(NamedTuple):
    """What became of a source."""

    clips: list[ClipRow]  # all that the folder holds of it
    failed: dict[str, str]  # file -> why nothing could be had of it


def extract(
    source: Path,
    out: Path,
    model: SRCIDConfig,
    *,
    device: str = "cpu",
    workers: int = 1,
    seconds: int = 60,
    columns: Columns = Columns(),  # noqa: B008  frozen
) -> Report:
    """Extract what ``out`` lacks of ``source``, and list what it then has.

    Args:
        source: A folder of media, or a CSV (``training.data.raw``).
        out: The folder to write; its parts are listed in ``training.data.extracted``.
        model: Names the backbone of each modality.
        device: Where the backbones run.
        workers: Processes that decode.
        seconds: Of each file, at most; what comes after is left out.
        columns: What the columns of a CSV are called.

    Raises:
        ConfigError: ``out`` holds the features of other backbones, or a backbone is not there.
        DataError: The source is empty or malformed. (A file of it that does not decode is
            reported instead, and the others go on.)
    """
    clips = read_source(source, columns)
    shards = {clip.name: out / CLIPS / _shard(clip) for clip in clips}
    waiting = [clip for clip in clips if not shards[clip.name].is_file()]
    failed: dict[str, str] = {}
    backbones = load_backbones(model, device) if waiting else {}
    _claim(out, About.of(model, seconds=seconds))
    if waiting:
        decoding = partial(decode, config=decode_config(backbones, max_steps=seconds))
        decoded = in_processes(decoding, waiting, workers=workers)
        for clip, media in tqdm(decoded, "extracting", len(waiting), unit="clip"):
            try:
                _save(_features(clip, media, backbones, device), shards[clip.name])
            except MediaError as error:
                failed[clip.name] = str(error)
    rows = [_row(clip, shards[clip.name]) for clip in clips if clip.name not in failed]
    _write_csv(out / FAILED, ("file", "error"), failed.items())
    _write_csv(out / INDEX, ClipRow._fields, rows)
    return Report(rows, failed)


def _claim(out: Path, about: About) -> None:
    """Make ``out`` a folder of such features, or check that it is one."""
    if is_extracted(out):
        if read_about(out) != about:
            raise ConfigError(
                f"{out} was extracted by another recipe or with other --seconds: "
                "name another folder, or use the first options again"
            )
        return
    (out / CLIPS).mkdir(parents=True, exist_ok=True)
    atomic_write_text(out / ABOUT, about.model_dump_json(indent=2) + "\n")


def _shard(clip: RawClip) -> str:
    """Return the file for a clip: another one as soon as media or captions are others."""
    known = clip.path.stat() if clip.path.is_file() else None
    state = (known.st_size, known.st_mtime_ns) if known else None
    key = json.dumps([clip.name, clip.captions, state])
    return f"{hashlib.sha256(key.encode()).hexdigest()[:24]}.safetensors"


def _features(
    clip: RawClip,
    media: Clip | MediaError | None,
    backbones: Mapping[Modality, Backbone],
    device: str,
) -> dict[str, Tensor]:
    """Return the tensors of one clip by name.

    Raises:
        MediaError: There are none.
    """
    if media is None:
        raise MediaError("the decoder crashes on this file; leave it out")
    if isinstance(media, MediaError):
        raise media
    features: dict[str, Tensor] = {}
    for m, backbone in backbones.items():
        found = []
        for item in clip.captions if m is Modality.TEXT else (media,):
            with suppress(MediaError):  # it has nothing of this modality
                prepared = backbone.preprocess(item).to(device)
                found.append(backbone.extract([prepared])[0].float().cpu().contiguous())
        names = [f"{m}/{n}" for n in range(len(found))] if m is Modality.TEXT else [str(m)]
        features |= dict(zip(names, found, strict=False))
    if not features.keys() & {Modality.AUDIO, Modality.VIDEO}:
        raise MediaError("it has neither a sound nor a picture that the recipe can use")
    return features


def _save(features: dict[str, Tensor], path: Path) -> None:
    with atomic_path(path) as temporary:
        save_file(features, temporary)


def _row(clip: RawClip, path: Path) -> ClipRow:
    with open_shard(path) as file:
        steps = {name: file.get_slice(name).get_shape()[0] for name in file.keys()}  # noqa: SIM118  no dict
    audio, video = (steps.get(m, 0) for m in (Modality.AUDIO, Modality.VIDEO))
    captions = len(steps.keys() - {Modality.AUDIO, Modality.VIDEO})
    return ClipRow(path.name, clip.name, clip.label, clip.split, audio, video, captions)


def _write_csv(path: Path, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([columns, *rows])
