"""``srcid extract``: media of one's own in, what ``srcid train --data`` takes out."""

import os
from pathlib import Path
from typing import Annotated

import typer

from model.errors import ConfigError

ROLES = ("file", "caption", "label", "split")
SOME_FAILED = 1  # exit code: the rest is extracted


def extract(
    source: Annotated[
        Path,
        typer.Argument(
            exists=True,
            help="A folder of videos, sounds and pictures; or a CSV with the column file, and "
            "perhaps caption, label, split (--column for other names).",
        ),
    ],
    out: Annotated[Path, typer.Argument(file_okay=False, help="Folder of the features.")],
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ROLE=NAME",
            help="What a column of the CSV is called: file, caption, label or split; `split=`: "
            "there is none. Repeatable.",
        ),
    ] = None,
    separator: Annotated[
        str, typer.Option(help="What stands between several captions in one cell of the CSV.")
    ] = "",
    recipe: Annotated[
        str, typer.Option(help="The recipe that will train on it: it names the backbones.")
    ] = "compact",
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override a field of the recipe, as in train. Repeatable."),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 or auto.")] = "auto",
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that decode.", show_default="processors")
    ] = None,
    seconds: Annotated[int, typer.Option(min=1, help="Of each file, at most.")] = 60,
) -> None:
    """Extract the features of media, to train on.

    Started again, it goes on where it was stopped, and takes in what is new. Files of which
    nothing can be had are listed in OUT/failed.csv, and the exit code is then 1.
    """
    from app.cli.settings_pairs import parse_pairs
    from model.device import usable_device
    from training.data.extract import extract as run
    from training.data.extracted import FAILED
    from training.data.raw import Columns
    from training.recipes import override
    from training.recipes import recipe as named

    names = {role: str(name) for role, name in parse_pairs(column or [], option="--column").items()}
    if unknown := names.keys() - set(ROLES):
        raise ConfigError(f"--column {min(unknown)}=...: a column is {', '.join(ROLES)}")
    config = override(named(recipe), parse_pairs(setting or []))
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
    print(f"train on it: srcid train {recipe} --data {out} --out runs/{recipe}")
