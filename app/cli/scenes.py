"""``srcid scenes``: a bank in, a benchmark of composed clips out."""

from pathlib import Path
from typing import Annotated

import typer


def scenes(
    bank: Annotated[
        Path,
        typer.Argument(
            exists=True,
            file_okay=False,
            help="A folder of class-labelled photos, sounds, sentences.",
        ),
    ],
    out: Annotated[Path, typer.Option(file_okay=False, help="Folder of the scenes.")],
    seed: Annotated[int, typer.Option(min=0, help="Another seed makes other scenes.")] = 0,
    share: Annotated[
        float,
        typer.Option(min=0, max=1, help="Part of the scenes that are made, for a quick look."),
    ] = 1.0,
    recipe: Annotated[
        str, typer.Option(help="A recipe that will train on it: it names the backbones.")
    ] = "compact",
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override a field of the recipe, as in train. Repeatable."),
    ] = None,
    videos: Annotated[
        int, typer.Option(min=0, help="Test scenes of each set to write as mp4 as well.")
    ] = 0,
) -> None:
    """Compose scenes of several events, to train and to evaluate on.

    Started again, it goes on where it was stopped.
    """
    from app.cli.options import parse_pairs
    from training.data.scenes.script import ScenesConfig
    from training.data.scenes.write import write_scenes, write_videos
    from training.recipes import override
    from training.recipes import recipe as named

    config = override(named(recipe), parse_pairs(setting or []))
    made = write_scenes(bank, out, config.model, ScenesConfig(seed=seed).scaled(share))
    shown = write_videos(bank, out, made, count=videos)
    print(f"{len(made)} scenes, {len(shown)} of them as videos, in {out}")
    print(f"train on it: srcid train {recipe} --data {out} --out runs/{recipe}")
