"""``srcid calibrate``: what the scores of a checkpoint mean."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from app.demo import stamps
from model.errors import DataError

STAMPS = "stamps"


def calibrate(
    checkpoint: Annotated[str, typer.Argument(help="A checkpoint folder, or a shipped name.")],
    data: Annotated[
        Path,
        typer.Option(help="A bank (a folder with manifest.csv), or what `srcid extract` wrote."),
    ],
    split: Annotated[str, typer.Option(help="The split that the curves are fitted to.")] = "train",
    held_out: Annotated[
        str, typer.Option(help="The split that tells how items lie that were not trained on.")
    ] = "test",
    foreign: Annotated[
        str | None,
        typer.Option(
            help="A bank of other things, of which a search should find nothing; `stamps` is that "
            "of Debian's Tux Paint stamps, fetched with apt (161 MB).",
            metavar="FOLDER|stamps",
        ),
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
    from training.data.open import open_bank
    from training.evaluation.calibration import calibrate as fit

    folder = locate(checkpoint)
    model = SRCID.from_pretrained(folder)
    bank = open_bank(data, model.config, cache)
    for wanted in (split, held_out):
        bank.check_split(wanted, model.modalities)
    others = None
    if foreign:
        with _bank(foreign, without=bank.classes) as other:
            others = open_bank(other, model.config, cache)
    found = fit(model, bank, fit_on=split, held_out=held_out, foreign=others)
    write_calibration(folder, found)
    print(f"{len(found.matches)} curves, fitted to {data.name}, {split} split: {folder}")


@contextmanager
def _bank(name: str, *, without: Collection[str]) -> Iterator[Path]:
    """Lend the folder of a bank; that of the stamps is made here, without some classes.

    Raises:
        DataError: The stamps cannot be had.
    """
    if name != STAMPS:
        yield Path(name)
        return
    with TemporaryDirectory() as folder:
        try:
            found = stamps.find(stamps.fetch(Path(folder)))
        except stamps.StampsUnavailable as error:
            raise DataError(f"{error}: name a bank of your own (--foreign FOLDER)") from error
        stamps.write_bank(found, Path(folder, "bank"), without=without)
        yield Path(folder, "bank")
