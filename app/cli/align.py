"""``srcid align``: a checkpoint in closed form, from what the backbones know of names."""

from pathlib import Path
from typing import Annotated

import typer


def align(
    data: Annotated[
        Path, typer.Option(help="Labelled photos and sounds: a bank, or a folder of banks.")
    ],
    out: Annotated[Path, typer.Option(help="The folder of the checkpoint.")],
    codes: Annotated[int, typer.Option(min=2, help="Of each of the two codebooks.")] = 400,
    seed: Annotated[int, typer.Option(min=0, help="Of all random draws.")] = 0,
    cache: Annotated[Path, typer.Option(help="Where extracted features are kept.")] = Path(
        "runs/features"
    ),
) -> None:
    """Make a checkpoint for things of any name, in minutes and without gradient descent.

    Sound and pictures are described by the classes that their backbones believe in, and these by
    the words of their names; labelled examples move that. It is how the shipped `default` was
    made. What its scores mean is learned from classes that are left out, five times a fifth of
    them, where at least ten have both pictures and sounds.
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
