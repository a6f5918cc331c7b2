"""``srcid extract``: extract the features of media for ``srcid train --data``."""

import os
from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import (
    DownloadOption,
    DtypeOption,
    RecipeOption,
    SetOption,
    TrainingDeviceOption,
    configured,
    parse_pairs,
    pinned,
)
from model.errors import ConfigError

ROLES = ("file", "caption", "label", "split")
SOME_FAILED = 1  # exit code: the rest is extracted


def extract(
    source: Annotated[
        Path,
        typer.Argument(
            exists=True,
            help="Folder of videos, sounds and pictures; or a CSV with the column file and, "
            "optionally, caption, label, split (--column for other names).",
        ),
    ],
    out: Annotated[Path, typer.Argument(file_okay=False, help="Output folder.")],
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROLE=NAME",
            help="Name of a column in the CSV: ROLE is file, caption, label or split; `split=` "
            "means there is none. Repeatable.",
        ),
    ] = None,
    separator: Annotated[
        str, typer.Option(help="Separates several captions in one cell of the CSV.")
    ] = "",
    recipe: RecipeOption = "compact",
    setting: SetOption = None,
    device: TrainingDeviceOption = "auto",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Decoding processes.", show_default="processors")
    ] = None,
    seconds: Annotated[int, typer.Option(min=1, help="Maximum seconds per file.")] = 60,
    dtype: DtypeOption = "float32",
    download: DownloadOption = False,
) -> None:
    """Extract the features of media for training.

    Run it again to continue an interrupted run or to add new files. Unusable files are listed in
    OUT/failed.csv, and the exit code is then 1.
    """
    from model.device import usable_device
    from training.data.extract import extract as run
    from training.data.extracted import FAILED
    from training.data.raw import Columns

    names = {role: str(name) for role, name in parse_pairs(column or [], option="--column").items()}
    if unknown := names.keys() - set(ROLES):
        raise ConfigError(f"--column {min(unknown)}=...: a column is {', '.join(ROLES)}")
    config = pinned(configured(recipe, setting), dtype=dtype, download=download)
    report = run(
        source,
        out,
        config.model,
        device=usable_device(device),
        workers=workers or os.cpu_count() or 1,
        seconds=seconds,
        columns=Columns(**names, separator=separator),
    )
    clips = report.clips
    print(
        f"{len(clips)} clips, {sum(clip.steps for clip in clips) / 3600:.1f} hours: "
        f"{sum(clip.audio > 0 for clip in clips)} with sound, "
        f"{sum(clip.video > 0 for clip in clips)} with picture, "
        f"{sum(clip.captions > 0 for clip in clips)} with captions"
    )
    if report.failed:
        print(f"{len(report.failed)} files failed, see {out / FAILED}")
        raise typer.Exit(SOME_FAILED)
    print(f"to train: srcid train {recipe} --data {out} --out runs/{recipe}")
