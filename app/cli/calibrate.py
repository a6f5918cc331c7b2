"""``srcid calibrate``: what the scores of a checkpoint mean."""

from pathlib import Path
from typing import Annotated

import typer


def calibrate(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint folder, or a shipped name.")],
    data: Annotated[Path, typer.Option(help="The bank: a folder with manifest.csv.")],
    split: Annotated[str, typer.Option(help="The split that the curves are fitted to.")] = "train",
    held_out: Annotated[
        str, typer.Option(help="The split that tells how items lie that were not trained on.")
    ] = "test",
    foreign: Annotated[
        Path | None,
        typer.Option(help="A bank of other things, of which a search should find nothing."),
    ] = None,
    cache: Annotated[Path, typer.Option(help="Where extracted features are kept.")] = Path(
        "runs/features"
    ),
) -> None:
    """Fit what turns scores into probabilities, and write it beside the checkpoint.

    The service then says of each hit how likely it is about what was asked, and of a search
    whether nothing matches. Codes and the fingerprint stay what they are.
    """
    from model.calibration import write_calibration
    from model.checkpoint import locate
    from model.srcid import SRCID
    from training.data.bank import load_bank
    from training.evaluation.calibration import calibrate as fit

    folder = locate(checkpoint)
    model = SRCID.from_pretrained(folder)
    bank = load_bank(data, model.config, views=1, cache=cache)
    for wanted in (split, held_out):
        bank.check_split(wanted, model.modalities)
    others = load_bank(foreign, model.config, views=1, cache=cache) if foreign else None
    found = fit(model, bank, fit_on=split, held_out=held_out, foreign=others)
    write_calibration(folder, found)
    print(f"{len(found.matches)} curves, fitted to {data.name}, {split} split: {folder}")
