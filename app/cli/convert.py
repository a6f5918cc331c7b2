"""``srcid convert``: the authors' checkpoint as one of ours."""

from pathlib import Path
from typing import Annotated

import typer


def convert(
    checkpoint: Annotated[Path, typer.Argument(help="The authors' file, such as DCID's .pt.")],
    out: Annotated[Path, typer.Argument(help="Folder to make: config.json, model.safetensors.")],
) -> None:
    """Convert a published checkpoint (DCID, or H-DCID, which is SRCID) into a folder of ours.

    The file is read without running anything in it.
    """
    from model.checkpoint import fingerprint
    from model.errors import CheckpointError
    from training.conversion import convert as read

    if out.exists():
        raise CheckpointError(f"{out} exists already; name a folder that does not")
    converted = read(checkpoint)
    converted.model.save_pretrained(out)
    layers = converted.model.stages
    print(f"source:     {converted.source}, epoch {converted.epoch}, sha256 {converted.sha256}")
    print(f"network:    {len(layers)} layer(s) of {layers[0].quantizer.codebook_size} codes")
    if not converted.has_decoders:
        print("decoders:   freshly initialised, the file has none; codes do not depend on them")
    print(f"checkpoint: {out}, fingerprint {fingerprint(out)}")
