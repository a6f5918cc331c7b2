"""``srcid encode``: a file or a sentence as codes."""

from pathlib import Path
from typing import Annotated

import typer

from app.cli.options import JsonOption, TextOption, one_source
from app.cli.output import print_json, print_table
from app.cli.target import Target, on_target


@on_target
def encode(
    target: Target,
    file: Annotated[Path | None, typer.Argument(help="A video, sound or picture.")] = None,
    text: TextOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print the codes of a file or a sentence: one column per second or word."""
    source = one_source(file, text)
    if target.url is not None:
        with target.server() as client:
            encoded = client.encode(source)
    else:  # no index is opened: there may be none
        from contextlib import closing

        from app.main import open_engine
        from app.service.async_service import encode_response

        with closing(open_engine(target.settings())) as engine:
            encoded = encode_response(engine.encoder, engine.encode(source))
    if as_json:
        print_json(encoded)
        return
    print_table(
        ["stream", "layer", "codes"],
        [
            [modality, layer, " ".join(f"{code:>3}" for code in codes)]
            for modality, stream in encoded.streams.items()
            for layer, codes in zip(encoded.code_layers, stream.codes, strict=True)
        ],
    )
    if encoded.duration_seconds is not None:
        print(f"{encoded.duration_seconds:.1f} s, checkpoint {encoded.fingerprint}")
