"""``srcid scenes``: compose a benchmark of clips from a bank."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import DownloadOption, DtypeOption, RecipeOption, SetOption, configured, pinned


def scenes(
    bank: Annotated[
        Path,
        typer.Argument(
            exists=True,
            file_okay=False,
            help="Bank: a folder of labelled photos, sounds and sentences.",
        ),
    ],
    out: Annotated[Path, typer.Option(file_okay=False, help="Output folder.")],
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
    share: Annotated[
        float,
        typer.Option(min=0, max=1, help="Fraction of the scenes to make, for a quick look."),
    ] = 1.0,
    recipe: RecipeOption = "compact",
    setting: SetOption = None,
    videos: Annotated[
        int, typer.Option(min=0, help="Test scenes per set to also write as mp4.")
    ] = 0,
    dtype: DtypeOption = "float32",
    download: DownloadOption = False,
) -> None:
    """Compose scenes of several events for training and evaluation.

    Run it again to continue an interrupted run.
    """
    from training.data.scenes.script import ScenesConfig
    from training.data.scenes.write import write_scenes, write_videos

    config = pinned(configured(recipe, setting), dtype=dtype, download=download)
    made = write_scenes(bank, out, config.model, ScenesConfig(seed=seed).scaled(share))
    shown = write_videos(bank, out, made, count=videos)
    print(f"{len(made)} scenes, {len(shown)} of them as videos, in {out}")
    print(f"to train: srcid train {recipe} --data {out} --out runs/{recipe}")
