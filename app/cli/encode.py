"""``srcid encode``: a file or a sentence as codes."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import CheckpointOption, DeviceOption, JsonOption, TextOption, one_source
from app.cli.tables import print_table
from app.settings import load_settings


def encode(
    file: Annotated[Path | None, typer.Argument(help="A video, sound or picture.")] = None,
    text: TextOption = None,
    checkpoint: CheckpointOption = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the codes of a file or a sentence: a row a layer, a column a second (or word)."""
    source = one_source(file, text)
    settings = load_settings(checkpoint=checkpoint, device=device)

    from app.main import open_engine
    from app.service import encode_response

    engine = open_engine(settings)
    encoded = encode_response(engine, source)
    if as_json:
        print(encoded.model_dump_json())
        return
    layers = engine.encoder.vocabulary.layers.tolist()
    print_table(
        ["stream", "layer", "codes"],
        [
            [modality, layer, " ".join(f"{code:>3}" for code in codes)]
            for modality, stream in encoded.streams.items()
            for layer, codes in zip(layers, stream.codes, strict=True)
        ],
    )
    if encoded.duration_seconds is not None:
        print(f"{encoded.duration_seconds:.1f} s, checkpoint {encoded.fingerprint}")
