"""``srcid train``: train a recipe on data and write a checkpoint."""

import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import (
    DownloadOption,
    DtypeOption,
    SetOption,
    TrainingDeviceOption,
    configured,
    pinned,
)


def train(
    recipe: Annotated[str, typer.Argument(help="Recipe name; see `srcid recipes`.")],
    out: Annotated[Path, typer.Option(help="Run folder for logs, plots, state and checkpoint.")],
    data: Annotated[
        Path | None,
        typer.Option(help="Output of `srcid extract`, or a bank: a folder with manifest.csv."),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(help="Checkpoint to fine-tune: a folder or a shipped name."),
    ] = None,
    setting: SetOption = None,
    device: TrainingDeviceOption = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in OUT.")] = False,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the network: slower start, faster steps.")
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Also log to OUT/tensorboard.")
    ] = False,
    save_minutes: Annotated[float, typer.Option(min=0, help="Minutes between saved states.")] = 5.0,
    dtype: DtypeOption = "float32",
    download: DownloadOption = False,
) -> None:
    """Train a recipe and write OUT/checkpoint."""
    from tqdm.contrib.logging import logging_redirect_tqdm

    from model.device import usable_device
    from training.train import train as run

    fields = {"data.folder": str(data) if data else None, "init": init}
    config = configured(recipe, setting, **fields)
    config = pinned(config, dtype=dtype, download=download)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        with logging_redirect_tqdm():
            checkpoint = run(
                config,
                out,
                device=usable_device(device),
                resume=resume,
                compiled=compiled,
                tensorboard=tensorboard,
                save_minutes=save_minutes,
            )
    except KeyboardInterrupt:
        print("\nstopped; to continue, repeat the command with --resume", file=sys.stderr)
        raise
    if os.environ.get("RANK", "0") == "0":  # torchrun starts several of us
        print(f"checkpoint: {checkpoint}")
        print(f"to serve:   srcid serve --checkpoint {checkpoint}")
