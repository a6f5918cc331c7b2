"""``srcid align``: build a checkpoint in closed form from the backbones' class names."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import CACHE, CacheOption


def align(
    data: Annotated[
        Path, typer.Option(help="Labelled photos and sounds: a bank, or a folder of banks.")
    ],
    out: Annotated[Path, typer.Option(help="Checkpoint folder to write.")],
    codes: Annotated[int, typer.Option(min=2, help="Codes per codebook.")] = 400,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
    cache: CacheOption = CACHE,
) -> None:
    """Make an open-vocabulary checkpoint in minutes, without gradient descent.

    Sounds and pictures are represented by their backbones' class probabilities, and classes by
    the words of their names; labelled examples refine this. The shipped `default` was made this
    way. Scores are calibrated on held-out classes (five folds), if at least ten classes have both
    pictures and sounds.
    """
    import torch

    from model.calibration import write_calibration
    from model.encoder import load_backbones
    from model.modality import Modality
    from training.alignment.align import align as fit
    from training.alignment.unseen import calibrate_unseen
    from training.data.bank import load_bank
    from training.data.sentences import TextVectors
    from training.networks import aligned_network

    config = aligned_network(codebook_size=codes)
    bank = load_bank(data, config, views=1, cache=cache)
    backbones = load_backbones(config, "cpu")
    text = TextVectors(backbones[Modality.TEXT])
    model = fit(bank, backbones, text=text, config=config, seed=seed)
    model.save_pretrained(out, dtype=torch.float16)
    found = calibrate_unseen(model, bank, backbones, text=text, config=config, seed=seed)
    if found:
        write_calibration(out, found)
    print(f"aligned with {len(bank.entries)} items of {len(bank.classes)} classes: {out}")
