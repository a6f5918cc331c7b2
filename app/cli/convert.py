"""``srcid convert``: convert a published checkpoint."""

from pathlib import Path
from typing import Annotated

import typer


def convert(
    checkpoint: Annotated[Path, typer.Argument(help="The authors' file, such as DCID's .pt.")],
    out: Annotated[Path, typer.Argument(help="Checkpoint folder to create.")],
) -> None:
    """Convert a published checkpoint (DCID, or H-DCID, which is SRCID) to SRCID's format.

    Reading the file executes no code from it.
    """
    from model.checkpoint import fingerprint
    from model.errors import CheckpointError
    from training.conversion import convert as read

    if out.exists():
        raise CheckpointError(f"{out} already exists; choose a new folder")
    converted = read(checkpoint)
    converted.model.save_pretrained(out)
    layers = converted.model.stages
    print(f"source:     {converted.source}, epoch {converted.epoch}, sha256 {converted.sha256}")
    print(f"network:    {len(layers)} layer(s) of {layers[0].quantizer.codebook_size} codes")
    if not converted.has_decoders:
        print("decoders:   newly initialised (not in the file); they do not affect codes")
    print(f"checkpoint: {out}, fingerprint {fingerprint(out)}")
