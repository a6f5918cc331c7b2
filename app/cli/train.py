"""``srcid train``: a recipe and data in, a checkpoint out."""

import logging
import os
import sys
from pathlib import Path
from typing import Annotated

import typer


def train(
    recipe: Annotated[str, typer.Argument(help="A name of `srcid recipes`.")],
    out: Annotated[Path, typer.Option(help="Run folder: logs, plots, state, checkpoint.")],
    data: Annotated[
        Path | None,
        typer.Option(help="What `srcid extract` wrote; or a bank, a folder with manifest.csv."),
    ] = None,
    init: Annotated[
        str | None,
        typer.Option(help="Fine-tune: a checkpoint to start from, a folder or a shipped name."),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="Override a field, such as optim.lr=1e-4. Repeatable."),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1 or auto.")] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on where OUT left off.")] = False,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Compile the network: slow start, faster steps.")
    ] = False,
    tensorboard: Annotated[
        bool, typer.Option("--tensorboard", help="Log to OUT/tensorboard as well.")
    ] = False,
    save_minutes: Annotated[
        float, typer.Option(min=0, help="Most minutes of work that a kill can lose.")
    ] = 5.0,
) -> None:
    """Train a recipe; the checkpoint is OUT/checkpoint."""
    from tqdm.contrib.logging import logging_redirect_tqdm

    from app.cli.options import parse_pairs
    from model.device import usable_device
    from training.recipes import override
    from training.recipes import recipe as named
    from training.train import train as run

    settings = parse_pairs(setting or [])
    if data is not None:
        settings["data.folder"] = str(data)
    if init is not None:
        settings["init"] = init
    config = override(named(recipe), settings)
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
        print("\nstopped; the same command with --resume goes on", file=sys.stderr)
        raise
    if os.environ.get("RANK", "0") == "0":  # torchrun starts several of us
        print(f"checkpoint: {checkpoint}")
        print(f"serve it:   srcid serve --checkpoint {checkpoint}")
