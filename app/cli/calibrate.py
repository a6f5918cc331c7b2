"""``srcid calibrate``: turn the scores of a checkpoint into probabilities."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from app.cli.options import CACHE, CacheOption
from app.demo import stamps
from model.errors import DataError

STAMPS = "stamps"


def calibrate(
    checkpoint: Annotated[str, typer.Argument(help="Checkpoint folder, or name of a shipped one.")],
    data: Annotated[
        Path,
        typer.Option(help="Bank (a folder with manifest.csv), or output of `srcid extract`."),
    ],
    split: Annotated[str, typer.Option(help="Split to fit the curves to.")] = "train",
    held_out: Annotated[
        str, typer.Option(help="Split of items that were not trained on.")
    ] = "test",
    foreign: Annotated[
        str | None,
        typer.Option(
            help="Bank of other classes, for which a search should report no match; `stamps` "
            "downloads Debian's Tux Paint stamps with apt (161 MB).",
            metavar="FOLDER|stamps",
        ),
    ] = None,
    cache: CacheOption = CACHE,
) -> None:
    """Fit the curves that turn scores into probabilities, and write them beside the checkpoint.

    Search results then include the probability of each hit, and whether nothing matches. Codes
    and fingerprint do not change.
    """
    from model.calibration import write_calibration
    from model.checkpoint import locate
    from model.srcid import SRCID
    from training.data.open import open_bank
    from training.evaluation.calibration import calibrate as fit

    folder = locate(checkpoint)
    model = SRCID.from_pretrained(folder, download=False)
    bank = open_bank(data, model.config, cache)
    for wanted in (split, held_out):
        bank.check_split(wanted, model.modalities)
    others = None
    if foreign:
        with _bank(foreign, without=bank.classes) as other:
            others = open_bank(other, model.config, cache)
    calibration = fit(model, bank, fit_on=split, held_out=held_out, foreign=others)
    write_calibration(folder, calibration)
    print(f"{len(calibration.matches)} curves fitted to the {split} split of {data.name}: {folder}")


@contextmanager
def _bank(name: str, *, without: Collection[str]) -> Iterator[Path]:
    """Yield the folder of a bank. The bank of the stamps is made here, without some classes.

    Raises:
        DataError: The stamps are unavailable.
    """
    if name != STAMPS:
        yield Path(name)
        return
    with TemporaryDirectory() as folder:
        try:
            usable = stamps.find(stamps.fetch(Path(folder)))
        except stamps.StampsUnavailable as error:
            raise DataError(f"{error}: use your own bank (--foreign FOLDER)") from error
        stamps.write_bank(usable, Path(folder, "bank"), without=without)
        yield Path(folder, "bank")
